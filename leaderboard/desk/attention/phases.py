"""Phases that wait for a person."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Model, Q
from django.urls import reverse

from leaderboard.challenge.policies import unset
from leaderboard.core.text import instant
from leaderboard.desk.acting import Act
from leaderboard.desk.acts.phases import OPEN, REVEAL
from leaderboard.desk.attention.items import Item, Urgency
from leaderboard.models import Phase

SOON = timedelta(days=1)


def unready(at: datetime) -> Iterator[Item]:
    """Phases that open or close within a day with something unset, drafts among them."""
    opening = Q(opens_at__gt=at, opens_at__lte=at + SOON)
    closing = Q(is_draft=False, opens_at__lte=at, closes_at__gt=at, closes_at__lte=at + SOON)
    late = Q(is_draft=True, opens_at__lte=at, closes_at__gt=at)
    rows = Phase.objects.select_related("case_set__mends").filter(opening | closing | late, archived_at=None)
    phases = list(rows)
    for phase in (one for one in phases if one.opens_at > at):
        missing = unset(phase)
        if missing or phase.is_draft:
            draft = " It is still a draft." if phase.is_draft else ""
            what = f"The {phase.name} opens {instant(phase.opens_at)}.{draft}{_listed(missing)}"
            yield _item(phase, "Opens unready", what, [(OPEN, phase)] if phase.is_draft else [])
    for phase in (one for one in phases if one.opens_at <= at and not one.is_draft):
        if missing := unset(phase):
            what = f"The {phase.name} closes {instant(phase.closes_at)}.{_listed(missing)}"
            yield _item(phase, "Closes unready", what, [])
    for phase in (one for one in phases if one.opens_at <= at and one.is_draft):
        what = f"The {phase.name} was to open {instant(phase.opens_at)}, and is still a draft."
        yield _item(phase, "Not opened", what, [(OPEN, phase)])


def reveal_due(at: datetime) -> Iterator[Item]:
    """Phases on hidden cases that have closed, without an instant at which their full result comes out."""
    closed = Phase.objects.published().filter(archived_at=None, closes_at__lte=at, cases_are_public=False)
    for phase in closed.filter(revealed_at=None, opens_at__lte=at):
        yield Item(
            Urgency.LATER if phase.closes_at > at - timedelta(days=14) else Urgency.DEADLINE,
            "warn",
            "Reveal is due",
            f"The {phase.name} closed {instant(phase.closes_at)}, and no reveal is set.",
            "Until then its full result is withheld, and it can’t be archived.",
            since=phase.closes_at,
            acts=[(REVEAL, phase)],
            links=[("Set an instant", f"{reverse('desk_phase', args=[phase.slug])}?edit=revealed_at#f-revealed_at")],
        )


def _item(phase: Phase, word: str, what: str, acts: list[tuple[Act, Model]]) -> Item:
    return Item(
        Urgency.DEADLINE,
        "warn",
        word,
        what,
        "Teams read what is set, and nothing else.",
        acts=acts,
        links=[("Its policies", reverse("desk_phase", args=[phase.slug]))],
    )


def _listed(missing: list[str]) -> str:
    return f" Not set: {', '.join(missing)}." if missing else ""
