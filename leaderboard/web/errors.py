"""Answers to requests that fail, each in the site's looks and with the status that programs go by."""

import sys
from collections.abc import Callable
from http import HTTPStatus

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.shortcuts import render
from django.views.decorators.http import require_safe

from leaderboard.core.unfinished import is_out_of_space

RETRY_SECONDS = 30
SPACE_SECONDS = 600  # people have to make room


def server_error(request: HttpRequest) -> HttpResponse:
    """Our fault, whatever it was; a database that is away is told apart, and comes back. Neither page asks it."""
    error = sys.exc_info()[1]
    if isinstance(error, (OperationalError, InterfaceError)):
        return retry_later(render(request, "503.html", {"database": True}, status=503))
    if isinstance(error, UnreadablePostError):
        return unread(request, error)
    if isinstance(error, OSError) and is_out_of_space(error):
        return no_space(request)
    return render(request, "500.html", status=500)


def bad_request(request: HttpRequest, exception: Exception | None = None, *, words: str = "") -> HttpResponse:
    """A request that cannot be read, with what is wrong if it is known; one that is too large gets its own words."""
    if isinstance(exception, RequestDataTooBig):
        return too_large(request)
    return render(request, "400.html", {"words": words}, status=400)


@require_safe
def refused(request: HttpRequest, status: int) -> HttpResponse:
    """What nginx refused by itself, in the site's looks; for nginx alone."""
    answers: dict[int, Callable[[], HttpResponse]] = {
        HTTPStatus.REQUEST_TIMEOUT: lambda: render(request, "408.html", {"too_slow": True}, status=408),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: lambda: too_large(request),
        HTTPStatus.TOO_MANY_REQUESTS: lambda: too_many(request),
        HTTPStatus.SERVICE_UNAVAILABLE: lambda: retry_later(render(request, "503.html", status=503)),
    }
    return answers.get(status, lambda: bad_request(request))()


def unread(request: HttpRequest, error: UnreadablePostError) -> HttpResponse:
    """A body that did not come to its end: too slow for us, or cut off."""
    too_slow = isinstance(error.__cause__, TimeoutError)
    return render(request, "408.html", {"too_slow": too_slow}, status=HTTPStatus.REQUEST_TIMEOUT)


def without_length(request: HttpRequest) -> HttpResponse:
    """A body whose size is not said before it comes: nobody can tell whether it is complete."""
    words = "It does not say how long it is (Content-Length), so that nobody could tell whether it arrived whole."
    return render(request, "400.html", {"words": words}, status=HTTPStatus.LENGTH_REQUIRED)


def too_large(request: HttpRequest) -> HttpResponse:
    """A request that is larger than anything it could be for."""
    return render(request, "413.html", status=413)


def too_many(request: HttpRequest, words: str = "", *, seconds: int = RETRY_SECONDS) -> HttpResponse:
    """Too much at once, or too often: when to come again."""
    context = {"words": words, "seconds": seconds}
    return retry_later(render(request, "429.html", context, status=429), seconds)


def no_space(request: HttpRequest) -> HttpResponse:
    """A disk of ours is full."""
    return retry_later(render(request, "507.html", status=507), SPACE_SECONDS)


def retry_later(answer: HttpResponse, seconds: int = RETRY_SECONDS) -> HttpResponse:
    """The same answer, with when to ask again."""
    answer["Retry-After"] = str(seconds)
    return answer
