"""The case clocks: how long the program may work on what it is working on.

All instants are seconds since the container's start. The first case has the start-up allowance on top. Each
later case's clock starts when the file before it appeared; after the last one the program has a moment to
exit. A file is seen up to a tick after it appeared (the holder looks every 50 ms), and that delay is never
the team's.
"""

from dataclasses import dataclass
from typing import Final

from containers.protocol.contract import EXIT_SECONDS
from containers.protocol.orders import Limits
from containers.protocol.verdicts import TimeoutCode

SLACK_SECONDS: Final = 0.25


@dataclass(frozen=True)
class Timeout:
    """A clock that ran out: its failure code, and the index of the case that was in progress."""

    code: TimeoutCode
    case: int


class CaseClock:
    """Which case is in progress, since when, and when its time is up."""

    def __init__(self, limits: Limits, cases: int) -> None:
        self._limits = limits
        self._cases = cases
        self._since = 0.0
        self.appeared: list[float] = []

    @property
    def case(self) -> int:
        """The index of the case in progress; equal to the number of cases when all are done."""
        return len(self.appeared)

    def file_appeared(self, index: int, *, appeared: float, noticed: float) -> bool:
        """Take note that a case's file appeared. Returns False for one that is known already.

        `appeared` is what the engine's clock says and what is reported; the next deadline counts from when we
        `noticed`, which a step of either machine's clock cannot turn against the team.
        """
        if index != self.case or index >= self._cases:
            return False
        earlier = self.appeared[-1] if self.appeared else 0.0
        self.appeared.append(max(appeared, earlier))
        self._since = noticed
        return True

    def extend(self, seconds: float) -> None:
        """Stop the running clock for a time in which nobody could look."""
        self._since += seconds

    @property
    def deadline(self) -> float:
        """When the time of the case in progress is up."""
        return self._since + self._limit + SLACK_SECONDS

    @property
    def _limit(self) -> float:
        if self.case == self._cases:
            return EXIT_SECONDS
        startup = 0.0 if self.case else self._limits.startup_seconds
        return startup + self._limits.case_seconds

    @property
    def timeout(self) -> Timeout:
        """What it is called when the clock that is running runs out."""
        if self.case == self._cases:
            return Timeout("exit_timed_out", self.case)
        return Timeout("timed_out" if self.case else "startup_timed_out", self.case)
