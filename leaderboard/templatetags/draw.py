"""Dots and intervals as SVG that the server draws: x in per cent, y in pixels, no viewBox.

Such a picture stretches to any width without distorting its dots, needs no script, and takes its colours from the
stylesheet, so both themes and print work. Every axis of scores begins at 0; 0 is the middle of one of differences.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from leaderboard.board.rows import GroupTable
from leaderboard.progress.comparison import Comparison, Difference
from leaderboard.progress.listing import Line

register = template.Library()

# (where the axis ends, in how many parts it is divided): at most five gridlines, four where labels have two decimals
_AXES = ((0.06, 3), (0.12, 3), (0.2, 4), (0.3, 3), (0.4, 4), (0.5, 5), (0.6, 3), (0.8, 4), (1.0, 5))


@dataclass(frozen=True)
class Axis:
    """A scale from 0 to `end`, divided into `parts`."""

    end: float
    parts: int

    def percent(self, value: float) -> str:
        """Where `value` lies on the axis, as an SVG length."""
        return f"{min(max(value / self.end, 0.0), 1.0) * 100:.2f}%"


def axis_for(values: Iterable[float]) -> Axis:
    """The shortest axis that holds all of `values` (Dice, rates: 0 to 1); the whole one where nothing is above 0."""
    largest = max(values, default=0.0) or 1.0
    return next((Axis(end, parts) for end, parts in _AXES if largest <= end), Axis(*_AXES[-1]))


@register.filter
def shared_axis(tables: Iterable[GroupTable]) -> Axis:
    """The axis on which the groups of several tables can be compared."""
    return axis_for(reach(line.dice, line.dice_ci) for table in tables for line in table.lines)


@register.filter
def lines_axis(lines: Iterable[Line]) -> Axis:
    """The axis on which runs of a list can be compared."""
    return axis_for(reach(line.figures.dice, line.figures.dice_ci) for line in lines if line.figures)


def reach(value: float | None, ends: Sequence[float] | None) -> float:
    """How far a dot and its interval reach."""
    return max(value or 0.0, ends[1] if ends else 0.0)


@register.simple_tag
def ticks(axis: Axis) -> SafeString:
    """The labels of an axis, to stand above or below its pictures."""
    labels = format_html_join(
        "",
        '<text x="{}%" y="13" class="{}">{}</text>',
        (
            (f"{part * 100 / axis.parts:.2f}", _anchor(part, axis.parts), f"{axis.end * part / axis.parts:g}")
            for part in range(axis.parts + 1)
        ),
    )
    return format_html('<svg class="axis" aria-hidden="true">{}</svg>', labels)


def _anchor(part: int, parts: int) -> str:
    return "first" if part == 0 else "last" if part == parts else "middle" if 2 * part == parts else ""


@register.simple_tag
def dot(axis: Axis, value: float | None, ends: Sequence[float] | None, css: str = "") -> SafeString:
    """A score as a dot with its 95 % interval as a line, over the gridlines of `axis`.

    The picture is hidden from readers of text: the numbers always stand beside it.
    """
    if value is None:
        return format_html('<svg class="di g{} {}" aria-hidden="true"></svg>', axis.parts, css)
    line = (
        format_html(
            '<line class="iv" x1="{}" x2="{}" y1="50%" y2="50%"/>', axis.percent(ends[0]), axis.percent(ends[1])
        )
        if ends
        else ""
    )
    return format_html(
        '<svg class="di g{} {}" aria-hidden="true">{}<circle class="pt" cx="{}" cy="50%" r="4.5"/></svg>',
        axis.parts,
        css,
        line,
        axis.percent(value),
    )


# --- runs side by side ------------------------------------------------------------------------------------------------

# A shape for each run that is compared, around the middle of a dot: colour alone never tells them apart.
_SHAPES = (
    '<circle class="a" r="4.5"/>',
    '<path class="b" d="M-4.5 -4.5h9v9h-9z"/>',
    '<path class="c" d="M0 -5.5l5.5 5.5-5.5 5.5-5.5-5.5z"/>',
    '<path class="d" d="M0 -5.5l5.5 9.5h-11z"/>',
    '<path class="e" d="M0 5.5l5.5 -9.5h-11z"/>',
)
_LANE = 14  # pixels
_REACHES = (0.02, 0.04, 0.08, 0.2, 0.4, 1.0)


@register.simple_tag
def shape(place: int) -> SafeString:
    """The shape of a compared run."""
    return mark_safe(f'<svg class="shp" viewBox="-8 -8 16 16" aria-hidden="true">{_SHAPES[place]}</svg>')  # noqa: S308


@register.filter
def lanes_axis(comparison: Comparison) -> Axis:
    """The axis that the groups of all compared runs share."""
    return axis_for(reach(*score) for row in comparison.groups for score in row.scores)


@register.simple_tag
def lanes(axis: Axis, scores: Sequence[tuple[float | None, Sequence[float] | None]]) -> SafeString:
    """A group's scores, one under the other, each in its run's shape; the numbers stand beside it as text."""
    drawn = [
        _lane(axis, place, value, ends, 9 + _LANE * place)
        for place, (value, ends) in enumerate(scores)
        if value is not None
    ]
    height = 18 + _LANE * (len(scores) - 1)
    parts = format_html_join("", "{}", ((one,) for one in drawn))
    return format_html('<svg class="di lanes g{}" height="{}" aria-hidden="true">{}</svg>', axis.parts, height, parts)


def _lane(axis: Axis, place: int, value: float, ends: Sequence[float] | None, y: int) -> SafeString:
    low, high = (axis.percent(end) for end in ends) if ends else (axis.percent(value), axis.percent(value))
    return format_html(
        '<line class="iv" x1="{}" x2="{}" y1="{}" y2="{}"/><svg class="at" x="{}" y="{}">{}</svg>',
        *(low, high, y, y, axis.percent(value), y),
        mark_safe(_SHAPES[place]),  # noqa: S308
    )


@register.filter
def reach_of(comparison: Comparison) -> float:
    """How far the axis of differences goes to both sides: nine groups of ten fit, the others end at its edge."""
    shown = [one for row in comparison.groups for _, one in row.against if one]
    ends = sorted(max(map(abs, (one.value, *(one.ends or ())))) for one in shown)
    largest = ends[int(0.9 * (len(ends) - 1))] if ends else 0.0
    return _reach(largest)


@register.filter
def reach_overall(comparison: Comparison) -> float:
    """The same for the differences over all cases, which all fit."""
    return _reach(
        max((max(map(abs, (one.value, *(one.ends or ())))) for one in comparison.overall if one), default=0.0)
    )


def _reach(largest: float) -> float:
    return next((one for one in _REACHES if largest <= one), _REACHES[-1])


@register.simple_tag
def difference_ticks(furthest: float) -> SafeString:
    """The labels of an axis of differences."""
    return format_html(
        '<svg class="axis" aria-hidden="true"><text x="0%" y="13" class="first">−{0}</text>'
        '<text x="50%" y="13" class="middle">0</text><text x="100%" y="13" class="last">+{0}</text></svg>',
        f"{furthest:g}",
    )


@register.simple_tag
def dif(furthest: float, difference: Difference | None) -> SafeString:
    """A difference with its interval around 0; hollow and dashed where the interval holds 0."""
    if difference is None:
        return mark_safe('<svg class="dif" aria-hidden="true"></svg>')
    ends = difference.ends or (difference.value, difference.value)
    css = "dif none" if difference.is_open else "dif"
    return format_html(
        '<svg class="{}" aria-hidden="true"><line class="z" x1="50%" x2="50%" y1="0" y2="100%"/>'
        '<line class="iv" x1="{}" x2="{}" y1="50%" y2="50%"/><circle class="pt" cx="{}" cy="50%" r="4"/></svg>',
        *(css, *(_around_zero(furthest, one) for one in (*ends, difference.value))),
    )


def _around_zero(furthest: float, value: float) -> str:
    return f"{50 + 50 * min(max(value / furthest, -1.0), 1.0):.2f}%"
