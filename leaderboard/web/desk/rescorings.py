"""Results at the desk: by which version each phase is ranked, what is scored anew, and whom that would move."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from leaderboard.charts.picture import About, Picture
from leaderboard.charts.ranking_lines import RankedTeam, ranking_lines
from leaderboard.core.text import sanitised
from leaderboard.desk.acting import may_act
from leaderboard.desk.acts.rescorings import APPLY, DISCARD, START
from leaderboard.models import Phase, Rescoring
from leaderboard.rescoring.preview import preview
from leaderboard.rescoring.progress import is_behind, progress_of
from leaderboard.web.context import person_of
from leaderboard.web.desk.access import for_viewers
from leaderboard.web.desk.acts import address_of, offers_of
from leaderboard.web.desk.tabs import tabs

DRAWN = 25  # teams of a board
LISTED = 50  # changes of a board
LATEST = 20


@never_cache
@require_safe
@for_viewers
def rescorings(request: HttpRequest) -> HttpResponse:
    """Each phase with its version, and what became of scoring its runs anew."""
    person = person_of(request)
    phases = Phase.objects.select_related("case_set").order_by("-closes_at")
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
    context = {
        "tabs": tabs("rescorings"),
        "found": found,
        "progress": progress,
        "changes": changes,
        "boards": [_board(found, one) for one in (changes or {}).get("boards", ())],
        "offers": offers_of([APPLY, DISCARD], found.phase, person_of(request)) if is_open else [],
    }
    return render(request, "desk/rescoring.html", context)


def _board(found: Rescoring, board: Mapping[str, Any]) -> dict[str, Any]:
    """A board's changes: the largest first, and its ranks before and after as lines."""
    teams = [_change(one) for one in board["teams"]]
    largest = sorted(teams, key=lambda one: (-abs(one["by"] or 0.0), not one["moved"], one["name"]))
    changed = [one for one in largest if one["by"] or one["moved"]]
    name = f"{board['track']}-{board['reader']}"
    return {
        **board,
        "name": name,
        "teams": teams,
        "largest": changed[:LISTED],
        "left_out": len(changed[LISTED:]),
        "picture": _picture(found, name, teams),
    }


def _change(one: Mapping[str, Any]) -> dict[str, Any]:
    before, after = one["before"] or {}, one["after"] or {}
    by = after["dice"] - before["dice"] if before and after else None
    moved = before.get("rank") != after.get("rank")
    return {"name": one["name"], "listed": one["listed"], "before": before, "after": after, "by": by, "moved": moved}


def _picture(found: Rescoring, name: str, teams: Sequence[Mapping[str, Any]]) -> Picture | None:
    """The ranks of the first teams, by the version before and by the new one."""
    ranked = [
        RankedTeam(sanitised(one["name"]), (one["before"]["rank"], one["after"].get("rank")))
        for one in sorted(teams, key=lambda one: one["before"].get("rank") or 0)
        if one["listed"] == "ranked" and one["before"].get("rank")
    ]
    ways = (f"Version {found.from_version}", f"Version {found.to_version}")
    about = About(f"moves-{name}", "Ranks before and after")
    return ranking_lines(about, ways, ranked[:DRAWN]) if ranked else None
