"""Which entries of different teams are equal."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from leaderboard.core.audit import Actor
from leaderboard.models import Equality
from leaderboard.operations import equal_entries as equality
from leaderboard.operations.equal_entries.masks import LEAST_SHARE
from leaderboard.people.roles import has_role
from leaderboard.states import Role
from leaderboard.web.context import person_of
from leaderboard.web.desk.access import for_viewers
from leaderboard.web.desk.tabs import tabs

EQUALITIES_PER_PAGE = 10
ENTRIES_PER_PAGE = 50
MOST_DIGITS = 19  # of a key


@never_cache
@require_safe
@for_viewers
def equal_entries(request: HttpRequest) -> HttpResponse:
    """What entries of different teams have in common, with some of them; what nobody looked at stands first."""
    page = Paginator(equality.equalities(), EQUALITIES_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "tabs": tabs("equal_entries"),
        "page": page,
        "few": equality.FEW,
        "least_percent": round(100 * LEAST_SHARE),
    }
    return render(request, "desk/equal_entries.html", context | _NOTE)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@for_viewers
def equality_entries(request: HttpRequest, pk: int) -> HttpResponse:
    """All entries that share in one thing, by the page; or note that somebody looked at it."""
    found = get_object_or_404(Equality.objects.select_related("looked_by"), pk=pk)
    if request.method == "POST":
        return _look_at(request, found)
    page = Paginator(equality.entries_of(found), ENTRIES_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "desk/equality.html", {"tabs": tabs("equal_entries"), "found": found, "page": page} | _NOTE)


_NOTE = {"note_characters": equality.MAX_NOTE_CHARACTERS}


def _look_at(request: HttpRequest, found: Equality) -> HttpResponse:
    if not has_role(person_of(request), Role.ORGANISER):
        raise Http404
    seen = request.POST.get("last_seen", "")
    last_seen = int(seen) if seen.isascii() and seen.isdecimal() and len(seen) < MOST_DIGITS else 0
    by = Actor.person(person_of(request))
    equality.look_at(found, by=by, note=request.POST.get("note", ""), last_seen=last_seen)
    messages.success(request, f"Noted: {found}.")
    return redirect("equal_entries")
