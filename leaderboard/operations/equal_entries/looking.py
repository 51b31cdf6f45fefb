"""What was found, as organisers read it, and what they noted about it."""

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet

from leaderboard.core import audit, clock
from leaderboard.core.audit import Actor
from leaderboard.models import EqualEntry, Equality

_FIELDS = ("looked_at", "looked_by_id", "note", "last_seen")
MAX_NOTE_CHARACTERS = 1000


def equalities() -> QuerySet[Equality]:
    """All that was found, with its entries, newest first; what nobody looked at since it was joined stands before."""
    unseen = EqualEntry.objects.filter(equality=OuterRef("pk"), pk__gt=OuterRef("last_seen"))
    entries = EqualEntry.objects.select_related("submission__team", "submission__phase")
    entries = entries.defer("submission__method", "submission__external_data")
    rows = Equality.objects.alias(opened=Q(looked_at=None) | Exists(unseen)).select_related("looked_by")
    return rows.prefetch_related(Prefetch("entries", entries)).order_by(F("opened").desc(), "-pk")


@transaction.atomic
def look_at(equality: Equality, *, by: Actor, note: str, last_seen: int) -> None:
    """Note that somebody looked at it, and at its entries up to `last_seen`: what joins later is open again."""
    row = Equality.objects.select_for_update(no_key=True).get(pk=equality.pk)
    before = audit.state_of(row, _FIELDS)
    row.looked_at, row.looked_by, row.note = clock.now(), by.user, note.strip()[:MAX_NOTE_CHARACTERS]
    row.last_seen = max(row.last_seen, last_seen)
    row.save(update_fields=_FIELDS)
    audit.record(by, "look at equal entries", row, before=before, after=audit.state_of(row, _FIELDS), why=note)
