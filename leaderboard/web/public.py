"""The pages that anyone may read: the challenge, its guidelines, the boards; and the choice of a theme."""

from datetime import UTC
from typing import ClassVar
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.core.paginator import Paginator
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from evaluation import Kind
from leaderboard.board import exports
from leaderboard.board.disclosure import Disclosure, Reader, Viewer
from leaderboard.board.ranking import SORT_KEYS
from leaderboard.board.reading import read_board
from leaderboard.board.rows import Board, group_tables
from leaderboard.challenge.calendar import as_calendar
from leaderboard.challenge.categories import ALL, GROUPS, categories_of
from leaderboard.challenge.dates import lines, timeline
from leaderboard.challenge.halves.kept import Half
from leaderboard.challenge.news import published_news
from leaderboard.challenge.phases import announces_try_out, newest_phase
from leaderboard.charts.scales import axis_for, reach
from leaderboard.core import clock
from leaderboard.models import ChallengeDate, Phase, Submission
from leaderboard.web.conditional import unless_unchanged
from leaderboard.web.context import THEME_COOKIE, THEMES, came_from, instant_of

ROWS_PER_PAGE = 25
ON_HOME = 5
NEWS_ON_HOME = 3
WEBCAL = settings.SITE_URL.replace(urlsplit(settings.SITE_URL).scheme, "webcal", 1)  # opens a program for calendars
MAIN = Submission.Track.MAIN
ORDERS = (
    ("rank", "Rank"),
    ("hit_rate", "Hit rate"),
    ("instance_f1", "Instance F1"),
    ("distance_f1", "Distance F1"),
    ("team", "Team"),
    ("date", "Date"),
)


# --- home -------------------------------------------------------------------------------------------------------------


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What the challenge is, with the standings of the phase that matters now."""
    now = instant_of(request)
    phases = list(Phase.objects.select_related("case_set"))
    current = newest_phase(phases, now)
    shown_board = read_board(current, MAIN, now) if current else None
    shown = shown_board.rows[:ON_HOME] if shown_board else []
    context = {
        "dates": timeline(phases, ChallengeDate.objects.all(), now),
        "calendar": WEBCAL + reverse("calendar"),
        "news": published_news(now).defer("body")[:NEWS_ON_HOME],
        "board": shown_board,
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
    dates = lines(Phase.objects.all(), ChallengeDate.objects.all())
    content = as_calendar(dates, instant_of(request), f"{settings.SITE_URL}{reverse('home')}#h-dates")
    return unless_unchanged(request, content, "text/calendar; charset=utf-8")


# --- boards -----------------------------------------------------------------------------------------------------------


@require_safe
def leaderboard(request: HttpRequest) -> HttpResponse:
    """To the board of the phase that was asked for, or of the newest one, with the other choices kept."""
    slug = request.GET.get("phase")
    phases = list(Phase.objects.all())
    phase = next((one for one in phases if one.slug == slug), None) or newest_phase(phases, instant_of(request))
    if phase is None:
        return render(request, "board/none.html")
    choices = {key: request.GET[key] for key in ("track", "group", "sort") if request.GET.get(key)}
    return redirect(Address(reverse("board", args=[phase.slug]), {}).with_(**choices))


@require_safe
def board(request: HttpRequest, slug: str) -> HttpResponse:
    """A phase's board: ranked, sorted, filtered and opened as the address says."""
    shown, asked = _asked_board(request, slug)
    phase, now = shown.phase, instant_of(request)
    disclosure = Disclosure.to_public(phase, now)
    page = Paginator(shown.rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    after = Paginator(shown.after, ROWS_PER_PAGE).get_page(request.GET.get("after"))
    masks = Paginator(shown.masks, ROWS_PER_PAGE).get_page(request.GET.get("masks"))
    opened = next((row for row in (*page, *after) if row.key == request.GET.get("open")), None)
    said = opened.opened if opened else None
    context = {
        "board": shown,
        "page": page,
        "after": after,
        "masks": masks,
        "asked": asked,
        "open": opened.key if opened else "",
        "said": said,
        "open_tables": group_tables(said.groups) if said else [],
        "address": Address(request.path, {**asked, "page": page.number, "after": after.number, "masks": masks.number}),
        "axis": axis_for([shown.reach]),
        "group_label": GROUPS[asked["group"]],
        "phases": Phase.objects.only("slug", "name"),
        "tracks": Submission.Track.choices,
        "orders": ORDERS,
        "revealed": shown.is_revealed,
        "csv": _csv_address(phase, asked),
        "half_commitment": disclosure.half_commitment,
        "opens_half": disclosure.opens_half,
        "announces_try_out": announces_try_out(phase, now),
    }
    return render(request, "board.html", context)


def _asked_board(request: HttpRequest, slug: str) -> tuple[Board, dict[str, str]]:
    """The board as anybody may see it, ranked, sorted and filtered as the address says."""
    phase = get_object_or_404(Phase.objects.select_related("case_set"), slug=slug)
    asked = {
        "track": request.GET.get("track", MAIN),
        "group": request.GET.get("group", ALL),
        "sort": request.GET.get("sort", "rank"),
    }
    known = {"track": Submission.Track.values, "group": GROUPS, "sort": SORT_KEYS}
    if any(value not in known[key] for key, value in asked.items()):
        raise Http404
    at = instant_of(request)
    return read_board(phase, asked["track"], at, group=asked["group"], sort=asked["sort"]), asked


def _csv_address(phase: Phase, asked: dict[str, str]) -> str:
    return Address(reverse("board_csv", args=[phase.slug]), {}).with_(**asked)


@require_safe
def board_csv(request: HttpRequest, slug: str) -> HttpResponse:
    """All rows of the board that the address asks for, for a spreadsheet."""
    shown, _ = _asked_board(request, slug)
    name = content_disposition_header(as_attachment=True, filename=f"board-{shown.phase.slug}.csv")
    headers = {"Content-Disposition": name or "attachment", "X-Content-Type-Options": "nosniff"}
    return HttpResponse(exports.as_csv(shown), content_type="text/csv; charset=utf-8", headers=headers)


@require_safe
def board_half(request: HttpRequest, slug: str) -> HttpResponse:
    """From the reveal on: which cases the public half had, under their tags; its SHA-256 is what the board showed."""
    phases = Phase.objects.select_related("case_set").filter(publication=Phase.Publication.HALF)
    phase = get_object_or_404(phases, slug=slug)
    if not Viewer(Reader.PUBLIC, instant_of(request)).of_half(phase.case_set).shows_opening:
        raise Http404
    return HttpResponse(Half(phase.case_set).opening, content_type="text/plain; charset=utf-8")


class Address:
    """Links to the same board with one thing changed. What is as it would be anyway stays out of the address."""

    _USUAL: ClassVar[dict[str, str | int]] = {
        "track": MAIN,
        "group": "all",
        "sort": "rank",
        "page": 1,
        "after": 1,
        "masks": 1,
        "open": "",
    }

    def __init__(self, path: str, now: dict[str, str | int]) -> None:
        self._path = path
        self._now = now

    def with_(self, **changes: str | int) -> str:
        """The address with these changes."""
        told = {key: value for key, value in {**self._now, **changes}.items() if value != self._USUAL[key]}
        return f"{self._path}{'?' if told else ''}{urlencode(told)}"


# --- the rest ---------------------------------------------------------------------------------------------------------


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember the theme that the visitor chose, and go back to where they were."""
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
