"""How the service is."""

from datetime import datetime

from ninja import Schema
from pydantic import Field


class LineOut(Schema):
    """A line that stands on every page."""

    text: str
    is_disturbance: bool = Field(description="Whether it says that something does not work as it should.")
    since: datetime
    until: datetime | None = Field(description="Until when it stands, if that is known.")


class PauseOut(Schema):
    """A pause for maintenance: what runs is brought to its end, nothing new starts, submissions are taken."""

    begins_at: datetime
    ends_at: datetime
    words: str = Field(description="What is done.")


class StatusOut(Schema):
    """How the service is, as everybody is told; a line appears, and goes, within a minute."""

    at: datetime
    starts_runs: bool = Field(description="False in a pause for maintenance.")
    pause: PauseOut | None = Field(description="The pause that lasts, or the next one that is planned.")
    is_disturbed: bool
    lines: list[LineOut]
