"""What was found, as organisers read it, and what they noted about it."""

from django.db import transaction
from django.db.models import Count, Exists, F, Max, OuterRef, Prefetch, Q, QuerySet, Subquery

from leaderboard.core import audit, clock
from leaderboard.core.audit import Actor
from leaderboard.models import EqualEntry, Equality

_FIELDS = ("looked_at", "looked_by_id", "note", "last_seen")
MAX_NOTE_CHARACTERS = 1000
FEW = 4  # entries of each that stand in the list of all


def equalities() -> QuerySet[Equality]:
    """All that was found, newest first; what nobody looked at since it was joined stands before.

    Of its entries a FEW are there (`few`), those that joined last; `size` says how many there are, `teams` of how many
    teams.
    """
    of_it = EqualEntry.objects.filter(equality=OuterRef("pk")).order_by()
    unseen = of_it.filter(pk__gt=OuterRef("last_seen"))
    told = {
        "newest": Subquery(of_it.values("equality").values(newest=Max("pk"))),
        "size": Subquery(of_it.values("equality").values(size=Count("pk"))),
        "teams": Subquery(of_it.values("equality").values(teams=Count("submission__team", distinct=True))),
    }
    rows = Equality.objects.alias(opened=Q(looked_at=None) | Exists(unseen)).annotate(**told)
    few = Prefetch("entries", _entries()[:FEW], to_attr="few")
    return rows.select_related("looked_by").prefetch_related(few).order_by(F("opened").desc(), "-pk")


def entries_of(equality: Equality) -> QuerySet[EqualEntry]:
    """All its entries; those that joined last stand first."""
    return _entries().filter(equality=equality)


def _entries() -> QuerySet[EqualEntry]:
    entries = EqualEntry.objects.select_related("submission__team", "submission__phase")
    return entries.defer("submission__method", "submission__external_data").order_by("-pk")


@transaction.atomic
def look_at(equality: Equality, *, by: Actor, note: str, last_seen: int) -> None:
    """Note that somebody looked at it, and at its entries up to `last_seen`: what joins later is open again."""
    row = Equality.objects.select_for_update(no_key=True).get(pk=equality.pk)
    before = audit.state_of(row, _FIELDS)
    row.looked_at, row.looked_by, row.note = clock.now(), by.user, note.strip()[:MAX_NOTE_CHARACTERS]
    row.last_seen = max(row.last_seen, last_seen)
    row.save(update_fields=_FIELDS)
    audit.record(by, "look at equal entries", row, before=before, after=audit.state_of(row, _FIELDS), why=note)
