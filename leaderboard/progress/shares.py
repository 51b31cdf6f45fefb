"""How many slots a run had, as the minutes tell in which runs started and ended.

Which containers a run on hidden cases had, when, and with how many cases depends on these, and no page shows it. What
pages show is when runs started and ended, in whole minutes, and how far they are. So such a run is taken to have had
its share of the slots that take it, with all others that were under way.
"""

from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate

from leaderboard.hosts.slots import Slot

MINUTE = 60.0


@dataclass(frozen=True)
class Span:
    """When a run was under way, by whole minutes, and what it needs of a slot; it satisfies `Needs`."""

    gpus: int
    cases_are_public: bool
    has_weights: bool
    began: datetime
    ended: datetime

    @property
    def needs(self) -> tuple[int, bool, bool]:
        """What a slot has to offer."""
        return self.gpus, self.cases_are_public, self.has_weights

    @property
    def seconds(self) -> float:
        """How long, at least a minute."""
        return max(MINUTE, (self.ended - self.began).total_seconds())


@dataclass(frozen=True)
class Shares:
    """The slots that are offered now, and the runs that were under way meanwhile."""

    slots: Sequence[Slot]
    spans: Sequence[Span]

    def of(self, run: Span, containers: int) -> float:
        """The slots that the run had on average, of at most so many containers; one where none takes it now."""
        mine = [slot for slot in self.slots if slot.takes(run)]
        if not mine:
            return 1.0
        rivals = [kind for kind in self._kinds if any(slot.takes(kind.example) for slot in mine)]
        beside = sum(kind.seconds_between(run.began, run.ended) for kind in rivals)
        return min(containers, len(mine) / max(1.0, beside / run.seconds))

    @cached_property
    def _kinds(self) -> list["_Kind"]:
        of_kind: dict[tuple[int, bool, bool], list[Span]] = {}
        for span in self.spans:
            of_kind.setdefault(span.needs, []).append(span)
        return [_Kind(spans) for spans in of_kind.values()]


class _Kind:
    """The spans of the same needs; how long they were under way in a time is known without going through them."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self.example = spans[0]
        self._begins = _Steps(span.began for span in spans)
        self._ends = _Steps(max(span.began, span.ended) for span in spans)

    def seconds_between(self, began: datetime, ended: datetime) -> float:
        """All of them together."""
        return max(0.0, self._until(ended) - self._until(began))

    def _until(self, at: datetime) -> float:
        return self._begins.seconds_until(at) - self._ends.seconds_until(at)


class _Steps:
    """Instants, and how long ago they were in all at another one."""

    def __init__(self, instants: Iterable[datetime]) -> None:
        self._seconds = sorted(at.timestamp() for at in instants)
        self._sums = [0.0, *accumulate(self._seconds)]

    def seconds_until(self, at: datetime) -> float:
        """Of those before it."""
        count = bisect(self._seconds, at.timestamp())
        return count * at.timestamp() - self._sums[count]
