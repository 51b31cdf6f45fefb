"""Phases, quotas, boards."""

from datetime import date, datetime

from ninja import Schema
from pydantic import BaseModel, ConfigDict, Field

from leaderboard.api.schemas.base import Interval
from leaderboard.challenge.reference_rows import Numbers


class PhaseLimits(Schema):
    """What a run may take."""

    case_seconds: int
    startup_seconds: int
    cases_per_container: int
    cpus: float
    gpus: int
    memory_bytes: int
    max_archive_bytes: int
    max_unpacked_bytes: int
    max_masks_bytes: int


class PhaseOut(Schema):
    """A phase, with its policies."""

    slug: str
    name: str
    description: str
    opens_at: datetime
    closes_at: datetime
    is_open: bool
    takes_post_challenge_runs: bool
    cases_are_public: bool
    takes: list[str] = Field(description="What teams hand in: images, masks.")
    counting: str = Field(description="Which run counts: the last or the best.")
    publication: str
    half_commitment: str = Field(description="Fixes which cases are the public half, where one is shown; may be empty.")
    revealed_at: datetime | None
    cases_published_at: datetime | None = Field(description="From when on numbers of single hidden cases are exported.")
    findings_published_at: datetime | None = Field(description="The same of single findings.")
    embargo_until: datetime | None = Field(description="Until then no results are published, whatever else is said.")
    anonymous_until_reveal: bool = Field(description="Boards say “Team 7” in place of names until the reveal.")
    is_draft: bool = Field(description="Organisers prepare it, and nobody else is told of it.")
    try_outs: bool
    try_out_required: bool
    commitment: str = Field(description="Whether it is asked for: no, optional, required.")
    commitment_text: str
    pdf: str = Field(description="Whether it is asked for: no, optional, required.")
    show_submitters: bool = Field(description="Whether the board names, for everybody, who submitted a run.")
    limits: PhaseLimits


class QuotaOut(Schema):
    """What a team has left of one kind. `refusal` says why none can be handed in now, if that is so."""

    kind: str
    today_limit: int
    today_used: int
    today_left: int
    total_limit: int | None
    total_used: int
    total_left: int | None
    renews_at: datetime | None
    refusal: str


class ScoresOut(BaseModel):
    """Scores with their 95 % intervals."""

    # Not ninja's Schema, which asks a Python object for each value: a page of a board has thousands.
    model_config = ConfigDict(from_attributes=True)

    dice: float
    dice_ci: Interval | None
    hit_rate: float
    hit_rate_ci: Interval | None
    instance_precision: float
    instance_recall: float
    instance_f1: float
    instance_f1_ci: Interval | None
    distance_precision: float | None
    distance_recall: float | None
    distance_f1: float | None
    distance_f1_ci: Interval | None


class GroupOut(ScoresOut):
    """A group of `n` findings."""

    code: str
    label: str
    n: int


class ReferenceRowOut(BaseModel):
    """A result from elsewhere beside a board, never ranked: `not_comparable` says why.

    `numbers` are by group of findings (“all” among them), 0 to 1, with 95 % intervals; what is not known is null.
    """

    name: str
    table: str
    algorithm: str
    institution: str
    prompt: str = Field(description="text, box, or empty")
    training: str = Field(description="zero-shot, fine-tuned, or empty")
    not_comparable: str
    link: str
    published_on: date | None
    source: str
    source_link: str
    source_date: date | None
    cases: int | None
    findings: int | None
    numbers: dict[str, Numbers]


class BoardRowOut(ScoresOut):
    """A team's run on a board. Organisers' own teams, masks that stand apart, and post-challenge runs have no rank."""

    listed: str = Field(description="ranked, organisers, masks, post_challenge, or unranked")
    rank: int | None
    rank_interval: tuple[int, int] | None = Field(description="The ranks of the middle 95 % of resamples.")
    tied_with_the_top: bool | None = Field(description="Whether it is first, or tests can't tell it from one that is.")
    not_told_from: list[str] | None = Field(description="The teams (slugs) that tests can't tell it from, best first.")
    team: str
    team_slug: str
    affiliation: str
    algorithm: str
    entry: str
    lost_cases: int
    seconds_per_case: float | None = Field(
        description="The median of the time for a case; of hidden cases the nearest of 1, 2, 5, 10, 20, ... seconds."
    )
    runs: int
    submitted_on: date
    groups: list[GroupOut]
