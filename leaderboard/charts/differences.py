"""Paired differences of two entries around 0, each with its 95 % interval."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from leaderboard.charts.picture import About, Picture, Table, nothing
from leaderboard.charts.rows import MIDDLE, Row, in_rows
from leaderboard.charts.scales import SignedAxis, signed_axis_for
from leaderboard.charts.shapes import key
from leaderboard.charts.svg import element
from leaderboard.charts.words import DASH, Interval, counted, name, signed, signed_interval

_HEIGHT = 56  # pixels, of a row: number and interval get a line of their own on a phone


@dataclass(frozen=True)
class Difference:
    """By how much the score of `name` (a team, or two in words) is higher, -1 to 1, with its paired interval."""

    name: str
    value: float
    interval: Interval | None = None

    @property
    def is_open(self) -> bool:
        """Whether the interval holds 0: these cases can't tell the two apart. Of the same masks it is nothing but 0."""
        return self.interval is not None and self.interval[0] <= 0 <= self.interval[1] and any(self.interval)


def difference_plot(about: About, differences: Sequence[Difference], metric: str = "Dice") -> Picture:
    """Differences in the order given; hollow and dashed where the interval holds 0."""
    table = _table(about, differences, metric)
    if not differences:
        return nothing(about, table)
    axis = signed_axis_for(value for one in differences for value in (one.value, *(one.interval or ())))
    rows = [
        Row(
            one.name,
            _marks(axis, one),
            signed(one.value),
            signed_interval(one.interval),
            css="open" if one.is_open else "",
        )
        for one in differences
    ]
    drawing = in_rows(about, _said(differences, metric), rows, axis.ticks(), height=_HEIGHT, css="signed")
    is_any_open = any(one.is_open for one in differences)
    return Picture(drawing, table, key((_OPEN, "the interval holds 0")) if is_any_open else "")


_OPEN = element(
    "g",
    element("line", css="iv", x1=-8, x2=8),
    element("circle", css="pt", r=4),
    css="open",
)


def _marks(axis: SignedAxis, one: Difference) -> list[SafeString]:
    low, high = (axis.percent(end) for end in one.interval or (one.value, one.value))
    return [
        element("line", css="iv", x1=low, x2=high, y1=MIDDLE, y2=MIDDLE),
        element("circle", css="pt", cx=axis.percent(one.value), cy=MIDDLE, r=4.5),
    ]


def _verdict(one: Difference) -> str:
    if one.interval is None:
        return DASH
    return (
        "can’t be told apart"
        if one.is_open
        else "higher"
        if one.value > 0
        else "lower"
        if one.value < 0
        else "the same"
    )


def _said(differences: Sequence[Difference], metric: str) -> str:
    unclear = sum(one.is_open for one in differences)
    largest = max(differences, key=lambda one: abs(one.value))
    ends = f" ({signed_interval(largest.interval)})" if largest.interval else ""
    return (
        f"{counted(len(differences), 'difference')} in {metric}; of {unclear} the 95 % interval holds 0. "
        f"The largest: {name(largest.name)}, {signed(largest.value)}{ends}."
    )


def _table(about: About, differences: Sequence[Difference], metric: str) -> Table:
    return Table(
        about.title,
        ("Compared", f"Difference in {metric}", "95 % interval", "Which"),
        [
            (name(one.name), signed(one.value), signed_interval(one.interval) or DASH, _verdict(one))
            for one in differences
        ],
    )
