"""What organisers do about announcements, once they are written."""

from datetime import UTC, datetime

from leaderboard.core.refusal import Refused
from leaderboard.desk.acting import Act, Value
from leaderboard.desk.kinds import ANNOUNCEMENT
from leaderboard.notices import announcing


def read_instant(text: str) -> datetime | None:
    """An instant as people write it, in UTC; None for nothing. Raises Refused."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"“{text[:40]}” is no instant. Write it like 2026-09-30 12:00, in UTC.") from None
    return found.replace(tzinfo=found.tzinfo or UTC)


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
            read=read_instant,
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
