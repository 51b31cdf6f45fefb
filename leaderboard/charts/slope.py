"""Ranks before and after something changes, with scores: teams in their order at both sides, a line for each.

Solid rises, dashed falls, pale stays; who is on one side alone has a mark without a line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from leaderboard.charts.labels import both_lengths
from leaderboard.charts.picture import About, Picture, Table, drawn, nothing
from leaderboard.charts.svg import at, element
from leaderboard.charts.words import DASH, counted, name, score, signed

MOST = 25  # teams that are drawn
_NAMED = 6  # of what is said
_HEAD, _ROW = 34, 30  # pixels
_LEFT, _RIGHT = "38%", "62%"
_DRAWN = {"up": "rises", "down": "falls", "same": "stays"}


@dataclass(frozen=True)
class End:
    """Where a team stands: its rank (None: it holds none), and its score."""

    rank: int | None
    score: float

    @property
    def order(self) -> tuple[float, float]:
        """By rank, then by score."""
        return (self.rank or float("inf"), -self.score)


@dataclass(frozen=True)
class Moving:
    """A team before and after; None where it is not on the board."""

    name: str
    before: End | None
    after: End | None

    @property
    def way(self) -> str:
        """`up`, `down` or `same`, by its rank; `same` of what holds none, `new` and `gone` of what is on one side."""
        if self.before is None or self.after is None:
            return "new" if self.before is None else "gone"
        old, new = self.before.rank, self.after.rank
        if old is None or new is None or old == new:
            return "same"
        return "up" if new < old else "down"


def slope(about: About, ways: tuple[str, str], teams: Sequence[Moving]) -> Picture:
    """The first teams of both sides, those that move among them; `ways` are what the sides are called."""
    table = _table(about, ways, teams)
    if not teams:
        return nothing(about, table)
    shown = _shown(teams)
    rows = max(sum(one.before is not None for one in shown), sum(one.after is not None for one in shown))
    before = _places(shown, [one.before for one in shown])
    after = _places(shown, [one.after for one in shown])
    content = [
        element("text", ways[0], css="hd", x=0, y=16),
        at("100%", 0, element("text", ways[1], css="hd right", x=0, y=16)),
        *(part for place, one in enumerate(shown) for part in _team(one, before.get(place), after.get(place))),
    ]
    key = element("ul", *_key(shown, len(teams) - len(shown)), css="pic-key")
    return Picture(drawn(about, _said(teams), _HEAD + _ROW * rows + 4, content, "slope"), table, key)


def _shown(teams: Sequence[Moving]) -> list[Moving]:
    """The first ones of either side; beyond them those that move, as far as there is room."""
    firsts = sorted(teams, key=lambda one: min(end.order for end in (one.before, one.after) if end))
    return firsts[:MOST]


def _places(shown: Sequence[Moving], ends: Sequence[End | None]) -> dict[int, float]:
    """How far down each of them stands at a side."""
    there = [(end.order, name(shown[place].name), place) for place, end in enumerate(ends) if end is not None]
    return {place: _HEAD + _ROW * (row + 0.5) for row, (_, _, place) in enumerate(sorted(there))}


def _team(one: Moving, before: float | None, after: float | None) -> Iterator[SafeString]:
    if before is not None and after is not None:
        yield element("line", css=f"ln {one.way}", x1=_LEFT, x2=_RIGHT, y1=before, y2=after)
    if before is not None and one.before is not None:
        yield from _end(one, one.before, before, is_left=True)
    if after is not None and one.after is not None:
        yield from _end(one, one.after, after, is_left=False)


def _end(one: Moving, end: End, y: float, *, is_left: bool) -> Iterator[SafeString]:
    """Rank, name, score and mark of a team at a side."""
    side, anchor = (1, "") if is_left else (-1, "right")
    css = f"{anchor} {one.way}".strip()
    rank = str(end.rank) if end.rank else DASH
    yield at(
        "0%" if is_left else "100%",
        y,
        element("text", rank, css=f"r {css}", x=0, y=5),
        *both_lengths(one.name, css, x=28 * side, y=5),
    )
    yield at(
        _LEFT if is_left else _RIGHT,
        y,
        element("circle", css=f"nd {one.way}", r=4.5),
        element("text", score(end.score), css=f"v {'right' if is_left else ''}".strip(), x=-12 * side, y=5),
    )


def _key(shown: Sequence[Moving], left_out: int) -> Iterator[SafeString]:
    for way, words in _DRAWN.items():
        if number := sum(one.way == way for one in shown):
            line = element("line", css=f"ln {way}", x1=-8, x2=8)
            sample = element("svg", line, css="shp", viewBox="-8 -8 16 16", aria_hidden="true")
            yield element("li", sample, f"{words}: {number}")
    for way, words in (("new", "only after"), ("gone", "only before")):
        if number := sum(one.way == way for one in shown):
            yield element("li", f"{words}: {number}")
    if left_out:
        yield element("li", f"{counted(left_out, 'team')} further down are left out")


def _said(teams: Sequence[Moving]) -> str:
    """Who moves, as far as that can be said; how many stay."""
    moving = [one for one in teams if one.way != "same"]
    named = ", ".join(f"{name(one.name)} {_rank(one.before)} to {_rank(one.after)}" for one in moving[:_NAMED])
    more = f", and {len(moving) - _NAMED} more" if len(moving) > _NAMED else ""
    stay = counted(len(teams) - len(moving), "team keeps its rank", "teams keep their rank")
    return f"{named}{more}. {stay}." if moving else f"No rank moves. {stay}."


def _rank(end: End | None) -> str:
    return "not on it" if end is None else str(end.rank) if end.rank else "no rank"


def _table(about: About, ways: tuple[str, str], teams: Sequence[Moving]) -> Table:
    heads = ("Team", f"Rank: {ways[0]}", f"Rank: {ways[1]}", f"Dice: {ways[0]}", f"Dice: {ways[1]}", "Change")
    return Table(about.title, heads, [_row(one) for one in teams])


def _row(one: Moving) -> tuple[str, ...]:
    ends = (one.before, one.after)
    change = signed(one.after.score - one.before.score) if one.before and one.after else DASH
    return name(one.name), *map(_rank, ends), *(score(end.score if end else None) for end in ends), change
