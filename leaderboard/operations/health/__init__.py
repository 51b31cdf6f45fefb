"""What an operator should know before a team notices: facts, read once, and what they mean.

`facts()` asks the database, the broker and the disk; `checks()` is pure and judges them: each check is ok, a warning
(look at it today) or failing (something does not work now), with one sentence that says what to do. The page, the
metrics and the alarms all read the same `snapshot()`. Nothing here names a team or tells of a case's content.
"""

from dataclasses import dataclass
from datetime import datetime

from leaderboard.operations.health.judging import DAY, HOUR, Check, Level, checks
from leaderboard.operations.health.reading import Facts, HostFacts, MailFacts, PhaseFacts, RecordFacts, facts

__all__ = [
    "DAY",
    "HOUR",
    "Check",
    "Facts",
    "HostFacts",
    "Level",
    "MailFacts",
    "PhaseFacts",
    "RecordFacts",
    "Snapshot",
    "checks",
    "facts",
    "snapshot",
]


@dataclass(frozen=True)
class Snapshot:
    """The facts of one instant and what they mean, the worst first."""

    facts: Facts
    checks: tuple[Check, ...]

    @property
    def level(self) -> Level:
        """The worst of all."""
        return max(check.level for check in self.checks)


def snapshot(at: datetime | None = None) -> Snapshot:
    """Read everything as it is now and judge it; `at` is now, if the caller has read the database's clock already.

    A database that is away is a finding, not an error.
    """
    found = facts(at)
    return Snapshot(found, tuple(sorted(checks(found), key=lambda check: -check.level)))
