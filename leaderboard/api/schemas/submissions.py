"""Submissions and what is decided about them."""

from datetime import datetime

from ninja import Schema
from pydantic import Field

from leaderboard.api.schemas.base import Body, Name, Word
from leaderboard.api.schemas.challenge import GroupOut, ScoresOut


class FiguresOut(ScoresOut):
    """The scores of a run, over `cases`, of which some were lost."""

    cases: int
    lost_cases: int
    scope: str
    evaluation_version: str


class WithdrawalOut(Schema):
    """Whether it is withdrawn, and what may be done about that now."""

    withdrawn: bool
    can_withdraw: bool
    can_bring_back: bool


class SubmissionLine(Schema):
    """A submission in its team's list. `counts_in`: the tracks in which its run counts for the team."""

    id: int
    phase: str
    kind: str
    entry: str
    track: str
    algorithm: str
    note: str
    submitted_at: datetime
    state: str
    state_words: str
    percent: int | None
    figures: FiguresOut | None
    counts_in: list[str]
    withdrawal: WithdrawalOut


class StepOut(Schema):
    """A step of the journey: done, cur (under way), todo, bad (where it stopped), never."""

    name: str
    state: str
    detail: str


class EventOut(Schema):
    """A line of the history."""

    at: datetime
    text: str
    by: str


class RangeOut(Schema):
    """In between which instants something is expected."""

    first: datetime
    last: datetime


class EstimateOut(Schema):
    """When it starts and finishes; `none` says why there is no estimate."""

    place: int | None
    start: RangeOut | None
    finish: RangeOut | None
    basis: str
    none: str


class ImageOut(Schema):
    """The image as it is run, and as it was uploaded."""

    id: str
    original_id: str
    bytes: int
    layers: int
    warnings: list[str]


class SubmissionOut(Schema):
    """Everything that the page of a submission shows to its reader."""

    id: int
    phase: str
    kind: str
    entry: str
    track: str
    algorithm: str
    method: str
    external_data: str
    paper_url: str
    code_url: str
    commitment: str
    note: str
    submitted_at: datetime
    state: str
    state_words: str
    finished: bool
    headline: str
    reason: str
    advice: str
    problems: list[str]
    now: str
    percent: int | None
    cases_done: int | None
    cases: int
    cases_failed: int | None
    steps: list[StepOut]
    estimate: EstimateOut | None
    history: list[EventOut]
    figures: FiguresOut | None
    groups: list[GroupOut]
    hints: list[str]
    warnings: list[str]
    image: ImageOut | None
    withdrawal: WithdrawalOut
    can_cancel: bool
    events_url: str = Field(description="Live progress, as server-sent events, for the same token.")
    shows_cases: bool = Field(description="Whether its findings, cases, masks, logs and results can be read.")
    entered_as: int | None = Field(description="Of a try-out: the submission that it became.")
    entry_refusal: str = Field(description="Of a try-out that has ended: why it cannot be entered now.")


class NoteIn(Body):
    """A team's own words on a submission; empty takes them away."""

    note: Word


class WhyIn(Body):
    """Why: asked of organisers alone."""

    why: Word = ""


class AgainIn(Body):
    """The phase for which the image is to be handed in again."""

    phase: Name
