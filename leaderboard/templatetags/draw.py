"""Dots and intervals as SVG that the server draws: x in per cent, y in pixels, no viewBox.

Such a picture stretches to any width without distorting its dots, needs no script, and takes its colours from the
stylesheet, so both themes and print work. Every axis begins at 0.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from leaderboard.board.rows import GroupTable

register = template.Library()

# (where the axis ends, in how many parts it is divided): at most five gridlines, labels of one or two decimals
_AXES = ((0.05, 5), (0.1, 5), (0.2, 4), (0.3, 3), (0.4, 4), (0.5, 5), (0.6, 3), (0.8, 4), (1.0, 5))


@dataclass(frozen=True)
class Axis:
    """A scale from 0 to `end`, divided into `parts`."""

    end: float
    parts: int

    def percent(self, value: float) -> str:
        """Where `value` lies on the axis, as an SVG length."""
        return f"{min(max(value / self.end, 0.0), 1.0) * 100:.2f}%"


def axis_for(values: Iterable[float]) -> Axis:
    """The shortest axis that holds all of `values` (Dice, rates: 0 to 1)."""
    largest = max(values, default=0.0)
    return next((Axis(end, parts) for end, parts in _AXES if largest <= end), Axis(*_AXES[-1]))


@register.filter
def shared_axis(tables: Iterable[GroupTable]) -> Axis:
    """The axis on which the groups of several tables can be compared."""
    return axis_for(reach(line.dice, line.dice_ci) for table in tables for line in table.lines)


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
