"""How the server is: a page for organisers, and the same numbers for Prometheus."""

import hmac
from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from leaderboard.operations import prometheus as exposition
from leaderboard.operations.health import Level, snapshot
from leaderboard.web.context import instant_of

View = Callable[[HttpRequest], HttpResponse]
REFRESH_SECONDS = 10


def _for_organisers(view: View) -> View:
    """Strangers sign in first; for everybody else who does not organise there is no such page."""

    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not request.user.is_staff:
            raise Http404
        return view(request)

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
