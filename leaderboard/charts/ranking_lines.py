"""The rank of each team by each of several ways to rank: a line across, with its rank at each way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.utils.safestring import SafeString

from leaderboard.charts.labels import end_label, spread
from leaderboard.charts.picture import About, Picture, Table, drawn, nothing
from leaderboard.charts.svg import at, element, percent
from leaderboard.charts.words import DASH, counted, name

_HEAD = 44  # pixels, of the names of the ways
_ROW = 30
_BEYOND = 2  # ranks beyond those of the first way, for what moves out of them
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class RankedTeam:
    """A team's rank by each way; None where it has none."""

    name: str
    ranks: Sequence[int | None]
    is_own: bool = False

    @property
    def moves(self) -> bool:
        """Whether another way gives it another rank than the first one."""
        return any(rank != self.ranks[0] for rank in self.ranks if rank is not None)


def ranking_lines(about: About, ways: Sequence[str], teams: Sequence[RankedTeam]) -> Picture:
    """Teams in the order of the first way, which is the official one. A rank far from theirs lies at the edge.

    In a narrow picture the ways are called A, B, C, which its key explains.
    """
    table = _table(about, ways, teams)
    if not ways or not teams:
        return nothing(about, table)
    levels = _levels(teams)
    own_last = sorted(teams, key=lambda team: team.is_own)  # over the others
    content = [
        *_heads(ways, levels.bottom),
        *(line for team in own_last for line in _line(levels, ways, team)),
        *(node for team in own_last for node in _nodes(levels, ways, team)),
        *_labels(levels, teams, 0),
        *(_labels(levels, teams, -1) if len(ways) > 1 else ()),
    ]
    drawing = drawn(about, _said(ways, teams), levels.bottom + 8, content, "ways")
    letters = element(
        "ul",
        *(element("li", element("b", letter), way) for letter, way in zip(_LETTERS, ways, strict=False)),
        css="pic-key letters",
    )
    return Picture(drawing, table, letters)


@dataclass(frozen=True)
class _Levels:
    first: int
    last: int

    @property
    def bottom(self) -> float:
        return _HEAD + _ROW * (self.last - self.first + 1)

    def y(self, rank: int) -> float:
        within = min(max(rank, self.first), self.last)
        return _HEAD + _ROW * (within - self.first + 0.5)


def _levels(teams: Sequence[RankedTeam]) -> _Levels:
    every = [rank for team in teams for rank in team.ranks if rank is not None] or [1]
    official = [team.ranks[0] for team in teams if team.ranks[0] is not None] or every
    return _Levels(
        max(min(every), min(official) - _BEYOND),
        min(max(every), max(official) + _BEYOND),
    )


def _x(place: int, ways: Sequence[str]) -> str:
    return percent(place / max(1, len(ways) - 1))


def _heads(ways: Sequence[str], bottom: float) -> Iterator[SafeString]:
    for place, way in enumerate(ways):
        x = _x(place, ways)
        yield element("line", css="grid", x1=x, x2=x, y1=_HEAD - 8, y2=bottom)
        yield element("text", _LETTERS[place % len(_LETTERS)], css="hd narrow", x=x, y=24)
        for line, words in enumerate(_in_two(way)):
            yield element("text", words, css="hd wide", x=x, y=14 + 16 * line)


def _in_two(way: str) -> list[str]:
    """A name in two lines where it has more than ten letters, as even as its spaces allow."""
    words = way.split()
    if len(way) <= 10 or len(words) < 2:
        return [way]
    cuts = [(" ".join(words[:cut]), " ".join(words[cut:])) for cut in range(1, len(words))]
    return list(min(cuts, key=lambda halves: max(map(len, halves))))


def _css(team: RankedTeam) -> str:
    return "own" if team.is_own else "moves" if team.moves else ""


def _line(levels: _Levels, ways: Sequence[str], team: RankedTeam) -> Iterator[SafeString]:
    for (place, before), (_, after) in pairwise(enumerate(team.ranks)):
        if before is not None and after is not None:
            x1, x2 = _x(place, ways), _x(place + 1, ways)
            css = f"ln {_css(team)}".strip()
            yield element("line", css=css, x1=x1, x2=x2, y1=levels.y(before), y2=levels.y(after))


def _nodes(levels: _Levels, ways: Sequence[str], team: RankedTeam) -> Iterator[SafeString]:
    for place, rank in enumerate(team.ranks):
        if rank is not None:
            dot = element("circle", css="nd", r=11)
            yield at(
                _x(place, ways),
                levels.y(rank),
                dot,
                element("text", str(rank), y=4.5),
                css=f"node {_css(team)}".strip(),
            )


def _labels(levels: _Levels, teams: Sequence[RankedTeam], place: int) -> Iterator[SafeString]:
    """Names at the first way, left of it, or at the last."""
    is_left = place == 0
    ends = [(team, levels.y(rank)) for team in teams if (rank := team.ranks[place]) is not None]
    places = spread([y for _, y in ends], _HEAD, levels.bottom)
    for (team, y), label_y in zip(ends, places, strict=True):
        css = f"{'first' if is_left else 'last'} {_css(team)}".strip()
        yield end_label(team.name, y, label_y, css, x="0%" if is_left else "100%", is_left=is_left)


def _said(ways: Sequence[str], teams: Sequence[RankedTeam]) -> str:
    """How many teams another way ranks otherwise, and which one by the most."""
    moving = [team for team in teams if team.moves]
    said = f"{counted(len(teams), 'team')} ranked in {counted(len(ways), 'way')}."
    if not moving:
        return f"{said} All ways give the same order."
    most, by, way = max(
        (
            (team, abs(rank - team.ranks[0]), ways[place])
            for team in moving
            if team.ranks[0] is not None
            for place, rank in enumerate(team.ranks)
            if rank is not None
        ),
        key=lambda move: move[1],
        default=(moving[0], 0, ways[0]),
    )
    return (
        f"{said} {counted(len(teams) - len(moving), 'team keeps its rank', 'teams keep their rank')} in all of them; "
        f"{name(most.name)} moves by {by}, the most, by {way}."
    )


def _table(about: About, ways: Sequence[str], teams: Sequence[RankedTeam]) -> Table:
    return Table(
        about.title,
        ("Team", *ways),
        [(name(team.name), *(DASH if rank is None else str(rank) for rank in team.ranks)) for team in teams],
    )
