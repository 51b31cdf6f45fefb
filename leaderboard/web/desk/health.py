"""How the server is: for those who organise, and in numbers for Prometheus."""

import hmac

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from leaderboard.operations import prometheus as exposition
from leaderboard.operations.health import Level, snapshot
from leaderboard.people.roles import has_role
from leaderboard.states import Role
from leaderboard.web.context import instant_of
from leaderboard.web.desk.access import for_viewers
from leaderboard.web.desk.tabs import tabs

REFRESH_SECONDS = 10


@never_cache
@require_safe
@for_viewers
def health(request: HttpRequest) -> HttpResponse:
    """Everything that has to work, the worst first."""
    return _page(request, "health.html")


@never_cache
@require_safe
@for_viewers
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
        "tabs": tabs("health"),
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
    return request.user.is_authenticated and has_role(request.user, Role.VIEWER)
