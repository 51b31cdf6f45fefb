"""Where a value lies on an axis, in per cent of the width. Every axis of scores begins at 0."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# (where the axis ends, in how many parts it is divided): at most five gridlines, four where labels have two decimals
_AXES = ((0.06, 3), (0.12, 3), (0.2, 4), (0.3, 3), (0.4, 4), (0.5, 5), (0.6, 3), (0.8, 4), (1.0, 5))
_REACHES = (0.02, 0.04, 0.08, 0.2, 0.4, 1.0)


@dataclass(frozen=True)
class Axis:
    """A scale from 0 to `end`, divided into `parts`."""

    end: float
    parts: int

    def share(self, value: float) -> float:
        """Where `value` lies on the axis, 0 to 1; what is beyond an end lies at it."""
        return min(max(value / self.end, 0.0), 1.0)

    def percent(self, value: float) -> str:
        """The same, as an SVG length."""
        return f"{self.share(value) * 100:.2f}%"

    def ticks(self) -> list[tuple[float, str]]:
        """Where gridlines stand, 0 to 1, and what they are called."""
        return [(part / self.parts, f"{self.end * part / self.parts:g}") for part in range(self.parts + 1)]


def axis_for(values: Iterable[float]) -> Axis:
    """The shortest axis that holds all of `values` (Dice, rates: 0 to 1); the whole one where nothing is above 0."""
    largest = max(values, default=0.0) or 1.0
    return next((Axis(end, parts) for end, parts in _AXES if largest <= end), Axis(*_AXES[-1]))


def reach(value: float | None, ends: Sequence[float] | None) -> float:
    """How far a dot and its interval reach."""
    return max(value or 0.0, ends[1] if ends else 0.0)


@dataclass(frozen=True)
class SignedAxis:
    """A scale of differences, from `-furthest` to `furthest` with 0 in its middle."""

    furthest: float

    def percent(self, value: float) -> str:
        """Where `value` lies on the axis, as an SVG length; what is beyond an end lies at it."""
        return f"{50 + 50 * min(max(value / self.furthest, -1.0), 1.0):.2f}%"

    def ticks(self) -> list[tuple[float, str]]:
        """Where gridlines stand, 0 to 1, and what they are called."""
        return [(0.0, f"−{self.furthest:g}"), (0.25, ""), (0.5, "0"), (0.75, ""), (1.0, f"+{self.furthest:g}")]


def signed_axis_for(values: Iterable[float]) -> SignedAxis:
    """The shortest axis that holds all of these differences of scores (-1 to 1)."""
    largest = max(map(abs, values), default=0.0)
    return SignedAxis(next((end for end in _REACHES if largest <= end), _REACHES[-1]))


def round_step(length: float, most: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, ... of which no more than `most` make `length`: where ranks are labelled."""
    step = 1
    while length / step > most:
        step = step * 5 // 2 if str(step).startswith("2") else step * 2
    return step


# --- time -------------------------------------------------------------------------------------------------------------

_DAY = timedelta(days=1)
_STEPS = tuple(
    timedelta(hours=hours)
    for hours in (1 / 12, 1 / 6, 1 / 4, 1 / 2, 1, 2, 3, 6, 12, *(24 * days for days in (1, 2, 4, 7, 14, 28, 56)))
)
_LABELS, _LONG_LABELS = 5, 2.5  # as many as a phone has room for: days, days with hours
LAST_LABEL = 0.86  # of the width: a label further right would leave the picture


@dataclass(frozen=True)
class TimeAxis:
    """A scale between two instants, of which the second is the later one."""

    begins: datetime
    ends: datetime

    def share(self, at: datetime) -> float:
        """Where an instant lies between the two, 0 to 1."""
        return min(max((at - self.begins) / (self.ends - self.begins), 0.0), 1.0)

    def percent(self, at: datetime) -> str:
        """The same, as an SVG length."""
        return f"{100 * self.share(at):.2f}%"

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Labels in UTC: at midnights, or at full hours of a short time; 0 to 1 and its words."""
        length = self.ends - self.begins
        step = next((one for one in _STEPS if length / one <= _room(one)), length / _LABELS)
        words = "%b %-d" if step >= _DAY else "%b %-d %H:%M"
        last = LAST_LABEL if step >= _DAY else LAST_LABEL - 0.14
        at = self.begins.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        while at < self.ends:
            if at >= self.begins and self.share(at) <= last:
                yield self.share(at), f"{at:{words}}"
            at += step


def _room(step: timedelta) -> float:
    return _LABELS if step >= _DAY else _LONG_LABELS
