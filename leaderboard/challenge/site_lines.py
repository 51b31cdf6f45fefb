"""Lines that stand on every page: what organisers put up, and what the server says of itself while it is disturbed.

A process asks once a minute what stands: so late may a line appear, or go.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from leaderboard.core.minutes import found_once
from leaderboard.models import Announcement, SiteLine

Level = Announcement.Level


class Line(NamedTuple):
    """A line as it is shown; `is_disturbance` where it says that something does not work as it should."""

    text: str
    level: str
    since: datetime
    until: datetime | None

    @property
    def is_disturbance(self) -> bool:
        """Whether the service is disturbed, by what this says."""
        return self.level != Level.INFO


def standing(at: datetime) -> Sequence[Line]:
    """What stands on the pages of this minute: the worst first."""
    return found_once(at, "lines on every page", lambda: _standing(at))


def _standing(at: datetime) -> Sequence[Line]:
    rows = SiteLine.objects.filter(Q(shown_until=None) | Q(shown_until__gt=at), shown_from__lte=at, ended_at=None)
    order = [Level.TROUBLE, Level.WARNING, Level.INFO]
    lines = [Line(row.text, row.level, row.shown_from, row.shown_until) for row in rows]
    return sorted(lines, key=lambda line: order.index(Level(line.level)))
