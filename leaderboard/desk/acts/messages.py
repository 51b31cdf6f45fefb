"""What organisers do about announcements, once they are written."""

from leaderboard.core.text import read_instant
from leaderboard.desk.acting import Act, Value
from leaderboard.desk.kinds import ANNOUNCEMENT
from leaderboard.notices import announcing

ANNOUNCE = Act(
    "announce",
    "Announce",
    ANNOUNCEMENT,
    "It is sent to everybody whom it is for, once, and can’t be changed any more.",
    announcing.announce,
    values=(
        Value(
            "at",
            "At (UTC)",
            "Like 2026-09-30 12:00. Empty: now.",
            read=lambda text: read_instant(text) if text else None,
            is_required=False,
        ),
    ),
    is_offered=lambda announcement: announcement.is_draft,
)
CANCEL = Act(
    "cancel-announcement",
    "Cancel",
    ANNOUNCEMENT,
    "It is not sent, and what of it still waits is not either; its line is taken down. Who has read it, has read it.",
    announcing.cancel,
    is_offered=announcing.can_cancel,
    is_grave=True,
)
ACTS = (ANNOUNCE, CANCEL)
