"""What every request passes on its way to an operation, and its answer on the way back.

Who asks is said by a personal token alone: the session of a browser counts for nothing here, so nothing can be forged
by a page of somebody else.
"""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags

from leaderboard.api import limits, repeats
from leaderboard.api.problems import Problem
from leaderboard.models import ApiToken
from leaderboard.people import tokens
from leaderboard.states import Role
from leaderboard.web.context import instant_of

Run = Callable[..., HttpResponseBase]
READING = frozenset({"GET", "HEAD"})
JSON = "application/json"
OWN = "/api/v1/me/"
UNKNOWN = "This token is not known here: it was mistyped, has expired, or was revoked."


def exchange(scope: str, *, body: str = JSON) -> Callable[[Run], Run]:
    """Decorate an operation that needs a token with this scope; with none, everybody may ask, also with a token.

    body: the media type of what is sent.
    """

    def decorate(run: Run) -> Run:
        @wraps(run)
        def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            count: limits.Count | None = None
            try:
                token = _token_said(request)
                request.api_token = token  # type: ignore[attr-defined]
                request.user = token.user if token else AnonymousUser()
                count = limits.count(token) if token else None
                _check_count(count)
                _check_scope(token, scope)
                _check_role(request, token)
                _check_body(request, body)
                again = body == JSON and repeats.HEADER in request.headers and request.method not in READING
                if token and again:
                    answer = repeats.once(request, token, lambda: run(request, **kwargs))
                else:
                    answer = run(request, **kwargs)
            except Problem as problem:
                answer = problem.answer()
            return _with_headers(request, answer, count)

        return wrapped

    return decorate


def token_of(request: HttpRequest) -> ApiToken | None:
    """The token by which the request was made, if it was made by one."""
    found: ApiToken | None = getattr(request, "api_token", None)
    return found


def may(request: HttpRequest, scope: ApiToken.Scope) -> bool:
    """Whether its token has this scope, too: what is as good as a key to more is shown to no other."""
    token = token_of(request)
    return token is not None and scope in token.scopes


def _token_said(request: HttpRequest) -> ApiToken | None:
    said = request.headers.get("Authorization", "")
    if not said:
        return None
    scheme, _, text = said.partition(" ")
    found = tokens.find(text.strip(), instant_of(request)) if scheme.lower() == "bearer" else None
    if found is None:
        raise Problem(401, UNKNOWN, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    tokens.note_use(found, instant_of(request))
    return found


def _check_count(count: limits.Count | None) -> None:
    if count is not None and count.left < 0:
        words = f"This token may make {settings.API_REQUESTS_PER_MINUTE} requests a minute. Ask again in "
        raise Problem(429, f"{words}{count.seconds} s.", headers={"Retry-After": str(count.seconds)})


def _check_scope(token: ApiToken | None, scope: str) -> None:
    if not scope:
        return
    if token is None:
        raise Problem(401, headers={"WWW-Authenticate": "Bearer"})
    if scope not in token.scopes:
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
        words = f"This token may not do that: it was made without “{scope}”."
        raise Problem(403, words, headers={"WWW-Authenticate": challenge})


def _check_role(request: HttpRequest, token: ApiToken | None) -> None:
    """A viewer changes nothing but what is their own."""
    changes = request.method not in READING and not f"{request.path_info}/".startswith(OWN)
    if token is not None and changes and token.user.current_role == Role.VIEWER:
        raise Problem(403, "You are a viewer here: you see everything, and change nothing but your own account.")


def _check_body(request: HttpRequest, media_type: str) -> None:
    if request.method in READING or request.META.get("CONTENT_LENGTH", "") in ("", "0"):
        return
    if request.content_type != media_type:
        raise Problem(415, f"Send the body as {media_type}, and say so in Content-Type.")
    if media_type == JSON:
        _ = request.body  # what is too large, or breaks off, is refused here, with its own status


def _with_headers(request: HttpRequest, answer: HttpResponseBase, count: limits.Count | None) -> HttpResponseBase:
    for name, value in (count.headers if count else {}).items():
        answer[name] = value
    answer["Cache-Control"] = "private, no-cache" if request.user.is_authenticated else "no-cache"
    patch_vary_headers(answer, ["Authorization"])
    if request.method in READING and isinstance(answer, HttpResponse) and answer.status_code == 200:
        return _tagged(request, answer)
    return answer


def _tagged(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """The answer with a tag of what it shows; without it, for who has seen just that. It tells no more than that."""
    tag = f'"{hashlib.blake2b(answer.content, digest_size=16).hexdigest()}"'
    answer["ETag"] = tag
    known = [one.removeprefix("W/") for one in parse_etags(request.headers.get("If-None-Match", ""))]
    if tag in known or "*" in known:
        answer.status_code = 304
        answer.content = b""
        del answer["Content-Type"]
    return answer
