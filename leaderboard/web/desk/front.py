"""The first page of the desk: what needs a person."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from leaderboard.core import once
from leaderboard.desk.attention import waiting
from leaderboard.desk.attention.items import Item, Urgency
from leaderboard.desk.by_itself import coming
from leaderboard.models import AuditEntry, Run
from leaderboard.operations.host_states import hosts_now
from leaderboard.states import ACTIVE_RUN_STATES, RunState
from leaderboard.web.context import instant_of, person_of
from leaderboard.web.desk.access import for_viewers
from leaderboard.web.desk.acts import Offer, offer_of
from leaderboard.web.desk.capacity import shown_capacities
from leaderboard.web.desk.tabs import tabs

REFRESH_SECONDS = 15
LATEST = 5
_TALLIES = ((Urgency.NOW, "now"), (Urgency.DEADLINE, "before the deadline"), (Urgency.LATER, "when there is time"))
HEADS = {Urgency.NOW: "Now", Urgency.DEADLINE: "Before the deadline", Urgency.LATER: "When there is time"}


@never_cache
@require_safe
@for_viewers
def desk(request: HttpRequest) -> HttpResponse:
    """What needs a person, by urgency, each with the acts that settle it."""
    return render(request, "desk/desk.html", _context(request))


@never_cache
@require_safe
@for_viewers
def desk_panel(request: HttpRequest) -> HttpResponse:
    """The part of it that refreshes by itself."""
    return render(request, "desk/panel.html", _context(request))


def _context(request: HttpRequest) -> dict[str, Any]:
    with once.remembering():
        return _said(request)


def _said(request: HttpRequest) -> dict[str, Any]:
    found = waiting(instant_of(request))
    by_urgency = Counter(one.urgency for one in found)
    return {
        "tabs": tabs("desk"),
        "count": len(found),
        "tallies": [(words, by_urgency[urgency]) for urgency, words in _TALLIES if by_urgency[urgency]],
        **Run.objects.order_by().aggregate(
            at_work=Count("pk", filter=Q(state__in=ACTIVE_RUN_STATES)),
            queued=Count("pk", filter=Q(state=RunState.QUEUED)),
        ),
        "coming": coming(instant_of(request)),
        "urgencies": [
            (HEADS[urgency], [*_shown(request, some)]) for urgency, some in groupby(found, lambda one: one.urgency)
        ],
        "latest": AuditEntry.objects.defer("before", "after", "seals")[:LATEST],
        "hosts": [one for one in hosts_now(instant_of(request)) if one.host.revoked_at is None],
        "capacities": shown_capacities(instant_of(request)),
        "refresh_seconds": REFRESH_SECONDS,
    }


def _shown(request: HttpRequest, items: Iterator[Item]) -> Iterator[tuple[Item, list[Offer]]]:
    """Each with the acts that this person may do."""
    person = person_of(request)
    for item in items:
        yield item, [offer for act, row in item.acts if (offer := offer_of(act, row, person))]
