"""What a board consists of: its rows, and the groups of findings within a row."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple, Protocol, Self, overload

from evaluation import CATEGORIES, Kind, kind_of
from leaderboard.board.disclosure import Interval, Scores
from leaderboard.board.order import Order, certainty_of
from leaderboard.board.references import Reference, references_of
from leaderboard.board.spread import DiceCounts, SizeBin
from leaderboard.challenge.categories import ALL, GROUPS
from leaderboard.models import BoardRow, BoardVersion, CaseSet, Phase, Rescoring, Submission, Team
from leaderboard.states import SubmissionKind


@dataclass(frozen=True, kw_only=True)
class GroupLine(Scores):
    """One group of `n` findings within a row."""

    code: str
    n: int

    @property
    def label(self) -> str:
        """What the group is called."""
        return GROUPS[self.code]


class Line(Protocol):
    """A group of findings as a table shows it, of a run or of a reference row."""

    @property
    def code(self) -> str:
        """Which one."""

    @property
    def label(self) -> str:
        """What it is called."""

    @property
    def n(self) -> int | None:
        """How many findings it has, if that is known."""

    @property
    def dice(self) -> float:
        """Their Dice."""

    @property
    def dice_ci(self) -> Interval | None:
        """Its 95 % interval."""

    @property
    def hit_rate(self) -> float | None:
        """Their hit rate."""


@dataclass(frozen=True)
class GroupTable:
    """Groups of findings that stand in one table."""

    title: str
    head: str
    lines: Sequence[Line]


def group_tables(lines: Sequence[Line]) -> list[GroupTable]:
    """The groups of a row in tables: by kind and size, non-focal, focal; those with no line left out."""
    tables = (
        GroupTable("By kind and size", "Findings", [line for line in lines if line.code not in CATEGORIES]),
        GroupTable("Non-focal", "Category", _of_kind(lines, Kind.NON_FOCAL)),
        GroupTable("Focal", "Category", _of_kind(lines, Kind.FOCAL)),
    )
    return [table for table in tables if table.lines]


def _of_kind(lines: Sequence[Line], kind: Kind) -> list[Line]:
    return [line for line in lines if line.code in CATEGORIES and kind_of(line.code) is kind]


class ShownTeam(NamedTuple):
    """A team as a board names it."""

    pk: int
    name: str
    slug: str

    def is_own(self, team: Team | None) -> bool:
        """Whether it is this team, which is that of who reads; None where one has none."""
        return team is not None and self.pk == team.pk


class Opened(NamedTuple):
    """What an opened row says on top: its groups of findings, and words of its team (Markdown).

    `sizes` are bins of the sizes of findings, each with its mean Dice, `dice` how many findings lie in which bin of
    Dice; none and None where no single results were kept.
    """

    groups: list[GroupLine]
    method: str
    external_data: str
    sizes: list[tuple[SizeBin, float]]
    dice: DiceCounts | None


def _with_tuples(read: Mapping[str, Any]) -> dict[str, Any]:
    """Intervals as they were before they were stored as JSON."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in read.items()}


_SCORES = [field.name for field in fields(Scores)]


@dataclass(frozen=True, kw_only=True)
class Row(Scores):
    """A team's run on the board. Numbers are as they were published; None is "not shown".

    `rank` is that of the team's counting run; organisers' own teams, masks that stand apart, and post-challenge runs
    have none. `submission` is its key, `run` that of its run; `seconds_per_case` is a median (board.timing). Rows that
    were made before there were these two have None. Where it `is_anonymous`, it says nothing of whose it is, and
    `team.pk`, `submission` and `run` are for nobody else to see.

    Where it is known how sure the order is, `place` is the row's place among those that hold a rank, `rank_interval`
    has the ends of the 95 % interval of its rank, and `tied_with_the_top` says that it can't be told from a first one.
    """

    rank: int | None
    team: ShownTeam
    submission: int
    algorithm: str
    affiliation: str
    entry: str
    kind: str
    lost_cases: int
    runs: int
    date: datetime
    paper_url: str
    code_url: str
    commitment: str
    committed_at: datetime | None
    source: BoardRow
    place: int | None = None
    rank_interval: tuple[int, int] | None = None
    tied_with_the_top: bool = False
    of_organisers: bool = False
    run: int | None = None
    seconds_per_case: float | None = None
    is_anonymous: bool = False

    @classmethod
    def of(cls, row: BoardRow, listed: "Listed", group: str) -> Self:
        """A row with its numbers over a group of findings."""
        shown = {**row.shown}
        if group != ALL:
            [line] = (one for one in row.opened["groups"] if one["code"] == group)
            shown |= {name: line[name] for name in _SCORES}
        committed_at, team = shown.pop("committed_at"), shown.pop("team")
        return cls(
            **_with_tuples(shown),
            team=ShownTeam(*team),
            committed_at=datetime.fromisoformat(committed_at) if committed_at else None,
            rank=listed.rank,
            runs=listed.runs,
            place=listed.place,
            rank_interval=listed.rank_interval,
            tied_with_the_top=listed.tied_with_the_top,
            submission=row.submission_id,
            date=row.accepted_at,
            source=row,
        )

    @property
    def opened(self) -> Opened:
        """What it says when it is opened; read when it is asked for, unless it was with the row."""
        said = self.source.opened
        lines = [GroupLine(**_with_tuples(numbers)) for numbers in said["groups"]]
        spread = said.get("spread") or {"sizes": [], "dice": None}
        sizes = [(SizeBin(one["low"], one["high"], one["n"]), one["dice"]) for one in spread["sizes"]]
        dice = DiceCounts(**spread["dice"]) if spread["dice"] else None
        return Opened(lines, said["method"], said["external_data"], sizes, dice)

    @property
    def told_submission(self) -> int | None:
        """The key of its submission for others to see; None where it says nothing of whose it is."""
        return None if self.is_anonymous else self.submission

    @property
    def key(self) -> str:
        """Names the row on its page: a team can have two, of which one is not ranked."""
        return f"after.{self.team.slug}" if self.is_post_challenge else self.team.slug

    @property
    def is_of_masks(self) -> bool:
        """Whether masks were handed in, which no container of ours wrote."""
        return self.entry == Submission.Entry.MASKS

    @property
    def is_post_challenge(self) -> bool:
        """Whether it came after the deadline."""
        return self.kind == SubmissionKind.POST_CHALLENGE

    @property
    def listed(self) -> str:
        """For what it is listed: "ranked", or without a rank "organisers", "masks", "post_challenge", "unranked".

        The last one in a phase that ranks nobody.
        """
        if self.rank:
            return "ranked"
        if self.is_post_challenge:
            return "post_challenge"
        if self.of_organisers:
            return "organisers"
        return "masks" if self.is_of_masks else "unranked"


class Listed(NamedTuple):
    """A row (its key) in a list, with what its version says of it (`Row`)."""

    row: int
    rank: int | None
    runs: int
    place: int | None = None
    rank_interval: tuple[int, int] | None = None
    tied_with_the_top: bool = False


Read = Callable[[Sequence[int]], Mapping[int, BoardRow]]


class Listing(Sequence[Row]):
    """A list of a board, in its order.

    Rows are read as they are asked for, those of a slice together; one that was deleted meanwhile is left out.
    """

    def __init__(self, places: Sequence[Listed], read: Read, group: str) -> None:
        self.places = places
        self._read = read
        self._group = group

    def only(self, kept: Container[int] | None) -> "Listing":
        """The same with these rows (their keys) alone; None: with all."""
        if kept is None:
            return self
        return Listing([one for one in self.places if one.row in kept], self._read, self._group)

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Row]:
        return iter(self[:])

    def those(self, places: Iterable[int]) -> dict[int, Row]:
        """The rows at these places of it, read together."""
        wanted = {place: self.places[place] for place in places}
        rows = {row.source.pk: row for row in Listing(list(wanted.values()), self._read, self._group)}
        return {place: rows[one.row] for place, one in wanted.items() if one.row in rows}

    @property
    def ranked(self) -> "Listing":
        """Those of it that hold a rank."""
        return Listing([one for one in self.places if one.rank is not None], self._read, self._group)

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...

    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        wanted = self.places[place] if isinstance(place, slice) else [self.places[place]]
        known = self._read([one.row for one in wanted]) if wanted else {}
        rows = [Row.of(known[one.row], one, self._group) for one in wanted if one.row in known]
        return rows if isinstance(place, slice) else rows[0]


@dataclass(frozen=True, kw_only=True)
class Figures(Scores):
    """The numbers of one run with their intervals, for its own page: over `cases`, of which some were lost."""

    cases: int
    lost_cases: int
    scope: str
    evaluation_version: str


@dataclass(frozen=True, kw_only=True)
class Board:
    """The ranked board of a phase and track, read by one group of findings and in one order.

    `version` is None before the first one was made; `rows` are what counts, organisers' teams among them without a
    rank; `masks` are what was handed in as masks, where these are not ranked; `after` are the post-challenge runs,
    which are never ranked; `everything` is all three, one after the other. `reach` is how far the dots and intervals of
    what it draws go.
    """

    phase: Phase
    track: str
    group: str
    version: BoardVersion | None
    rows: Listing
    masks: Listing
    after: Listing
    everything: Listing
    reach: float

    @cached_property
    def case_set(self) -> CaseSet:
        """The cases by whose references its version was made: a re-scoring may have brought others since."""
        if self.version is None or self.version.evaluation_version == self.phase.ranked_version:
            return self.phase.case_set
        done = Rescoring.objects.filter(phase=self.phase, from_version=self.version.evaluation_version)
        applied = done.filter(state=Rescoring.State.APPLIED).select_related("from_cases").first()
        return applied.from_cases if applied else self.phase.case_set

    @cached_property
    def references(self) -> list[Reference]:
        """Results from elsewhere, for a list of their own; read when they are asked for."""
        return references_of(self.phase, self.group)

    @cached_property
    def order(self) -> Order | None:
        """How sure the order by all findings is, where that is known; read when it is asked for."""
        stored = certainty_of(self.version) if self.version else None
        return Order.of(stored) if stored else None

    def at_places(self, places: Iterable[int]) -> dict[int, Row]:
        """The rows at these places of its `order` (`Row.place`), in whichever order they stand; read together."""
        where = {one.place: at for at, one in enumerate(self.rows.places) if one.place is not None}
        found = self.rows.those(where[place] for place in places if place in where)
        return {row.place: row for row in found.values() if row.place is not None}

    @property
    def all_are_tied(self) -> bool:
        """Whether no team can be told from the first one: then that is said once, and marks no row."""
        ranked = [one for one in self.rows.places if one.rank is not None]
        return len(ranked) > 1 and all(one.tied_with_the_top for one in ranked)

    @cached_property
    def _slugs(self) -> dict[int, str]:
        """The teams of the rows that hold a rank, by their places; without what else rows say."""
        place_of = {one.row: one.place for one in self.rows.places if one.place is not None}
        stored = BoardRow.objects.filter(pk__in=place_of).values_list("pk", "shown__team__2")
        return {place_of[row]: slug for row, slug in stored}

    def not_told_from(self, row: Row) -> list[str] | None:
        """The teams (their slugs) that a row's team can't be told from, best first; None where that is not known."""
        if row.place is None or self.order is None:
            return None
        return [self._slugs[place] for place in self.order.not_told_from(row.place) if place in self._slugs]

    @property
    def scope(self) -> str:
        """The cases that feed its numbers; empty where nothing is published."""
        return self.version.scope if self.version else ""

    @property
    def is_revealed(self) -> bool:
        """Whether its numbers are exact, and groups of any size shown."""
        return bool(self.version and self.version.is_revealed)

    @property
    def is_anonymous(self) -> bool:
        """Whether it does not say whose its rows are."""
        return bool(self.version and self.version.rules.get("anonymous"))

    @property
    def cases(self) -> int:
        """How many these are; 0 while it has no row."""
        return self.version.cases if self.version else 0

    @property
    def groups(self) -> list[tuple[str, str]]:
        """The groups, each with its label, by which it can be read, and the one by which it is."""
        shown = {ALL, self.group, *(self.version.shown_groups if self.version else ())}
        return [(code, label) for code, label in GROUPS.items() if code in shown]

    @property
    def facts(self) -> dict[str, Any]:
        """By what it was made: for whoever reads or quotes it."""
        version = self.version
        return {
            "phase": self.phase.slug,
            "track": self.track,
            "version": version.number if version else None,
            "scope": self.scope or None,
            "cases": self.cases,
            "evaluation_version": version.evaluation_version if version else None,
        }
