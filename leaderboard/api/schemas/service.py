"""How the service is."""

from datetime import datetime

from ninja import Field, Schema


class PauseOut(Schema):
    """A pause for maintenance: what runs is brought to its end, nothing new starts, submissions are taken."""

    begins_at: datetime
    ends_at: datetime
    words: str = Field(description="What is done.")


class StatusOut(Schema):
    """Whether runs start, at an instant of the server's clock."""

    at: datetime
    starts_runs: bool = Field(description="False in a pause for maintenance.")
    pause: PauseOut | None = Field(description="The pause that lasts, or the next one that is planned.")
