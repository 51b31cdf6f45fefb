"""What a board consists of: its rows, and the groups of findings within a row."""

from dataclasses import dataclass
from datetime import datetime

from leaderboard.board.disclosure import Disclosure, Interval
from leaderboard.models import Phase, Run, Standing, Submission, Team


@dataclass(frozen=True)
class GroupLine:
    """One group of findings within a row: `n` findings, mean Dice and hit rate."""

    code: str
    label: str
    n: int
    dice: float
    dice_ci: Interval | None
    hit_rate: float
    hit_rate_ci: Interval | None


@dataclass(frozen=True)
class Row:
    """A team's counting run on the board. Numbers are as the phase's policy shows them; None is "not shown"."""

    rank: int
    team: Team
    submission: Submission
    run: Run
    algorithm: str
    affiliation: str
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
    lost_cases: int
    runs: int
    date: datetime
    categories: list[GroupLine]
    groups: list[GroupLine]


@dataclass(frozen=True)
class Board:
    """The ranked board of a phase and track, as `disclosure` lets it be read.

    `scope` is None while nothing is published.
    """

    disclosure: Disclosure
    phase: Phase
    track: str
    group: str
    scope: Standing.Scope | None
    rows: list[Row]
    cases: int
    cases_total: int
    evaluation_version: str
    updated_at: datetime | None
    groups: list[tuple[str, str]]
