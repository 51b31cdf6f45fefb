"""What owners do about the record: say that they know of a break, and what became of it."""

from leaderboard.core import verification
from leaderboard.desk.acting import Act
from leaderboard.desk.kinds import RECORD
from leaderboard.states import Role

ACKNOWLEDGE = Act(
    "acknowledge-break",
    "Acknowledge the break",
    RECORD,
    "You looked, and know why the record is not whole: say it. These breaks are told no more, others are. They stay "
    "what they are, and this stays in the record.",
    verification.acknowledge,
    role=Role.OWNER,
    needs_reason=True,
    needs_factor=True,
    is_offered=lambda check: bool(check.problems),
    is_grave=True,
)
ACTS = (ACKNOWLEDGE,)
