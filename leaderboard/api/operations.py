"""How an operation of the API is declared: its scope, what it answers, and which refusals it may meet."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from django.http import HttpRequest
from ninja import Path, Router
from ninja.decorators import decorate_view
from ninja.security import HttpBearer

from leaderboard.api.exchange import JSON, exchange
from leaderboard.api.repeats import HEADER, LONGEST
from leaderboard.api.schemas.base import ProblemDetails

View = TypeVar("View", bound=Callable[..., Any])
Key = Annotated[int, Path(ge=1, le=2**63 - 1)]
EVERYWHERE = (400, 401, 404, 422, 429)
_CHANGING = (409, 413, 415, 507)


class PersonalToken(HttpBearer):
    """A personal token, as the description of the API says it; it was looked at before (`exchange`)."""

    def __call__(self, request: HttpRequest) -> bool:
        """Always: who has no good token does not come here."""
        return True

    def authenticate(self, request: HttpRequest, token: str) -> bool:
        """Never asked."""
        raise NotImplementedError


def operation(
    router: Router,
    method: str,
    path: str,
    *,
    answers: Any,
    scope: str = "read",
    status: int = 200,
    body: str = JSON,
    file: str = "",
    also: tuple[int, ...] = (),
) -> Callable[[View], View]:
    """Declare a view as an operation.

    scope: which a token needs, "" where everybody may ask; answers: the schema, or None for no body; file: the media
    type of an answer that is a file; also: further statuses of refusals.
    """
    refusals = [*EVERYWHERE, *((403,) if scope else ()), *(_CHANGING if method != "GET" else ()), *also]
    responses: dict[int, Any] = {status: answers, **dict.fromkeys(refusals, ProblemDetails)}
    extra: dict[str, Any] = {"x-scope": scope or None}
    if file:
        extra["responses"] = {status: {"content": {file: {"schema": {"type": "string", "format": "binary"}}}}}
    if body != JSON:
        schema: dict[str, Any] = {"type": "string", "format": "binary"}
        extra["requestBody"] = {"required": True, "content": {body: {"schema": schema}}}
    elif method not in ("GET", "PUT", "DELETE"):
        about = "The same request with the same key is carried out once, and answered alike for a day."
        schema = {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[!-~]+$"}
        extra["parameters"] = [
            {"name": HEADER, "in": "header", "required": False, "description": about, "schema": schema}
        ]

    def decorate(view: View) -> View:
        summary = (view.__doc__ or view.__name__).strip().partition("\n")[0].rstrip(".")
        declared = router.api_operation(
            [method],
            path,
            auth=PersonalToken() if scope else None,
            response=responses,
            operation_id=view.__name__,
            summary=summary,
            openapi_extra=extra,
        )
        found: View = declared(decorate_view(exchange(scope, body=body))(view))
        return found

    return decorate
