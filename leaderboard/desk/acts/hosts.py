"""What organisers do about GPU hosts."""

from leaderboard.desk.acting import Act
from leaderboard.desk.kinds import HOST
from leaderboard.hosts import registry

DRAIN = Act(
    "drain-host",
    "Drain",
    HOST,
    "It finishes what it has and gets nothing new: before it is updated, or switched off.",
    registry.drain,
    is_offered=lambda host: not host.draining and host.revoked_at is None,
)
END_DRAINING = Act(
    "end-draining",
    "Take work again",
    HOST,
    "It gets work from the next round on.",
    registry.end_draining,
    is_offered=lambda host: host.draining and host.revoked_at is None,
)
REVOKE = Act(
    "revoke-host",
    "Revoke",
    HOST,
    "Its next request is refused; what it has at work goes to other hosts within minutes. A new token lets it back in.",
    registry.revoke,
    needs_reason=True,
    is_offered=lambda host: host.revoked_at is None,
    is_grave=True,
)
ACTS = (DRAIN, END_DRAINING, REVOKE)
