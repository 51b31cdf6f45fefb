"""Public case sets."""

from datetime import datetime
from typing import Annotated

from ninja import Schema
from pydantic import Field

from leaderboard.api.schemas.base import Body, Whole


class CaseSetOut(Schema):
    """A public case set. Its files are at `images/NAME` and `masks/NAME` beside its lists, for the same token."""

    name: str
    cases: int
    bytes: int
    terms: str
    terms_version: int | None
    accepted_at: datetime | None
    sums_url: str | None
    dataset_url: str | None


class TermsIn(Body):
    """The version of the terms that was read, and is accepted."""

    version: Annotated[int, Field(ge=1, le=2**31 - 1), Whole]
