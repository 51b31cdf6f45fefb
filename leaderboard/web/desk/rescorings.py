"""Results at the desk: by which version each phase is ranked, what is scored anew, and whom that would move."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from leaderboard.core import audit
from leaderboard.desk.acting import may_act
from leaderboard.desk.acts.rescorings import APPLY, DISCARD, START, words_for_teams
from leaderboard.models import AuditEntry, Rescoring
from leaderboard.rescoring.preview import preview
from leaderboard.rescoring.progress import is_behind, progress_of
from leaderboard.web.context import frame_of, person_of
from leaderboard.web.desk.access import for_viewers
from leaderboard.web.desk.acts import Offer, address_of, offers_of
from leaderboard.web.desk.moves import shown_board
from leaderboard.web.desk.tabs import tabs

LATEST = 20


@never_cache
@require_safe
@for_viewers
def rescorings(request: HttpRequest) -> HttpResponse:
    """Each phase with its version, and what became of scoring its runs anew."""
    person = person_of(request)
    phases = frame_of(request).phases.select_related("case_set").order_by("-closes_at")
    anew = {one.phase_id: one for one in _all().filter(state=Rescoring.State.UNDECIDED)}
    rows = [
        (
            phase,
            is_behind(phase),
            (one := anew.get(phase.pk)),
            progress_of(one) if one else None,
            address_of(START, [phase]) if may_act(person, START) and not (one or phase.archived_at) else "",
        )
        for phase in phases
    ]
    decided = _all().exclude(state=Rescoring.State.UNDECIDED).defer("changes").order_by("-pk")[:LATEST]
    context = {"tabs": tabs("rescorings"), "rows": rows, "decided": decided, "start": START}
    return render(request, "desk/rescorings.html", context)


def _all() -> Any:
    return Rescoring.objects.select_related("phase", "to_cases", "from_cases")


@never_cache
@require_safe
@for_viewers
def rescoring(request: HttpRequest, pk: int) -> HttpResponse:
    """A re-scoring: how far it is, whom it would move, and what was decided; before that nothing of it is public."""
    found = _all().filter(pk=pk).first()
    if found is None:
        raise Http404
    is_open = found.state == Rescoring.State.UNDECIDED
    progress = progress_of(found) if is_open else None
    changes = found.changes
    if progress and progress.is_ready:
        changes = preview(found).as_json()
    ways = (f"Version {found.from_version}", f"Version {found.to_version}")
    context = {
        "tabs": tabs("rescorings"),
        "found": found,
        "progress": progress,
        "changes": changes,
        "boards": [shown_board(one, ways) for one in (changes or {}).get("boards", ())],
        "started": _started(found),
        "offers": _offers(request, found, changes) if is_open else [],
    }
    return render(request, "desk/rescoring.html", context)


def _started(found: Rescoring) -> AuditEntry | None:
    """Who began it: its entry in the record."""
    begun = audit.entries_about(found.phase).filter(action="start re-scoring", at__gte=found.started_at)
    return begun.defer("before", "after").order_by("at", "pk").first()


def _offers(request: HttpRequest, found: Rescoring, changes: Mapping[str, Any] | None) -> list[Offer]:
    """What can be decided; applying it begins with words for the teams."""
    offers = offers_of([APPLY, DISCARD], found.phase, person_of(request))
    words = urlencode({"message": words_for_teams(found, changes)})
    applies = address_of(APPLY, [found.phase])
    return [one._replace(url=f"{one.url}&{words}") if one.url == applies else one for one in offers]
