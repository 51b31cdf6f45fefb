"""What happens next without anybody doing anything: phases, reminders, announcements, pauses; the soonest first."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from django.urls import reverse

from leaderboard.models import Announcement, Maintenance, Phase

MOST = 8
_REMINDERS = ((timedelta(days=7), "a week"), (timedelta(days=1), "a day"))
_MOMENTS = (
    ("opens_at", "opens, and teams are told"),
    ("closes_at", "closes"),
    ("revealed_at", "is revealed, and each team is told its ranks"),
    ("embargo_until", "comes out of its embargo"),
    ("post_challenge_opens_at", "takes post-challenge runs"),
    ("post_challenge_closes_at", "takes no more post-challenge runs"),
)


class Coming(NamedTuple):
    """Something that happens by itself: when, what, and the page that says more."""

    at: datetime
    what: str
    url: str


def coming(at: datetime) -> list[Coming]:
    """The next few of them."""
    found = [*_of_phases(), *_of_announcements(), *_of_pauses(at)]
    return sorted(one for one in found if one.at > at)[:MOST]


def _of_phases() -> Iterator[Coming]:
    moments = [name for name, _ in _MOMENTS]
    for phase in Phase.objects.published().filter(archived_at=None).only("name", "slug", *moments):
        url = reverse("desk_phase", args=[phase.slug])
        for name, words in _MOMENTS:
            if then := getattr(phase, name):
                yield Coming(then, f"The {phase.name} {words}", url)
        for ahead, words in _REMINDERS:
            if phase.closes_at - ahead > phase.opens_at:
                yield Coming(phase.closes_at - ahead, f"Mail: “the {phase.name} closes in {words}”", url)


def _of_announcements() -> Iterator[Coming]:
    for one in Announcement.objects.filter(sent_at=None, cancelled_at=None, due_at__isnull=False):
        assert one.due_at
        yield Coming(one.due_at, f"Message: {one.subject}", reverse("desk_message", args=[one.pk]))


def _of_pauses(at: datetime) -> Iterator[Coming]:
    url = reverse("desk_hosts")
    for one in Maintenance.objects.filter(cancelled_at=None, ends_at__gt=at):
        yield Coming(one.begins_at, "A pause for maintenance begins", url)
        yield Coming(one.ends_at, "The pause for maintenance ends", url)
