"""The middleware that every request passes first and every answer last.

What comes in as text is made storable, or the request is refused in words: PostgreSQL takes neither NUL nor half a
surrogate pair, and a view that hands one on would answer 500. A body that could not be read to its end is never taken
for a whole one. What goes out to somebody who is signed in is nobody else's to keep.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest, HttpResponseBase, QueryDict, UnreadablePostError
from django.utils.cache import patch_vary_headers

from leaderboard.core.text import is_storable, storable
from leaderboard.web import errors

GetResponse = Callable[[HttpRequest], HttpResponseBase]
PRIVATE = "private, no-store"
NO_TEXT = "Its address holds characters that are no text."
NOT_UTF_8 = "It says that it is written in another encoding than UTF-8."


class TextDoor:
    """Makes what people and programs send storable: query, form, file names, cookies. Refuses what cannot be."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request."""
        if why := _unreadable(request):
            return errors.bad_request(request, words=why)
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            return errors.without_length(request)
        request.GET = _storable_fields(request.GET)  # type: ignore[assignment]
        request.COOKIES = storable(request.COOKIES)
        for name in [name for name in request.META if name.startswith("HTTP_")]:
            request.META[name] = storable(request.META[name])
        form = _Form(request)
        answer = self._get_response(request)
        return errors.unread(request, form.broken) if form.broken else answer


class Request(WSGIRequest):
    """A request whose encoding may be one that there is not: Django's own answers nothing then."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]
        except (LookupError, ValueError):
            self._encoding = None
            self.content_type, self.content_params = "", {"charset": "unknown"}


class Handler(WSGIHandler):
    """Django, as a WSGI application."""

    request_class = Request


class PrivatePages:
    """Keeps caches, and the browser of a shared machine, from holding what somebody saw who was signed in."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request."""
        answer = self._get_response(request)
        # Whoever has a session may be signed in: asking would cost pages that show nothing of it a question.
        if settings.SESSION_COOKIE_NAME in request.COOKIES or settings.SESSION_COOKIE_NAME in answer.cookies:
            answer["Cache-Control"] = PRIVATE
        patch_vary_headers(answer, ["Cookie"])
        return answer


class _Form:
    """A request's form, which is read when somebody asks for it: cleaned then, and remembered if it broke off."""

    def __init__(self, request: HttpRequest) -> None:
        self.broken: UnreadablePostError | None = None
        # Django's own hook for "the form is wanted now"; a name of its own for that it does not have.
        request._load_post_and_files = partial(self._read, request, request._load_post_and_files)  # type: ignore[method-assign]

    def _read(self, request: HttpRequest, read: Callable[[], None]) -> None:
        try:
            read()
        except UnreadablePostError as broken:
            self.broken = broken  # the check of the form's token keeps it to itself
            raise
        except LookupError as unknown:  # a part's header in an encoding that there is not
            raise BadRequest(str(unknown)) from unknown
        request._post = _storable_fields(request._post)  # type: ignore[attr-defined]
        for file in (file for _, files in request._files.lists() for file in files):  # type: ignore[attr-defined]
            file.name = storable(file.name)


def _unreadable(request: HttpRequest) -> str:
    """Why nothing can be made of a request; empty if something can."""
    if not is_storable(request.path_info):
        return NO_TEXT
    charset = (request.content_params or {}).get("charset", "utf-8")
    return "" if charset.lower() in {"utf-8", "utf8"} else NOT_UTF_8


def _storable_fields(fields: QueryDict) -> QueryDict:
    if all(is_storable(name) and all(map(is_storable, values)) for name, values in fields.lists()):
        return fields
    clean = QueryDict(mutable=True)
    for name, values in fields.lists():
        clean.setlistdefault(storable(name)).extend(storable(values))
    clean._mutable = False
    return clean
