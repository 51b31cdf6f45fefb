"""Scores over time as SVG that the server draws: x in per cent, y in pixels, as in `draw`."""

from dataclasses import dataclass
from datetime import UTC
from itertools import pairwise
from typing import Any

from django import template

from leaderboard.charts.scales import LAST_LABEL, Axis, TimeAxis, axis_for, reach
from leaderboard.progress.listing import Line
from leaderboard.progress.over_time import Picture

register = template.Library()

_TOP, _BASE = 20.0, 194.0  # pixels, of the largest value on the axis and of 0


@dataclass(frozen=True)
class _Dot:
    x: str
    y: float
    low: float | None
    high: float | None
    counts: bool
    dice: float
    label_y: float
    anchor: str


@register.inclusion_tag("submissions/chart.html")
def chart(picture: Picture, name: str, is_in_table: bool) -> dict[str, Any]:
    """The picture, with what it says in words, and its numbers where the list does not hold all of them.

    `name` tells it from the others of its page.
    """
    axis = axis_for(reach(line.figures.dice, line.figures.dice_ci) for line in picture.scored if line.figures)
    axis = max(axis, axis_for(step.dice for step in picture.steps), key=lambda one: one.end)
    time = TimeAxis(picture.begins, picture.ends)
    return {
        "picture": picture,
        "name": name,
        "is_in_table": is_in_table,
        "said": _said(picture),
        "grid": [
            (_y(axis, axis.end * part / axis.parts), f"{axis.end * part / axis.parts:g}")
            for part in range(axis.parts + 1)
        ],
        "base": _BASE,
        "dates": [(f"{100 * share:.2f}%", words) for share, words in time.ticks()],
        "dots": [_dot(picture, line, axis, time) for line in picture.scored],
        "flat": _flat(picture, axis, time),
        "rises": _rises(picture, axis, time),
        "failed": [time.percent(at) for at in picture.failed],
        "at_work": [time.percent(at) for at in picture.at_work],
        "now": picture.now and time.percent(picture.now),
        "deadline": picture.deadline and time.percent(picture.deadline),
        "deadline_is_late": picture.deadline is not None and time.share(picture.deadline) > LAST_LABEL - 0.06,
    }


def _y(axis: Axis, value: float) -> float:
    return round(_BASE - (_BASE - _TOP) * min(max(value / axis.end, 0.0), 1.0), 1)


def _dot(picture: Picture, line: Line, axis: Axis, time: TimeAxis) -> _Dot:
    shown = line.figures
    assert shown is not None
    at = line.submission.accepted_at
    low, high = (_y(axis, end) for end in shown.dice_ci) if shown.dice_ci else (None, None)
    y = _y(axis, shown.dice)
    anchor = "before" if time.share(at) > 0.4 else "after"
    return _Dot(time.percent(at), y, low, high, picture.counts(line), shown.dice, (high or y) - 8, anchor)


def _flat(picture: Picture, axis: Axis, time: TimeAxis) -> list[tuple[str, str, float]]:
    """Lines along which one run counted: until the next did, now, or the deadline."""
    ends = [step.since for step in picture.steps[1:]] + [picture.now or picture.phase.closes_at]
    return [
        (time.percent(step.since), time.percent(end), _y(axis, step.dice))
        for step, end in zip(picture.steps, ends, strict=False)
    ]


def _rises(picture: Picture, axis: Axis, time: TimeAxis) -> list[tuple[str, float, float]]:
    """Lines between one run that counted and the next."""
    return [
        (time.percent(after.since), _y(axis, before.dice), _y(axis, after.dice))
        for before, after in pairwise(picture.steps)
    ]


def _said(picture: Picture) -> str:
    """What the picture shows, for readers of text; the table holds all numbers."""
    first, last = picture.scored[0], picture.scored[-1]
    said = [_run(first, "One scored run")] if first is last else [f"{len(picture.scored)} scored runs"]
    if first is not last:
        said = [f"{said[0]}, from {_run(first, '')} to {_run(last, '')}".replace("  ", " ")]
    counting = next((line for line in picture.scored if picture.counts(line)), None)
    if counting and counting.figures:
        said.append(f"Submission {counting.submission.pk} counts, with {counting.figures.dice:.3f}")
    else:
        said.append("None of them counts")
    said += [
        f"{len(found)} {words}" for found, words in ((picture.failed, "failed"), (picture.at_work, "at work")) if found
    ]
    return f"{'. '.join(said)}. The table holds all numbers."


def _run(line: Line, words: str) -> str:
    dice = line.figures.dice if line.figures else 0.0
    return f"{words} {dice:.3f} on {line.submission.accepted_at.astimezone(UTC):%b %-d}".strip()
