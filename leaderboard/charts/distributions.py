"""How the Dice of single findings is distributed: a histogram over the mean and its 95 % interval, for each entry."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.utils.safestring import SafeString

from leaderboard.charts.picture import About, Picture, Table, hatched, hatching, nothing
from leaderboard.charts.rows import Row, in_rows, kind
from leaderboard.charts.scales import Axis
from leaderboard.charts.shapes import key
from leaderboard.charts.svg import element, percent
from leaderboard.charts.words import DASH, Interval, counted, interval, name, score, share

_WHOLE = Axis(1.0, 5)  # a distribution is over all that Dice can be
_HEIGHT = 82  # pixels, of a row
_TOP, _BASE = 22.0, 58.0  # of its bars
_MEAN = 68.0
_ZERO = 10  # of the bar of findings with Dice 0, which stands left of the axis


@dataclass(frozen=True)
class Distribution:
    """How many findings lie in each bin of Dice above 0, and how many have exactly 0; None where it is not shown.

    `counts` has a number for each pair of neighbouring `edges`, which rise from 0 to 1; `total` is how many findings
    there are, with those of bins that are not shown, where that is told.
    """

    name: str
    counts: Sequence[int | None]
    zeros: int | None
    mean: float | None
    interval: Interval | None = None
    is_own: bool = False
    total: int | None = None

    @property
    def n(self) -> int:
        """All findings, or those that are shown."""
        return sum(self.counts_shown) + (self.zeros or 0) if self.total is None else self.total

    @property
    def counts_shown(self) -> list[int]:
        """Counts of bins that are shown."""
        return [count for count in self.counts if count is not None]


def distribution_plot(about: About, edges: Sequence[float], entries: Sequence[Distribution]) -> Picture:
    """Histograms of shares, to one scale for all entries; a bin that is not shown is hatched."""
    table = _table(about, edges, entries)
    if not entries:
        return nothing(about, table)
    largest = max((part for entry in entries for part in _shares(entry) if part is not None), default=1.0) or 1.0
    rows = [
        Row(
            entry.name,
            [*_bars(about, edges, entry, largest), *_mean(entry)],
            score(entry.mean),
            interval(entry.interval),
            remark="" if entry.zeros is None else f"{_zeros(entry)} at 0",
            css=kind(is_own=entry.is_own),
        )
        for entry in entries
    ]
    drawing = in_rows(
        about, _said(entries), rows, _WHOLE.ticks(), height=_HEIGHT, css="hist-rows", before=[hatching(about)]
    )
    return Picture(
        drawing, table, key((_ZERO_MARK, "findings with Dice 0"), (_MEAN_MARK, "mean and its 95 % interval"))
    )


_ZERO_MARK = element("rect", css="zero", x=-5, y=-7, width=10, height=14)
_MEAN_MARK = element("g", element("line", css="iv", x1=-8, x2=8), element("circle", css="pt", r=3.5))


def _shares(entry: Distribution) -> list[float | None]:
    """The share of findings with 0, then of each bin."""
    n = entry.n or 1
    return [None if count is None else count / n for count in (entry.zeros, *entry.counts)]


def _bars(about: About, edges: Sequence[float], entry: Distribution, largest: float) -> list[SafeString]:
    zero, *others = _shares(entry)
    bars = [element("line", css="base", x1=-_ZERO - 4, x2="100%", y1=_BASE, y2=_BASE)]
    if zero is None:
        bars.append(
            element("rect", css="na", fill=hatched(about), x=-_ZERO - 4, width=_ZERO, y=_TOP, height=_BASE - _TOP)
        )
    elif zero:
        high = _high(zero, largest)
        bars.append(element("rect", css="zero", x=-_ZERO - 4, width=_ZERO, y=_BASE - high, height=high))
    for (low, top), part in zip(pairwise(edges), others, strict=True):
        x, wide = percent(low), percent(top - low)
        if part is None:
            bars.append(element("rect", css="na", fill=hatched(about), x=x, width=wide, y=_TOP, height=_BASE - _TOP))
        elif part:
            high = _high(part, largest)
            bars.append(element("rect", css="bar", x=x, width=wide, y=_BASE - high, height=high))
    return bars


def _high(part: float, largest: float) -> float:
    return round(max(1.0, (_BASE - _TOP) * part / largest), 1)


def _mean(entry: Distribution) -> list[SafeString]:
    if entry.mean is None:
        return []
    dot = element("circle", css="pt", cx=_WHOLE.percent(entry.mean), cy=_MEAN, r=3.5)
    if not entry.interval:
        return [dot]
    low, high = (_WHOLE.percent(end) for end in entry.interval)
    return [element("line", css="iv", x1=low, x2=high, y1=_MEAN, y2=_MEAN), dot]


def _zeros(entry: Distribution) -> str:
    return "not shown" if entry.zeros is None else share(entry.zeros / (entry.n or 1))


def _said(entries: Sequence[Distribution]) -> str:
    said = ". ".join(_one(entry) for entry in entries[:5])
    more = f" And {counted(len(entries) - 5, 'more entry', 'more entries')}." if len(entries) > 5 else ""
    return f"{said}.{more}"


def _one(entry: Distribution) -> str:
    shown = " that are shown" if entry.total is None and None in entry.counts else ""
    zeros = "" if entry.zeros is None else f", {_zeros(entry)} with Dice 0"
    return f"{name(entry.name)}: mean {score(entry.mean)} of {counted(entry.n, 'finding')}{shown}{zeros}"


def _table(about: About, edges: Sequence[float], entries: Sequence[Distribution]) -> Table:
    bins = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return Table(
        f"{about.title}: how many in each bin. {DASH}: not shown.",
        ("Entry", "Mean", "95 % interval", "Dice 0", *bins),
        [
            (
                name(entry.name),
                score(entry.mean),
                interval(entry.interval) or DASH,
                *(DASH if count is None else str(count) for count in (entry.zeros, *entry.counts)),
            )
            for entry in entries
        ],
    )
