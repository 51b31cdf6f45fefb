"""What a board consists of: its rows, and the groups of findings within a row."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload

from evaluation import CATEGORIES, Kind, kind_of
from leaderboard.board.disclosure import Disclosure, Scores
from leaderboard.board.places import Place
from leaderboard.models import Phase, Run, Standing, Submission, Team


@dataclass(frozen=True, kw_only=True)
class GroupLine(Scores):
    """One group of `n` findings within a row."""

    code: str
    label: str
    n: int


@dataclass(frozen=True)
class GroupTable:
    """Groups of findings that stand in one table."""

    title: str
    head: str
    lines: list[GroupLine]


def group_tables(lines: Sequence[GroupLine]) -> list[GroupTable]:
    """The groups of a run in tables: by kind and size, non-focal, focal; those with no line left out."""
    tables = (
        GroupTable("By kind and size", "Findings", [line for line in lines if line.code not in CATEGORIES]),
        GroupTable("Non-focal", "Category", _of_kind(lines, Kind.NON_FOCAL)),
        GroupTable("Focal", "Category", _of_kind(lines, Kind.FOCAL)),
    )
    return [table for table in tables if table.lines]


def _of_kind(lines: Sequence[GroupLine], kind: Kind) -> list[GroupLine]:
    return [line for line in lines if line.code in CATEGORIES and kind_of(line.code) is kind]


@dataclass(frozen=True, kw_only=True)
class Row(Scores):
    """A team's run on the board. Numbers are as the phase's policy shows them; None is "not shown".

    `rank` is that of the team's counting run; masks that stand apart, and post-challenge runs, have none.
    """

    rank: int | None
    team: Team
    submission: Submission
    run: Run
    algorithm: str
    affiliation: str
    lost_cases: int
    runs: int
    date: datetime
    standing: Standing
    disclosure: Disclosure

    @property
    def key(self) -> str:
        """Names the row on its page: a team can have two, of which one is not ranked."""
        return self.team.slug if self.rank else f"after.{self.team.slug}"

    @property
    def listed(self) -> str:
        """In which of the board's lists it stands: "ranked", "masks", "post_challenge"."""
        if self.rank:
            return "ranked"
        return "post_challenge" if self.submission.is_post_challenge else "masks"


class Listing(Sequence[Row]):
    """A list of a board: its places, in their order. Rows are read as they are asked for, those of a slice together."""

    def __init__(self, places: Sequence[Place], read: Callable[[Sequence[Place]], list[Row]]) -> None:
        self.places = places
        self._read = read

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Row]:
        return iter(self[:])

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...

    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        if isinstance(place, slice):
            wanted = self.places[place]
            return self._read(wanted) if wanted else []
        [row] = self._read([self.places[place]])
        return row


@dataclass(frozen=True, kw_only=True)
class Figures(Scores):
    """The numbers of one run with their intervals, for its own page: over `cases`, of which some were lost."""

    cases: int
    lost_cases: int
    scope: str
    evaluation_version: str


@dataclass(frozen=True, kw_only=True)
class Board:
    """The ranked board of a phase and track, as `disclosure` lets it be read.

    `scope` is None while nothing is published; `masks` are what was handed in as masks, where these are not ranked;
    `after` are the post-challenge runs, which are never ranked; `everything` is all three, one after the other. `reach`
    is how far the dots and intervals of what it draws go, `sample` one of the ranked standings (its key).
    """

    disclosure: Disclosure
    track: str
    group: str
    rows: Sequence[Row]
    masks: Sequence[Row]
    after: Sequence[Row]
    everything: Sequence[Row]
    reach: float
    cases: int
    cases_total: int
    evaluation_version: str
    updated_at: datetime | None
    sample: int | None

    @property
    def phase(self) -> Phase:
        """The phase that it is of."""
        return self.disclosure.phase

    @property
    def scope(self) -> Standing.Scope | None:
        """The cases that feed its numbers; None while nothing is published."""
        return self.disclosure.scope
