"""Hours that are foreseen until a deadline, with their interval, against those that there are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from django.utils.safestring import SafeString

from leaderboard.charts.picture import About, Picture, Table, drawn, nothing
from leaderboard.charts.scales import TimeAxis, round_step
from leaderboard.charts.svg import element, percent

_TOP, _BASE, _HEIGHT = 12.0, 160.0, 186.0  # pixels
_LINES = 4  # above zero, at most


@dataclass(frozen=True)
class Hours:
    """By an instant: foreseen, the ends of its interval, and there."""

    at: datetime
    foreseen: float
    low: float
    high: float
    there: float


def capacity(about: About, steps: Sequence[Hours]) -> Picture:
    """Two lines that rise: what is foreseen, with its interval, and what is there."""
    table = _table(about, steps)
    if len(steps) < 2:
        return nothing(about, table)
    step = round_step(max(max(one.high, one.there) for one in steps) or 1.0, _LINES)
    end = step * -(-max(max(one.high, one.there) for one in steps) // step) or float(step)
    time = TimeAxis(steps[0].at, steps[-1].at)
    content = [
        *_grid(step, end, time),
        *(_stroke("band", time, one, end, one.low, one, one.high) for one in steps),
        *(_stroke("there", time, one, end, one.there, other, other.there) for one, other in pairwise(steps)),
        *(_stroke("foreseen", time, one, end, one.foreseen, other, other.foreseen) for one, other in pairwise(steps)),
    ]
    key = element(
        "ul",
        element("li", _sample("foreseen"), "GPU hours foreseen, with 95 % interval"),
        element("li", _sample("there"), "GPU hours there are"),
        css="pic-key",
    )
    return Picture(drawn(about, _said(steps), _HEIGHT, content, "capacity"), table, key)


def _y(value: float, end: float) -> float:
    return round(_BASE - (_BASE - _TOP) * min(max(value / end, 0.0), 1.0), 1)


def _stroke(
    css: str, time: TimeAxis, one: Hours, end: float, value: float, other: Hours, other_value: float
) -> SafeString:
    places = {"x1": time.percent(one.at), "x2": time.percent(other.at)}
    return element("line", css=css, **places, y1=_y(value, end), y2=_y(other_value, end))


def _sample(css: str) -> SafeString:
    line = element("line", css=css, x1=-8, x2=8)
    return element("svg", line, css="shp", viewBox="-8 -8 16 16", aria_hidden="true")


def _grid(step: int, end: float, time: TimeAxis) -> Iterator[SafeString]:
    for number in range(round(end / step) + 1):
        y = _y(number * step, end)
        yield element("line", css="grid" if number else "base", x1="0%", x2="100%", y1=y, y2=y)
        yield element("text", str(number * step), css="yl", x=-6, y=y + 4)
    for share, words in time.ticks():
        yield element("text", words, css="xl", x=percent(share), y=_BASE + 18)


def _said(steps: Sequence[Hours]) -> str:
    last = steps[-1]
    fits = last.high <= last.there
    verdict = "It fits." if fits else "It just fits." if last.foreseen <= last.there else "It does not fit."
    return (
        f"From {_when(steps[0].at)} to {_when(last.at)}: {last.foreseen:.0f} hours are foreseen ({last.low:.0f} to "
        f"{last.high:.0f}), and there are {last.there:.0f}. {verdict}"
    )


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%b %-d, %H:%M} UTC"


def _table(about: About, steps: Sequence[Hours]) -> Table:
    rows = [
        (_when(one.at), f"{one.foreseen:.0f}", f"{one.low:.0f} to {one.high:.0f}", f"{one.there:.0f}") for one in steps
    ]
    return Table(about.title, ("By", "Foreseen", "95 % interval", "There"), rows)
