"""What a board consists of: its rows, and the groups of findings within a row."""

from dataclasses import dataclass
from datetime import datetime

from leaderboard.board.disclosure import Disclosure, Scores
from leaderboard.models import Phase, Run, Standing, Submission, Team


@dataclass(frozen=True, kw_only=True)
class GroupLine(Scores):
    """One group of `n` findings within a row."""

    code: str
    label: str
    n: int


@dataclass(frozen=True, kw_only=True)
class Row(Scores):
    """A team's counting run on the board. Numbers are as the phase's policy shows them; None is "not shown"."""

    rank: int
    team: Team
    submission: Submission
    run: Run
    algorithm: str
    affiliation: str
    lost_cases: int
    runs: int
    date: datetime
    categories: list[GroupLine]
    groups: list[GroupLine]


@dataclass(frozen=True, kw_only=True)
class Figures(Scores):
    """The numbers of one run with their intervals, for its own page: over `cases`, of which some were lost."""

    cases: int
    lost_cases: int
    scope: str
    evaluation_version: str


@dataclass(frozen=True)
class Board:
    """The ranked board of a phase and track, as `disclosure` lets it be read.

    `scope` is None while nothing is published.
    """

    disclosure: Disclosure
    track: str
    group: str
    rows: list[Row]
    cases: int
    cases_total: int
    evaluation_version: str
    updated_at: datetime | None
    groups: list[tuple[str, str]]

    @property
    def phase(self) -> Phase:
        """The phase that it is of."""
        return self.disclosure.phase

    @property
    def scope(self) -> Standing.Scope | None:
        """The cases that feed its numbers; None while nothing is published."""
        return self.disclosure.scope
