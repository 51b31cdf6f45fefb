"""What is asked for again and again: who has the present one is told so, and gets nothing.

A page that is the same for all visitors is made once a minute in each process, and handed out to all of them. Whether
it has changed is asked once a second, however many visitors there are: so old may be what a visitor is answered.
"""

import json
import time
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from hashlib import sha256
from typing import NamedTuple

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import http_date, quote_etag

from leaderboard.core import minutes
from leaderboard.core.minutes import Kept, found_once, minute_of
from leaderboard.web.context import THEME_COOKIE, frame_of, instant_of

SECONDS = 1.0
"""For so long a process takes for true what it has asked about a visitors' page."""


class _Asked(NamedTuple):
    """What names a page, and as of which instant; `since` by this process's own clock."""

    tag: str | None
    at: datetime
    since: float


_pages: Kept = {}
_asked: dict[str, _Asked] = {}
_PERSONAL = (settings.SESSION_COOKIE_NAME, CookieStorage.cookie_name)


def unless_unchanged(
    request: HttpRequest, content: bytes, content_type: str, changed_at: datetime | None = None
) -> HttpResponseBase:
    """The content with its ETag, and with Last-Modified where it is known; 304 where the program has it already."""
    etag = quote_etag(sha256(content).hexdigest()[:32])
    seconds = int(changed_at.timestamp()) if changed_at else None
    response = HttpResponse(content, content_type=content_type)
    response["Cache-Control"] = "no-cache"  # kept, and asked about each time
    response["ETag"] = etag
    if seconds is not None:
        response["Last-Modified"] = http_date(seconds)
    answer = get_conditional_response(request, etag, seconds, response)
    return answer if answer is not None else response


def same_for_visitors(
    tag_of: Callable[..., str | None],
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponseBase]]:
    """A view whose page all visitors see alike within a minute, for as long as its tag is the same.

    `tag_of` takes what the view takes; None where the page is made anew each time. It is asked once in `SECONDS`.
    Around what the tag names there are the phases, whose times are told in minutes, and the theme. Who has a session or
    is told something gets a page of their own.
    """

    def decorated(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def answer(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            if any(name in request.COOKIES for name in _PERSONAL):
                return view(request, *args, **kwargs)
            tag, at, _ = _ask(request, lambda: tag_of(request, *args, **kwargs))
            if tag is None:
                return view(request, *args, **kwargs)
            theme = request.COOKIES.get(THEME_COOKIE, "")
            told = json.dumps([tag, minute_of(at).isoformat(), request.get_full_path(), theme])
            etag = quote_etag(sha256(told.encode()).hexdigest()[:32])
            unchanged = get_conditional_response(request, etag)
            if unchanged is not None:
                return unchanged
            page = found_once(at, etag, lambda: view(request, *args, **kwargs).content, _pages)
            return HttpResponse(page, headers={"ETag": etag})

        return answer

    return decorated


def _ask(request: HttpRequest, tag_of: Callable[[], str | None]) -> _Asked:
    """What names the page that is asked for, which is then answered as of the instant at which that was found."""
    now, path = time.monotonic(), request.get_full_path()
    known = _asked.get(path)
    if known is None or now - known.since >= SECONDS:
        known = _Asked(tag_of(), instant_of(request), now)
        if len(_asked) >= minutes.MOST:
            _asked.clear()
        if minutes.MOST:
            _asked[path] = known
    frame_of(request).now = known.at
    return known
