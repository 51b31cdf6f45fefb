"""How many slots a run had, as the minutes tell in which runs started and ended.

Which containers a run on hidden cases had, when, and with how many cases depends on these, and no page shows it. What
pages show is when runs started and ended, in whole minutes, and how far they are. So such a run is taken to have had
its share of the slots that take it, with all others that were under way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

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

    def seconds_beside(self, other: "Span") -> float:
        """For how long the other was under way at the same time."""
        return max(0.0, (min(self.ended, other.ended) - max(self.began, other.began)).total_seconds())


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
        rivals = {needs for needs, one in self._kinds.items() if any(slot.takes(one) for slot in mine)}
        beside = sum(run.seconds_beside(one) for one in self.spans if one.needs in rivals)
        return min(containers, len(mine) / max(1.0, beside / run.seconds))

    @cached_property
    def _kinds(self) -> dict[tuple[int, bool, bool], Span]:
        return {span.needs: span for span in self.spans}


def minute_of(at: datetime) -> datetime:
    """The minute that had begun."""
    return at.replace(second=0, microsecond=0)
