"""Phases over time: a bar each from its opening to its deadline, what is planned dashed, and marks at instants."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils.safestring import SafeString

from leaderboard.charts.picture import About, Picture, Table, drawn, nothing
from leaderboard.charts.scales import TimeAxis
from leaderboard.charts.svg import at, element

_TOP, _ROW, _BAR = 24, 38, 26
_BELOW, _BELOW_MARKS = 18, 30  # of the last bar, for the word “now”
_MARGIN = timedelta(days=7)
_LATE_SHARE = 0.6  # of the width: a label further right stands before its bar's end
_MOST_MONTHS = 8


@dataclass(frozen=True)
class Bar:
    """A phase: from when to when, its state ("live", "plan" or ""), and what happens to it at which instants.

    `new_end` is where a draft of changes would have it end.
    """

    name: str
    begins: datetime
    ends: datetime
    state: str = ""
    word: str = ""
    marks: Sequence[tuple[datetime, str]] = ()
    new_end: datetime | None = None

    @property
    def last(self) -> datetime:
        """The latest instant that is drawn of it."""
        return max([self.ends, *(at for at, _ in self.marks), *([self.new_end] if self.new_end else [])])


def timeline(about: About, bars: Sequence[Bar], now: datetime) -> Picture:
    """All phases, each in a line of its own, with the present instant."""
    table = Table(about.title, ("Phase", "State", "Opens", "Closes", "Later"), [_row(bar) for bar in bars])
    if not bars:
        return nothing(about, table)
    begins = min([now, *(bar.begins for bar in bars)]) - _MARGIN
    axis = TimeAxis(begins, max([now, *(bar.last for bar in bars)]) + _MARGIN)
    bottom = _TOP + _ROW * len(bars) + (_BELOW_MARKS if bars[-1].marks else _BELOW)
    content = [
        *_months(axis, bottom),
        *(one for place, bar in enumerate(bars) for one in _drawn(axis, bar, _TOP + 8 + _ROW * place)),
        element("line", css="now", x1=axis.percent(now), x2=axis.percent(now), y1=_TOP, y2=bottom),
        _label(axis, now, "now", bottom - 4, "now-t"),
    ]
    return Picture(drawn(about, _said(bars), bottom, content, "gantt keep"), table)


def _drawn(axis: TimeAxis, bar: Bar, top: float) -> Iterator[SafeString]:
    yield _rect(axis, bar.begins, bar.ends, top, f"bar {bar.state}".strip())
    if bar.new_end and bar.new_end > bar.ends:
        yield _rect(axis, bar.ends, bar.new_end, top, "bar add")
    elif bar.new_end and bar.new_end < bar.ends:
        yield _rect(axis, max(bar.new_end, bar.begins), bar.ends, top, "bar less")
    for instant, _ in bar.marks:
        yield at(axis.percent(instant), top, element("path", css="dead", d=f"M0 {_BAR / 2 - 7:g}l6 7-6 7-6-7z"))
    yield _label(axis, bar.begins, bar.name, top + 18, "halo")
    for instant, words in bar.marks:
        yield _label(axis, instant, words, top + _BAR + 9, "mon", room=0)


def _rect(axis: TimeAxis, begins: datetime, ends: datetime, top: float, css: str) -> SafeString:
    width = f"{100 * (axis.share(ends) - axis.share(begins)):.2f}%"
    return element("rect", css=css, x=axis.percent(begins), width=width, y=top, height=_BAR, rx=2)


def _label(axis: TimeAxis, instant: datetime, words: str, y: float, css: str, room: float = 8) -> SafeString:
    is_late = axis.share(instant) > _LATE_SHARE
    anchor = "end" if is_late else None
    return at(
        axis.percent(instant), 0, element("text", words, css=css, x=-room if is_late else room, y=y, text_anchor=anchor)
    )


def _months(axis: TimeAxis, bottom: float) -> Iterator[SafeString]:
    first = axis.begins.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    months = [one for one in _each_month(first, axis.ends) if one >= axis.begins]
    for month in months[:: -(-len(months) // _MOST_MONTHS) or 1]:
        x = axis.percent(month)
        yield element("line", css="grid", x1=x, x2=x, y1=_TOP, y2=bottom)
        yield at(x, 0, element("text", f"{month:%b}", css="mon", x=4, y=_TOP - 8))


def _each_month(first: datetime, until: datetime) -> Iterator[datetime]:
    month = first
    while month < until:
        yield month
        month = (month + timedelta(days=32)).replace(day=1)


def _row(bar: Bar) -> tuple[str, str, str, str, str]:
    later = "; ".join(f"{words} {_when(instant)}" for instant, words in bar.marks)
    return bar.name, bar.word, _when(bar.begins), _when(bar.ends), later or "–"


def _when(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%b %-d, %Y %H:%M}"


def _said(bars: Sequence[Bar]) -> str:
    return " ".join(
        f"{bar.name}: {bar.word + ', ' if bar.word else ''}{_when(bar.begins)} to {_when(bar.ends)}." for bar in bars
    )
