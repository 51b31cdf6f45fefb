"""What happens within a day and might want words of the organisers. Teams hear the bare fact by themselves."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.urls import reverse

from leaderboard.desk.attention.items import Item, Urgency
from leaderboard.models import Announcement, Phase

WITHIN = timedelta(days=1)
Occasion = Announcement.Occasion
_MOMENTS = (
    ("opens_at", Occasion.OPENING, "opens", "When it opens, who is in a team is told so."),
    ("revealed_at", Occasion.REVEAL, "is revealed", "Then each team that handed in is told so, with its ranks."),
    ("post_challenge_opens_at", Occasion.POST_CHALLENGE, "takes post-challenge runs", "Nobody is told by itself."),
)


def wanted(at: datetime) -> Iterator[Item]:
    """Openings and reveals within a day of which no announcement says anything."""
    written = set(
        Announcement.objects.exclude(of_phase=None).filter(cancelled_at=None).values_list("of_phase", "occasion")
    )
    fields = ("name", "slug", *(field for field, *_ in _MOMENTS))
    for phase in Phase.objects.published().only(*fields):
        for field, occasion, words, why in _MOMENTS:
            then = getattr(phase, field)
            if then and at <= then < at + WITHIN and (phase.pk, occasion.value) not in written:
                address = f"{reverse('desk_message_new')}?template={occasion}&phase={phase.slug}"
                what = f"{phase} {words} within a day, and no message of yours is about it."
                yield Item(
                    Urgency.LATER,
                    "idle",
                    "A message?",
                    what,
                    f"{why} Write one if there is more to say.",
                    links=[("Begin one", address)],
                )
