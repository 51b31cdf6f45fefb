"""The pages that anyone may read about the challenge, and the choice of a theme."""

from datetime import UTC
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from evaluation import Kind
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.reading import read_board
from leaderboard.board.versions import latest_tag
from leaderboard.challenge.calendar import as_calendar
from leaderboard.challenge.categories import categories_of
from leaderboard.challenge.dates import lines, timeline
from leaderboard.challenge.news import published_news
from leaderboard.challenge.phases import newest_phase
from leaderboard.charts.scales import axis_for, reach
from leaderboard.core import clock
from leaderboard.models import ChallengeDate, Phase, Submission
from leaderboard.web.conditional import same_for_visitors, unless_unchanged
from leaderboard.web.context import THEME_COOKIE, THEMES, came_from, instant_of

ON_HOME = 5
NEWS_ON_HOME = 3
WEBCAL = settings.SITE_URL.replace(urlsplit(settings.SITE_URL).scheme, "webcal", 1)  # opens a program for calendars
MAIN = Submission.Track.MAIN


# --- home -------------------------------------------------------------------------------------------------------------


def _home_tag(request: HttpRequest) -> str:
    """Names the board that the home page shows."""
    now = instant_of(request)
    current = newest_phase(list(Phase.objects.published()), now)
    return f"{current.slug} {latest_tag(current.slug, MAIN, now)}" if current else ""


@require_safe
@same_for_visitors(_home_tag)
def home(request: HttpRequest) -> HttpResponse:
    """What the challenge is, with the standings of the phase that matters now."""
    now = instant_of(request)
    phases = list(Phase.objects.published().select_related("case_set"))
    current = newest_phase(phases, now)
    shown_board = read_board(current, MAIN, now) if current else None
    shown = shown_board.rows[:ON_HOME] if shown_board else []
    context = {
        "dates": timeline(phases, ChallengeDate.objects.all(), now),
        "calendar": WEBCAL + reverse("calendar"),
        "news": published_news(now).defer("body")[:NEWS_ON_HOME],
        "board": shown_board,
        "embargo_until": current.embargo_until if current and Disclosure.to_public(current, now).is_embargoed else None,
        "first": shown,
        "axis": axis_for(reach(row.dice, row.dice_ci) for row in shown),
        "categories": [
            ("Typically non-focal", categories_of(Kind.NON_FOCAL)),
            ("Typically focal", categories_of(Kind.FOCAL)),
        ],
        "rules_version": settings.RULES_VERSION,
    }
    return render(request, "home.html", context)


@require_safe
def calendar(request: HttpRequest) -> HttpResponseBase:
    """The dates of the home page that are known to the day, for programs that keep calendars."""
    dates = lines(Phase.objects.published(), ChallengeDate.objects.all())
    content = as_calendar(dates, instant_of(request), f"{settings.SITE_URL}{reverse('home')}#h-dates")
    return unless_unchanged(request, content, "text/calendar; charset=utf-8")


# --- the rest ---------------------------------------------------------------------------------------------------------


@csrf_exempt
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember the theme that the visitor chose, and go back to where they were.

    Without a token against other sites' forms, with which each visitor would get a cookie and a page of their own: all
    that another site could do here is to change a theme.
    """
    # Not `redirect`, which takes a word for the name of a page.
    response = HttpResponseRedirect(came_from(request, reverse("home")))
    chosen = request.POST.get("theme", "")
    if chosen in THEMES:
        response.set_cookie(
            THEME_COOKIE,
            chosen,
            max_age=365 * 86_400,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
        )
    return response


@require_safe
@never_cache
def server_clock(_request: HttpRequest) -> HttpResponse:
    """The instant by the clock that decides, for countdowns in pages that were made a while ago."""
    return HttpResponse(f"{clock.now().astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}\n", content_type="text/plain")


@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """For whoever supervises the server: 200 while it and its database answer."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ok\n", content_type="text/plain")
