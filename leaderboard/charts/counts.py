"""How many there are of each kind, or in each bin: a bar for each, from one line."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from leaderboard.charts.picture import About, Picture, Table, nothing
from leaderboard.charts.rows import MIDDLE, Row, in_rows
from leaderboard.charts.svg import element, percent
from leaderboard.charts.words import name

Count = tuple[str, int]


def counts_plot(about: About, counts: Sequence[Count], heads: tuple[str, str]) -> Picture:
    """Bars in the order given; `heads` are what they are of, and what is counted."""
    table = Table(about.title, heads, [(name(label), str(count)) for label, count in counts])
    most = max((count for _, count in counts), default=0)
    if not most:
        return nothing(about, table)
    rows = [
        Row(label, [element("rect", css="bar", y=MIDDLE - 5, width=percent(count / most), height=8)], str(count))
        for label, count in counts
    ]
    first = max(counts, key=lambda one: one[1])
    said = f"Most: {first[0]}, {first[1]}."
    return Picture(in_rows(about, said, rows, [(0.0, "")], css="hist-rows count-rows"), table)


def binned(values: Sequence[float], edges: Sequence[float], unit: str) -> list[Count]:
    """How many values lie from each edge to below the next, below the first, and above the last; without empty ends."""
    places = [bisect_right(edges, value) for value in values]
    labels = [
        f"below {edges[0]:g} {unit}",
        *(f"{low:g} to {high:g} {unit}" for low, high in pairwise(edges)),
        f"{edges[-1]:g} {unit} and more",
    ]
    found = [(label.strip(), places.count(place)) for place, label in enumerate(labels)]
    shown = [place for place, (_, count) in enumerate(found) if count]
    return found[shown[0] : shown[-1] + 1] if shown else []
