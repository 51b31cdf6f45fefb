"""For organisers: how the server is, also for Prometheus, and which entries of different teams are equal."""

import hmac
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from leaderboard.core.audit import Actor
from leaderboard.models import Equality
from leaderboard.operations import equal_entries as equality
from leaderboard.operations import prometheus as exposition
from leaderboard.operations.equal_entries.masks import LEAST_SHARE
from leaderboard.operations.health import Level, snapshot
from leaderboard.web.context import instant_of, person_of

View = Callable[..., HttpResponse]
EQUALITIES_PER_PAGE = 10
ENTRIES_PER_PAGE = 50
MOST_DIGITS = 19  # of a key
REFRESH_SECONDS = 10


def _for_organisers(view: View) -> View:
    """Strangers sign in first; for everybody else who does not organise there is no such page."""

    @wraps(view)
    def wrapped(request: HttpRequest, **named: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not request.user.is_staff:
            raise Http404
        return view(request, **named)

    return wrapped


@never_cache
@require_safe
@_for_organisers
def health(request: HttpRequest) -> HttpResponse:
    """Everything that has to work, the worst first."""
    return _page(request, "health.html")


@never_cache
@require_safe
@_for_organisers
def health_panel(request: HttpRequest) -> HttpResponse:
    """The part of the page that refreshes by itself."""
    return _page(request, "health/panel.html")


def _page(request: HttpRequest, template: str) -> HttpResponse:
    found = snapshot(instant_of(request))
    words = {
        Level.OK: "Everything works",
        Level.WARNING: "Something wants a look",
        Level.FAILING: "Something does not work",
    }
    context = {
        "facts": found.facts,
        "checks": found.checks,
        "troubles": [check for check in found.checks if check.level],
        "kind": found.checks[0].kind,
        "word": words[found.level],
        "refresh_seconds": REFRESH_SECONDS,
    }
    return render(request, template, context)


# --- equal entries ----------------------------------------------------------------------------------------------------


@never_cache
@require_safe
@_for_organisers
def equal_entries(request: HttpRequest) -> HttpResponse:
    """What entries of different teams have in common, with some of them; what nobody looked at stands first."""
    page = Paginator(equality.equalities(), EQUALITIES_PER_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "few": equality.FEW, "least_percent": round(100 * LEAST_SHARE)}
    return render(request, "organisers/equal_entries.html", context | _NOTE)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@_for_organisers
def equality_entries(request: HttpRequest, pk: int) -> HttpResponse:
    """All entries that share in one thing, by the page; or note that somebody looked at it."""
    found = get_object_or_404(Equality.objects.select_related("looked_by"), pk=pk)
    if request.method == "POST":
        return _look_at(request, found)
    page = Paginator(equality.entries_of(found), ENTRIES_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "organisers/equality.html", {"found": found, "page": page} | _NOTE)


_NOTE = {"note_characters": equality.MAX_NOTE_CHARACTERS}


def _look_at(request: HttpRequest, found: Equality) -> HttpResponse:
    seen = request.POST.get("last_seen", "")
    last_seen = int(seen) if seen.isascii() and seen.isdecimal() and len(seen) < MOST_DIGITS else 0
    by = Actor.person(person_of(request))
    equality.look_at(found, by=by, note=request.POST.get("note", ""), last_seen=last_seen)
    messages.success(request, f"Noted: {found}.")
    return redirect("equal_entries")


# --- for Prometheus ---------------------------------------------------------------------------------------------------


@never_cache
@require_safe
def prometheus(request: HttpRequest) -> HttpResponse:
    """The numbers, for whoever has the token of the settings, or for a signed-in organiser."""
    if not _may_scrape(request):
        raise Http404
    return HttpResponse(exposition.render(snapshot()), content_type=exposition.CONTENT_TYPE)


def _may_scrape(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if settings.METRICS_TOKEN and scheme == "Bearer":  # asks no database, which may be what is away
        return hmac.compare_digest(token.encode(), settings.METRICS_TOKEN.encode())
    return request.user.is_authenticated and request.user.is_staff
