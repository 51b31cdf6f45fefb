"""Dice against the size of a finding: the mean of each entry in each bin of sizes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.utils.safestring import SafeString

from leaderboard.charts.labels import end_label, spread
from leaderboard.charts.picture import About, Picture, Table, drawn, hatched, hatching, nothing
from leaderboard.charts.scales import Axis, axis_for, reach
from leaderboard.charts.shapes import COMPARED, LETTERS, key
from leaderboard.charts.svg import at, element, percent
from leaderboard.charts.words import DASH, Interval, counted, interval, name, score

MOST = len(COMPARED)
_TOP, _BASE, _HEIGHT = 12.0, 212.0, 266  # pixels, of the largest value on the axis, of 0, and of the whole
_APART = 5  # pixels between entries in one bin
_AWAY = 32  # pixels from the last bin to the names


@dataclass(frozen=True)
class Bin:
    """Findings of a size from `low` to below `high` (None: and larger); `n` of them (None: not told)."""

    low: float
    high: float | None
    n: int | None


@dataclass(frozen=True)
class SizeLine:
    """An entry's mean Dice in each bin, and where known its interval; None where it is not shown."""

    name: str
    means: Sequence[float | None]
    intervals: Sequence[Interval | None] = ()

    def interval(self, place: int) -> Interval | None:
        """The interval of a bin."""
        return self.intervals[place] if self.intervals else None


def size_plot(about: About, bins: Sequence[Bin], lines: Sequence[SizeLine], unit: str) -> Picture:
    """At most `MOST` entries, each with a shape of its own; `unit` is that of sizes (“mL”).

    Bins stand side by side, as wide as each other. One that nobody's mean is shown of is hatched.
    """
    if len(lines) > MOST:
        raise ValueError(f"At most {MOST} entries have a shape of their own.")
    table = _table(about, bins, lines, unit)
    if not bins or not lines:
        return nothing(about, table)
    axis = axis_for(
        reach(mean, line.interval(place)) for line in lines for place, mean in enumerate(line.means) if mean is not None
    )
    content = [
        hatching(about),
        *_grid(axis),
        *_bins(about, bins, lines, unit),
        *(_line(axis, line, place, len(lines)) for place, line in enumerate(lines)),
        *_end_labels(axis, lines),
    ]
    shapes = key(*((COMPARED[place], name(line.name)) for place, line in enumerate(lines)))
    return Picture(drawn(about, _said(bins, lines, unit), _HEIGHT, content, "lined sizes"), table, shapes)


def _y(axis: Axis, value: float) -> float:
    return round(_BASE - (_BASE - _TOP) * axis.share(value), 1)


def _grid(axis: Axis) -> Iterator[SafeString]:
    for share, label in axis.ticks():
        y = round(_BASE - (_BASE - _TOP) * share, 1)
        yield element("line", css="grid" if share else "base", x1=0, x2="100%", y1=y, y2=y)
        yield element("text", label, css="yl", x=-8, y=y + 4)


def _bins(about: About, bins: Sequence[Bin], lines: Sequence[SizeLine], unit: str) -> Iterator[SafeString]:
    """Edges with their sizes, n between them; hatched where no mean is shown."""
    wide = 1 / len(bins)
    for place, one in enumerate(bins):
        x, middle = percent(place * wide), percent((place + 0.5) * wide)
        if all(line.means[place] is None for line in lines):
            yield element("rect", css="na", fill=hatched(about), x=x, y=_TOP, width=percent(wide), height=_BASE - _TOP)
        yield element("line", css="base", x1=x, x2=x, y1=_BASE, y2=_BASE + 5)
        yield element("text", f"{one.low:g}", css="xl", x=x, y=_BASE + 19)
        yield element("text", DASH if one.n is None else str(one.n), css="n", x=middle, y=_BASE + 37)
    last = bins[-1].high
    if last is not None:
        yield element("line", css="base", x1="100%", x2="100%", y1=_BASE, y2=_BASE + 5)
        yield element("text", f"{last:g}", css="xl", x="100%", y=_BASE + 19)
    yield element("text", "n", css="yl", x=-8, y=_BASE + 37)
    yield element("text", f"Size of the finding in {unit}; n findings between", css="axis-name", x=0, y=_BASE + 53)


def _line(axis: Axis, line: SizeLine, place: int, count: int) -> SafeString:
    """The means of an entry, joined where neighbours are both shown; moved a little, not to hide another's."""
    letter, wide = LETTERS[place], 1 / len(line.means)
    shown = [
        (percent((bin_place + 0.5) * wide), _y(axis, mean), line.interval(bin_place), bin_place)
        for bin_place, mean in enumerate(line.means)
        if mean is not None
    ]
    joined = [
        element("line", css="ln", x1=x1, x2=x2, y1=y1, y2=y2)
        for (x1, y1, _, before), (x2, y2, _, after) in pairwise(shown)
        if after == before + 1
    ]
    ends = [
        element("line", css="iv", x1=x, x2=x, y1=_y(axis, ends[0]), y2=_y(axis, ends[1]))
        for x, _, ends, _ in shown
        if ends
    ]
    marks = [at(x, y, COMPARED[place]) for x, y, _, _ in shown]
    moved = _APART * (place - (count - 1) / 2)
    return element(
        "g", *joined, *ends, *marks, css=f"of-{letter}", transform=f"translate({moved:g} 0)" if moved else ""
    )


def _end_labels(axis: Axis, lines: Sequence[SizeLine]) -> Iterator[SafeString]:
    ends = [
        (line, _y(axis, mean), LETTERS[place])
        for place, line in enumerate(lines)
        if (mean := next((one for one in reversed(line.means) if one is not None), None)) is not None
    ]
    x = percent((len(lines[0].means) - 0.5) / len(lines[0].means))
    places = spread([y for _, y, _ in ends], _TOP, _BASE)
    for (line, y, letter), label_y in zip(ends, places, strict=True):
        yield end_label(line.name, y, label_y, f"of-{letter}", x=x, away=_AWAY)


def _words(one: Bin, unit: str) -> str:
    return f"{one.low:g} {unit} and more" if one.high is None else f"{one.low:g} to {one.high:g} {unit}"


def _said(bins: Sequence[Bin], lines: Sequence[SizeLine], unit: str) -> str:
    """How each entry does on its smallest and its largest findings that are shown."""
    said = []
    for line in lines:
        shown = [(one, mean) for one, mean in zip(bins, line.means, strict=True) if mean is not None]
        if shown:
            (small, first), (large, last) = shown[0], shown[-1]
            said.append(
                f"{name(line.name)}: {score(first)} at {_words(small, unit)}, {score(last)} at {_words(large, unit)}"
            )
    hidden = sum(all(line.means[place] is None for line in lines) for place in range(len(bins)))
    beside = f" {counted(hidden, 'bin is', 'bins are')} not shown." if hidden else ""
    return f"{'. '.join(said) or 'No means are shown'}.{beside}"


def _table(about: About, bins: Sequence[Bin], lines: Sequence[SizeLine], unit: str) -> Table:
    def cell(line: SizeLine, place: int) -> str:
        mean, ends = line.means[place], line.interval(place)
        if mean is None:
            return DASH
        return f"{score(mean)} ({interval(ends)})" if ends else score(mean)

    return Table(
        f"{about.title}. {DASH}: not shown.",
        ("Size", "n", *(name(line.name) for line in lines)),
        [
            (_words(one, unit), DASH if one.n is None else str(one.n), *(cell(line, place) for line in lines))
            for place, one in enumerate(bins)
        ],
    )
