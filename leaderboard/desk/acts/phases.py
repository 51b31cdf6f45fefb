"""What organisers do about phases, beside editing them."""

from leaderboard.desk.acting import Act
from leaderboard.desk.kinds import PHASE
from leaderboard.journey import decisions

ARCHIVE = Act(
    "archive-phase",
    "Archive",
    PHASE,
    "Its masks, images and weights go, for ever. Scores, pages and boards stay. There is no way back.",
    decisions.archive,
    needs_reason=True,
    is_offered=lambda phase: phase.archived_at is None,
    confirms=True,
    is_grave=True,
)
ACTS = (ARCHIVE,)
