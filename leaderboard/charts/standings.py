"""Standings over time: the score, or the rank, of each team as a line of steps, with its name at its end."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from django.utils.safestring import SafeString

from leaderboard.charts.labels import end_label, spread
from leaderboard.charts.picture import About, Picture, Table, drawn, nothing
from leaderboard.charts.scales import TimeAxis, axis_for, round_step
from leaderboard.charts.svg import at, element, percent
from leaderboard.charts.words import counted, name, score

_TOP = 14.0  # pixels, of the best value
_LINE = 18.0  # that a name needs
_LEAST = 240.0  # of the plot
_STROKES = 4  # kinds of strokes: neighbours in the order never share one


@dataclass(frozen=True)
class Step:
    """From `since` on, a team's score (0 to 1) or rank is `value`; None: it has none."""

    since: datetime
    value: float | None


@dataclass(frozen=True)
class TeamLine:
    """A team's steps, in the order of time; the last one has a value."""

    name: str
    steps: Sequence[Step]
    is_own: bool = False

    @property
    def values(self) -> list[float]:
        """All that it has had."""
        return [step.value for step in self.steps if step.value is not None]


@dataclass(frozen=True)
class _Scale:
    """Where values lie: 0 at the base for scores, the first rank at the top for ranks."""

    base: float
    ticks: Sequence[tuple[float, str]]  # pixels, words
    y: Callable[[float], float]
    words: Callable[[float], str]


def scores_over_time(about: About, lines: Sequence[TeamLine], begins: datetime, ends: datetime) -> Picture:
    """The score of each team between two instants, on an axis from 0."""
    axis = axis_for(value for line in lines for value in line.values)
    base = _TOP + max(_LEAST, _LINE * len(lines))

    def y(value: float) -> float:
        return round(base - (base - _TOP) * axis.share(value), 1)

    ticks = [(round(base - (base - _TOP) * share, 1), label) for share, label in axis.ticks()]
    return _picture(about, lines, TimeAxis(begins, ends), _Scale(base, ticks, y, score), "Score")


def ranks_over_time(about: About, lines: Sequence[TeamLine], begins: datetime, ends: datetime) -> Picture:
    """The rank of each team between two instants, the first on top."""
    ranks = [value for line in lines for value in line.values] or [1.0]
    first, last = min(ranks), max(ranks)
    base = _TOP + max(_LEAST, _LINE * min(last - first, 2.0 * len(lines)))

    def y(value: float) -> float:
        return round(_TOP + (base - _TOP) * (value - first) / max(1.0, last - first), 1)

    every = round_step(last - first, 10)
    named = [first, *(rank for rank in range(int(first) + 1, int(last) + 1) if rank % every == 0)]
    kept = [rank for rank in named if rank == first or y(rank) - y(first) >= _LINE]
    ticks = [(y(rank), f"{rank:g}") for rank in kept]
    return _picture(about, lines, TimeAxis(begins, ends), _Scale(base, ticks, y, lambda rank: f"{rank:g}"), "Rank")


def _picture(about: About, lines: Sequence[TeamLine], time: TimeAxis, scale: _Scale, what: str) -> Picture:
    drawn_lines = [line for line in lines if line.values]
    table = Table(
        about.title,
        ("Team", "Since", what),
        [
            (name(line.name), f"{step.since.astimezone(UTC):%b %-d, %Y %H:%M} UTC", _words(scale, step.value))
            for line in drawn_lines
            for step in line.steps
        ],
    )
    if not drawn_lines or time.ends <= time.begins:
        return nothing(about, table)
    content = [
        *_grid(scale),
        *_dates(time, scale.base),
        *(_steps(time, scale, line, place % _STROKES) for place, line in enumerate(drawn_lines)),
        *_end_labels(scale, drawn_lines),
    ]
    return Picture(drawn(about, _said(drawn_lines, scale, what), scale.base + 30, content, "lined standings"), table)


def _grid(scale: _Scale) -> Iterator[SafeString]:
    for y, label in scale.ticks:
        yield element("line", css="base" if y == scale.base else "grid", x1=0, x2="100%", y1=y, y2=y)
        yield element("text", label, css="yl", x=-8, y=y + 4)


def _dates(time: TimeAxis, base: float) -> Iterator[SafeString]:
    for share, words in time.ticks():
        tick, label = element("line", css="base", y2=6), element("text", words, css="xl", x=4, y=18)
        yield at(percent(share), base + 4, tick, label)


def _steps(time: TimeAxis, scale: _Scale, line: TeamLine, stroke: int) -> SafeString:
    """Level while a value holds, upright where the next one comes, a dot where each began; a gap without one."""
    until = [step.since for step in line.steps[1:]] + [time.ends]
    heights = [None if step.value is None else scale.y(step.value) for step in line.steps]
    begun = [time.percent(step.since) for step in line.steps]
    level = [
        element("line", x1=x, x2=time.percent(end), y1=y, y2=y)
        for x, y, end in zip(begun, heights, until, strict=True)
        if y is not None
    ]
    upright = [
        element("line", x1=x, x2=x, y1=old, y2=new)
        for x, (old, new) in zip(begun[1:], pairwise(heights), strict=True)
        if old is not None and new is not None
    ]
    dots = [element("circle", cx=x, cy=y, r=3) for x, y in zip(begun, heights, strict=True) if y is not None]
    return element("g", *level, *upright, *dots, css=f"stair s{stroke}{' own' if line.is_own else ''}")


def _words(scale: _Scale, value: float | None) -> str:
    return "–" if value is None else scale.words(value)


def _end_labels(scale: _Scale, lines: Sequence[TeamLine]) -> Iterator[SafeString]:
    ends = [scale.y(line.values[-1]) for line in lines]
    places = spread(ends, _TOP - 4, scale.base + 6)
    for line, y, label_y in zip(lines, ends, places, strict=True):
        yield end_label(line.name, y, label_y, "own" if line.is_own else "")


def _said(lines: Sequence[TeamLine], scale: _Scale, what: str) -> str:
    """Who leads at the end, and how often a team's value changed."""
    leader = min(lines, key=lambda line: scale.y(line.values[-1]))
    changes = sum(len(line.steps) - 1 for line in lines)
    return (
        f"{counted(len(lines), 'team')}, {counted(changes, 'change')}. "
        f"At the end {name(leader.name)} leads: {what.lower()} {scale.words(leader.values[-1])}."
    )
