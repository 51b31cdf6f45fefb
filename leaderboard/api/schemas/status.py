"""Whether the service is disturbed."""

from datetime import datetime

from ninja import Schema
from pydantic import Field


class LineOut(Schema):
    """A line that stands on every page."""

    text: str
    is_disturbance: bool = Field(description="Whether it says that something does not work as it should.")
    since: datetime
    until: datetime | None = Field(description="Until when it stands, if that is known.")


class StatusOut(Schema):
    """How the service is, as everybody is told; a line appears, and goes, within a minute."""

    at: datetime
    is_disturbed: bool
    lines: list[LineOut]
