"""What an operation raises, as a problem. Apart from `problems`, which every process loads: this loads django-ninja."""

from django.http import Http404, HttpRequest, HttpResponse
from ninja.errors import HttpError, ValidationError

from leaderboard.api.problems import Problem, of_refusal
from leaderboard.core.refusal import Refused


def of_error(_request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
    """The answer to what an operation raised."""
    if isinstance(error, Problem):
        return error.answer()
    if isinstance(error, Refused):
        return of_refusal(error).answer()
    if isinstance(error, Http404):
        return Problem(404).answer()
    if isinstance(error, ValidationError):
        return _of_validation(error).answer()
    assert isinstance(error, HttpError)
    return Problem(error.status_code).answer()


HANDLED: tuple[type[Exception], ...] = (Problem, Refused, Http404, ValidationError, HttpError)


def _of_validation(error: ValidationError) -> Problem:
    """What does not have the form that the description of the API says."""
    errors = [
        {"field": ".".join(str(part) for part in one["loc"][1:] or one["loc"]), "detail": str(one["msg"])}
        for one in error.errors
    ]
    detail = "; ".join(f"{one['field']}: {one['detail']}" for one in errors[:5])
    return Problem(422, f"The request does not fit its description. {detail}", errors=errors)
