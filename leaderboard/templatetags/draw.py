"""Dots and intervals as SVG that the server draws: x in per cent, y in pixels, no viewBox.

Such a picture stretches to any width without distorting its dots, needs no script, and takes its colours from the
stylesheet, so both themes and print work. Every axis of scores begins at 0; 0 is the middle of one of differences.
"""

from collections.abc import Iterable, Sequence

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from leaderboard.board.comparison import Comparison, Difference
from leaderboard.board.rows import GroupTable
from leaderboard.charts.scales import Axis, SignedAxis, axis_for, reach, signed_axis_for
from leaderboard.charts.shapes import COMPARED, DIAMOND
from leaderboard.charts.shapes import shape as shape_of
from leaderboard.charts.svg import element
from leaderboard.progress.listing import Line

register = template.Library()


@register.filter
def shared_axis(tables: Iterable[GroupTable]) -> Axis:
    """The axis on which the groups of several tables can be compared."""
    return axis_for(reach(line.dice, line.dice_ci) for table in tables for line in table.lines)


@register.filter
def lines_axis(lines: Iterable[Line]) -> Axis:
    """The axis on which runs of a list can be compared."""
    return axis_for(reach(line.figures.dice, line.figures.dice_ci) for line in lines if line.figures)


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
def reference_dot(axis: Axis, value: float, ends: Sequence[float] | None) -> SafeString:
    """The same for what was not run here: a hollow diamond, its interval dashed."""
    low, high = (axis.percent(end) for end in ends or (value, value))
    line = element("line", css="iv ref", x1=low, x2=high, y1="50%", y2="50%")
    mark = element("svg", element("path", css="hollow", d=DIAMOND), css="at", x=axis.percent(value), y="50%")
    return element("svg", *([line] if ends else []), mark, css=f"di g{axis.parts}", aria_hidden="true")


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

_LANE = 14  # pixels


@register.simple_tag
def shape(place: int) -> SafeString:
    """The shape of a compared run."""
    return shape_of(place)


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
        COMPARED[place],
    )


@register.filter
def reach_of(comparison: Comparison) -> float:
    """How far the axis of differences goes to both sides: nine groups of ten fit, the others end at its edge."""
    shown = [one for row in comparison.groups for _, one in row.against if one]
    ends = sorted(max(map(abs, (one.value, *(one.ends or ())))) for one in shown)
    largest = ends[int(0.9 * (len(ends) - 1))] if ends else 0.0
    return signed_axis_for([largest]).furthest


@register.filter
def reach_overall(comparison: Comparison) -> float:
    """The same for the differences over all cases, which all fit."""
    shown = [one for one in comparison.overall if one]
    return signed_axis_for(end for one in shown for end in (one.value, *(one.ends or ()))).furthest


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
        *(css, *map(SignedAxis(furthest).percent, (*ends, difference.value))),
    )
