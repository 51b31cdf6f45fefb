"""Phases: which are open at an instant, and what organisers decide about them."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from leaderboard.core import audit
from leaderboard.core.audit import Actor
from leaderboard.models import Phase


def open_phases(at: datetime) -> QuerySet[Phase]:
    """The phases that take submissions at this instant; the one that closes first stands first."""
    return Phase.objects.filter(opens_at__lte=at, closes_at__gt=at)


def next_phase(at: datetime) -> Phase | None:
    """The phase that opens next after this instant."""
    return Phase.objects.filter(opens_at__gt=at).order_by("opens_at", "pk").first()


def newest_phase(phases: Sequence[Phase], at: datetime) -> Phase | None:
    """Of these phases the one that opened last; before any has, the one that opens first."""
    opened = [phase for phase in phases if phase.opens_at <= at]
    if opened:
        return max(opened, key=lambda phase: phase.opens_at)
    return min(phases, key=lambda phase: phase.opens_at, default=None)


def lock_phase(phase_id: int) -> Phase:
    """The phase, locked against a re-run and an archiving at the same moment; submissions may go on coming in."""
    return Phase.objects.select_for_update(no_key=True).get(pk=phase_id)


@transaction.atomic
def save_phase(phase: Phase, *, by: Actor, why: str = "") -> None:
    """Make a phase, or change its policies: a decision, with what it was before."""
    old = Phase.objects.select_for_update(no_key=True).filter(pk=phase.pk).first()
    policies = [field.attname for field in Phase._meta.concrete_fields if field.editable and not field.primary_key]
    phase.save(update_fields=policies if old else None)  # that it was archived meanwhile is no policy
    audit.record_change(by, "change phase" if old else "add phase", old, phase, fields=policies, why=why)
