"""How often each team takes each rank when the cases are drawn anew: a blob plot, as in challengeR.

The area of a dot is the share of resamples; a line is the middle 95 % of ranks, a cross their median.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from django.utils.safestring import SafeString

from leaderboard.charts.picture import About, Picture, Table, nothing
from leaderboard.charts.rows import MIDDLE, Row, in_rows, kind
from leaderboard.charts.scales import round_step
from leaderboard.charts.shapes import key
from leaderboard.charts.svg import at, element
from leaderboard.charts.words import counted, name, ranks, share

_LARGEST, _LARGEST_OF_MANY = 11.0, 8.0  # pixels, the radius of the largest dot
_LEAST = 0.005  # a smaller share would be no dot that one can see
_MANY = 14  # ranks: in a narrow picture of more of them dots are smaller
_CROSS = element("path", css="median", d="M-4 -4l8 8M4 -4l-8 8")


@dataclass(frozen=True)
class RankShares:
    """A team's rank, the share of resamples (0 to 1) in which it takes each, their median, and the middle 95 %."""

    name: str
    rank: int
    shares: Mapping[int, float]
    median: float
    interval: tuple[float, float]
    is_own: bool = False


def rank_stability(about: About, teams: Sequence[RankShares]) -> Picture:
    """The teams of a page, in the order given, over the ranks that they take."""
    table = _table(about, teams)
    if not teams:
        return nothing(about, table)
    span = _span(teams)
    largest = max((part for team in teams for part in team.shares.values()), default=1.0)
    unit = (_LARGEST_OF_MANY if span.count > _MANY else _LARGEST) / sqrt(largest)
    rows = [
        Row(team.name, _marks(span, team, unit), ranks(*team.interval), rank=team.rank, css=kind(is_own=team.is_own))
        for team in teams
    ]
    many = " many" if span.count > _MANY else ""
    drawing = in_rows(about, _said(teams), rows, span.ticks(), css=f"blobs{many}")
    blob = element("circle", css="blob", r=5)
    line = element("line", css="iv", x1=-8, x2=8)
    return Picture(
        drawing, table, key((blob, "area: share of resamples"), (line, "the middle 95 %"), (_CROSS, "median"))
    )


@dataclass(frozen=True)
class _Span:
    """Ranks from the first to the last that is drawn, side by side."""

    first: int
    last: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1

    def share(self, rank: float) -> float:
        return (rank - self.first + 0.5) / self.count

    def percent(self, rank: float) -> str:
        return f"{100 * self.share(rank):.2f}%"

    def ticks(self) -> list[tuple[float, str]]:
        """Each rank, or as many round ones as a phone has room for."""
        if self.count <= _MANY:
            return [(self.share(rank), str(rank)) for rank in range(self.first, self.last + 1)]
        every = round_step(self.count, 8)
        named = [rank for rank in range(self.first, self.last + 1) if rank % every == 0]
        return [(self.share(rank), str(rank)) for rank in named]


def _span(teams: Sequence[RankShares]) -> _Span:
    drawn = [rank for team in teams for rank, part in team.shares.items() if part >= _LEAST]
    ends = [end for team in teams for end in team.interval]
    return _Span(int(min(*drawn, *ends)), int(max(*drawn, *ends) + 0.5))


def _marks(span: _Span, team: RankShares, unit: float) -> list[SafeString]:
    """`unit`: the radius, in pixels, of a dot for all resamples. Large ones first, so that none hides a smaller one."""
    often = sorted(team.shares.items(), key=lambda item: (-item[1], item[0]))
    dots = [
        element("circle", css="blob", cx=span.percent(rank), cy=MIDDLE, r=round(unit * sqrt(part), 1))
        for rank, part in often
        if part >= _LEAST
    ]
    low, high = (span.percent(end) for end in team.interval)
    line = element("line", css="iv", x1=low, x2=high, y1=MIDDLE, y2=MIDDLE)
    return [*dots, line, at(span.percent(team.median), MIDDLE, _CROSS)]


def _said(teams: Sequence[RankShares]) -> str:
    firm = [team for team in teams if team.interval[0] == team.interval[1]]
    firm_ones = counted(len(firm), "team keeps its rank", "teams keep their rank")
    may_be_first = [team for team in teams if team.interval[0] <= 1]
    first = f" {len(may_be_first)} may be first." if may_be_first else ""
    widest = max(teams, key=lambda team: team.interval[1] - team.interval[0])
    least = (
        ""
        if len(firm) == len(teams)
        else f" The least sure is {name(widest.name)}, rank {ranks(*widest.interval)} in 95 % of resamples."
    )
    return f"{counted(len(teams), 'team')}.{first} {firm_ones} in 95 % of resamples.{least}"


def _table(about: About, teams: Sequence[RankShares]) -> Table:
    return Table(
        about.title,
        ("Team", "Rank", "Median", "95 % interval", "Share of resamples by rank"),
        [
            (
                name(team.name),
                str(team.rank),
                f"{team.median:g}",
                ranks(*team.interval),
                "; ".join(f"{rank}: {share(part)}" for rank, part in sorted(team.shares.items()) if part >= _LEAST),
            )
            for team in teams
        ],
    )
