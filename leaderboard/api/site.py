"""The API as a whole: its operations, how it reads bodies, and its description in OpenAPI 3.1."""

import json
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.openapi.schema import OpenAPISchema
from ninja.parser import Parser

from leaderboard.api import cases, challenge, data, drafts, people, status, submissions, teams
from leaderboard.api.errors import HANDLED, of_error
from leaderboard.api.problems import CONTENT_TYPE
from leaderboard.core.text import storable

DESCRIPTION = (
    "Everything that a team can do by the pages, for programs. Send a personal token of your account as "
    "“Authorization: Bearer rexg_pat_…”; phases and boards need none. Refusals are problem details (RFC 9457) in the "
    "sentences of the pages. On phases with hidden cases everything is as of the last full minute."
)
_TOKENS = {"scheme": "bearer", "type": "http", "description": "A personal token: rexg_pat_…"}


class Bodies(Parser):
    """JSON as it comes in: made storable, and nothing that Python takes and JSON does not know."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """The body of a request."""
        try:
            found: dict[str, Any] = storable(json.loads(request.body, parse_constant=_refuse))
        except (ValueError, RecursionError):
            raise HttpError(400, "") from None
        return found


def _refuse(word: str) -> None:
    raise ValueError(word)


class Api(NinjaAPI):
    """The API; its description says of refusals how they come."""

    def get_openapi_schema(self, **_named: Any) -> OpenAPISchema:
        """The description in OpenAPI 3.1, made once: it does not change while the server runs."""
        return self._described

    @cached_property
    def _described(self) -> OpenAPISchema:
        schema = super().get_openapi_schema()
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"] = {
                    str(status): _answer(int(status), one) for status, one in operation["responses"].items()
                }
        schema["components"]["securitySchemes"] = {"PersonalToken": _TOKENS}
        return schema


def _answer(status: int, answer: dict[str, Any]) -> dict[str, Any]:
    if status < 400 or "content" not in answer:
        return answer
    return answer | {"content": {CONTENT_TYPE: next(iter(answer["content"].values()))}}


def _to_be_read(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """405 to whoever would write there, before anything else is said of such a request."""
    found: Callable[..., HttpResponse] = csrf_exempt(require_safe(view))
    return found


api = Api(
    title="ReXGrounding Challenge",
    version="1",
    description=DESCRIPTION,
    docs_url=None,
    docs_decorator=_to_be_read,
    parser=Bodies(),
    servers=[{"url": settings.SITE_URL}],
)
for kind in HANDLED:
    api.add_exception_handler(kind, of_error)
for part in (challenge, submissions, cases, drafts, people, teams, data, status):
    api.add_router("", part.router)


@cache
def described() -> dict[str, Any]:
    """The description, as plain JSON."""
    found: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema()))
    return found
