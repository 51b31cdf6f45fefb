"""Hosts and the queue: what each does, what waits, pauses for maintenance, and a page for each host."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from leaderboard.desk.acting import may_act
from leaderboard.desk.acts import maintenance as pauses
from leaderboard.desk.acts.hosts import ACTS, ADD, DRAIN, END_DRAINING, STOP
from leaderboard.desk.acts.queue import IN_TURN, RUN_NEXT
from leaderboard.desk.acts.runs import CANCEL
from leaderboard.journey.reasons import in_words
from leaderboard.models import Attempt, Host, Maintenance, Run, User
from leaderboard.operations.host_states import hosts_now
from leaderboard.operations.waiting_runs import queue_at
from leaderboard.states import RunState
from leaderboard.web.context import instant_of, person_of
from leaderboard.web.desk.access import for_viewers
from leaderboard.web.desk.acts import Offer, button_of, offers_of
from leaderboard.web.desk.tabs import tabs

PER_PAGE = 50
OLD_PAUSES = 5
ON_A_HOST = tuple(act for act in ACTS if act is not ADD)


@never_cache
@require_safe
@for_viewers
def hosts(request: HttpRequest) -> HttpResponse:
    """All hosts, pauses, and the queue in the order in which it will run."""
    at, person = instant_of(request), person_of(request)
    queue = queue_at(at)
    page = Paginator(range(len(queue)), PER_PAGE).get_page(request.GET.get("page"))
    first = page.start_index() - 1 if len(queue) else 0
    planned = Maintenance.objects.order_by("-begins_at", "-pk")[:OLD_PAUSES]
    context = {
        "tabs": tabs("desk_hosts"),
        "hosts": [(one, offers_of((DRAIN, END_DRAINING, STOP), one.host, person)) for one in hosts_now(at)],
        "add_host": offers_of([ADD], Host(), person),
        "pauses": [(one, _about_pause(one, at, person)) for one in planned],
        "plan_pause": offers_of([pauses.PLAN, pauses.BEGIN_NOW], Maintenance(), person),
        "page": page,
        "queued": len(queue),
        "queue": [
            (one, offers_of((RUN_NEXT, IN_TURN, CANCEL), one.run.submission, person))
            for one in (queue.about(first, PER_PAGE) if len(queue) else ())
        ],
        "halted": Run.objects.filter(state=RunState.HALTED).count(),
    }
    return render(request, "desk/hosts.html", context)


def _about_pause(pause: Maintenance, at: datetime, person: User) -> list[Offer]:
    """What this person can do about it now; the clock is not read again for each."""
    names = pauses.meant(pause, at)
    return [button_of(act, pause) for act in pauses.OF_ONE if act.name in names and may_act(person, act)]


@never_cache
@require_safe
@for_viewers
def host(request: HttpRequest, name: str) -> HttpResponse:
    """One host, with what it tried, the newest first; or only with its faults."""
    at, row = instant_of(request), get_object_or_404(Host, name=name)
    tried = Attempt.objects.filter(host=row).defer("log", "container", "received").order_by("-claimed_at", "-pk")
    only_faults = "faults" in request.GET
    shown = tried.exclude(fault="") if only_faults else tried
    page = Paginator(shown.select_related("batch__run"), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "tabs": tabs("desk_hosts"),
        "one": hosts_now(at, only=row.pk)[0],
        "offers": offers_of(ON_A_HOST, row, person_of(request)),
        "only_faults": only_faults,
        "page": page,
        "attempts": [*_told(page)],
        "link_before_page": "?faults=1&page=" if only_faults else "?page=",
    }
    return render(request, "desk/host.html", context)


def _told(attempts: Iterable[Attempt]) -> Iterator[tuple[Attempt, float | None, str]]:
    """Each with how many seconds it took, and what came of it."""
    for one in attempts:
        took = (one.ended_at - one.claimed_at).total_seconds() if one.ended_at else None
        yield one, took, "at work" if took is None else in_words(one.fault) if one.fault else "reported"
