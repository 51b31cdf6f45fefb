"""How often each team takes the first three ranks when the cases are drawn anew."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from django.utils.safestring import SafeString

from leaderboard.charts.picture import About, Picture, Table, hatched, hatching, nothing
from leaderboard.charts.rows import Row, in_rows, kind
from leaderboard.charts.shapes import key
from leaderboard.charts.svg import element, percent
from leaderboard.charts.words import counted, name, share

_TOP, _HIGH = 19.0, 16.0  # pixels, of a bar in its row
_ROOM = 0.13  # of the width, that a number needs
_TICKS = ((0.0, "0"), (0.25, ""), (0.5, "50 %"), (0.75, ""), (1.0, "100 %"))


@dataclass(frozen=True)
class PodiumShares:
    """The shares of resamples (0 to 1) in which a team is first, second and third."""

    name: str
    shares: tuple[float, float, float]
    is_own: bool = False

    @property
    def total(self) -> float:
        """How often it is among the first three."""
        return min(1.0, math.fsum(self.shares))


def podium(about: About, teams: Sequence[PodiumShares]) -> Picture:
    """A bar for each team that is ever among the first three, in the order given."""
    there = [team for team in teams if team.total > 0]
    table = _table(about, there)
    if not there:
        return nothing(about, table)
    rows = [Row(team.name, list(_bar(about, team)), share(team.total), css=kind(is_own=team.is_own)) for team in there]
    drawing = in_rows(about, _said(there), rows, _TICKS, css="podium-rows", before=[hatching(about)])
    return Picture(drawing, table, _key(about))


def _bar(about: About, team: PodiumShares) -> Iterator[SafeString]:
    begins = (0.0, *accumulate(team.shares))
    for place, (begin, part) in enumerate(zip(begins, team.shares, strict=False), start=1):
        if not part:
            continue
        x, wide = percent(begin), percent(part)
        yield element("rect", css=f"p{place}", x=x, width=wide, y=_TOP, height=_HIGH)
        if place == 2:
            yield element("rect", fill=hatched(about), x=x, width=wide, y=_TOP, height=_HIGH)
        if part >= _ROOM:
            yield element("text", f"{100 * part:.0f}", css=f"in{place}", x=percent(begin + part / 2), y=_TOP + 12.5)


def _key(about: About) -> SafeString:
    box = {"x": -8, "y": -6, "width": 16, "height": 12}
    second = element("g", element("rect", css="p2", **box), element("rect", fill=hatched(about), **box))
    return key(
        (element("rect", css="p1", **box), "first"), (second, "second"), (element("rect", css="p3", **box), "third")
    )


def _said(teams: Sequence[PodiumShares]) -> str:
    firsts = sorted((team for team in teams if team.shares[0] > 0), key=lambda team: (-team.shares[0], team.name))
    said = ", ".join(f"{name(team.name)} in {share(team.shares[0])}" for team in firsts[:5])
    others = f", {counted(len(firsts) - 5, 'other')} more rarely" if len(firsts) > 5 else ""
    return (
        f"First of all resamples: {said or 'nobody here'}{others}. "
        f"{counted(len(teams), 'team')} ever among the first three."
    )


def _table(about: About, teams: Sequence[PodiumShares]) -> Table:
    return Table(
        about.title,
        ("Team", "First", "Second", "Third", "Among the three"),
        [(name(team.name), *(share(part) for part in team.shares), share(team.total)) for team in teams],
    )
