"""What the schemas of all parts share: words and numbers as they come in, bodies, refusals."""

from typing import Annotated

from ninja import Schema
from pydantic import BeforeValidator, ConfigDict, StringConstraints

from leaderboard.submissions.drafts import MAX_WORD_CHARACTERS

Interval = tuple[float, float]
Word = Annotated[str, StringConstraints(max_length=MAX_WORD_CHARACTERS)]
Name = Annotated[str, StringConstraints(max_length=300)]


def _said(longest: int, *, may_be_empty: bool = False) -> StringConstraints:
    return StringConstraints(max_length=longest, pattern=None if may_be_empty else r"\S")


def _whole(value: object) -> object:
    """JSON knows one kind of number: 3.0 is 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = BeforeValidator(_whole)
PersonsName = Annotated[str, _said(120)]
TeamsName = Annotated[str, _said(60)]
Reason = Annotated[str, _said(500)]
Affiliation = Annotated[str, _said(200, may_be_empty=True)]


class Body(Schema):
    """What is sent: a field that there is not is refused, since it would be taken for kept.

    Values are of the very types of their description: 0.0 is no "false", and "1" no number.
    """

    model_config = ConfigDict(extra="forbid", strict=True)


class FieldError(Schema):
    """What is wrong with one field."""

    field: str
    detail: str


class ProblemDetails(Schema):
    """A refusal (RFC 9457): `detail` is the sentence that the pages show."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []
