"""Scores as dots with their 95 % intervals, one under the other, on an axis from 0."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from leaderboard.charts.picture import About, Picture, Table, nothing
from leaderboard.charts.rows import MIDDLE, Row, in_rows, kind
from leaderboard.charts.scales import Axis, axis_for, reach
from leaderboard.charts.shapes import DIAMOND
from leaderboard.charts.svg import at, element
from leaderboard.charts.words import DASH, Interval, counted, interval, name, score, spoken_interval


@dataclass(frozen=True)
class Entry:
    """A score of 0 to 1 with its interval; None where it is not shown. A reference has no rank."""

    name: str
    value: float | None
    interval: Interval | None = None
    rank: int | None = None
    is_own: bool = False
    is_reference: bool = False


def interval_plot(about: About, entries: Sequence[Entry], metric: str = "Dice", axis: Axis | None = None) -> Picture:
    """Entries in the order given, references as hollow diamonds; `axis`, where several pictures share one."""
    table = _table(about, entries, metric)
    if not entries:
        return nothing(about, table)
    axis = axis or axis_for(reach(one.value, one.interval) for one in entries)
    rows = [
        Row(
            one.name,
            _marks(axis, one),
            score(one.value),
            interval(one.interval),
            rank=None if one.is_reference else one.rank,
            css=kind(is_own=one.is_own, is_reference=one.is_reference),
        )
        for one in entries
    ]
    return Picture(in_rows(about, _said(entries, metric), rows, axis.ticks()), table)


def _marks(axis: Axis, entry: Entry) -> list[SafeString]:
    if entry.value is None:
        return []
    x = axis.percent(entry.value)
    ends = [axis.percent(end) for end in entry.interval] if entry.interval else []
    line = [element("line", css="iv", x1=ends[0], x2=ends[1], y1=MIDDLE, y2=MIDDLE)] if ends else []
    if entry.is_reference:
        return [*line, at(x, MIDDLE, element("path", css="hollow", d=DIAMOND))]
    return [*line, element("circle", css="pt", cx=x, cy=MIDDLE, r=4.5)]


def _said(entries: Sequence[Entry], metric: str) -> str:
    """The first and the last, without references: they were measured otherwise."""
    shown = [one for one in entries if not one.is_reference and one.value is not None]
    references = len([one for one in entries if one.is_reference])
    beside = f" {counted(references, 'reference')} beside them." if references else ""
    if not shown:
        return f"No scores are shown.{beside}"
    first, last = shown[0], shown[-1]
    said = f"{counted(len(shown), 'entry', 'entries')}. {_one(first)} has a {metric} of {_value(first)}"
    return f"{said}.{beside}" if first is last else f"{said}; the last, {_one(last)}, {_value(last)}.{beside}"


def _one(entry: Entry) -> str:
    return name(entry.name)


def _value(entry: Entry) -> str:
    return f"{score(entry.value)}{spoken_interval(entry.interval)}"


def _table(about: About, entries: Sequence[Entry], metric: str) -> Table:
    return Table(
        about.title,
        ("Entry", "Rank", metric, "95 % interval"),
        [
            (
                name(one.name),
                "reference" if one.is_reference else str(one.rank or DASH),
                score(one.value),
                interval(one.interval) or DASH,
            )
            for one in entries
        ],
    )
