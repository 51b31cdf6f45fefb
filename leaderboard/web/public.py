"""The pages that anyone may read: the challenge, its guidelines, the boards; and the choice of a theme."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import urlencode

from django.conf import settings
from django.core.paginator import Paginator
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from evaluation import Kind
from leaderboard.board import exports
from leaderboard.board.board import make_board
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.ranking import SORT_KEYS
from leaderboard.board.rows import Board, group_tables
from leaderboard.challenge.categories import ALL, GROUPS, categories_of
from leaderboard.challenge.phases import announces_try_out, newest_phase
from leaderboard.core import clock
from leaderboard.models import Phase, Submission
from leaderboard.templatetags.draw import axis_for, reach
from leaderboard.web.context import THEME_COOKIE, THEMES, came_from, instant_of

ROWS_PER_PAGE = 25
ON_HOME = 5
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


@dataclass(frozen=True)
class Date:
    """A line of the timeline. `at` orders it; `words` stand for it where the challenge only knows about when."""

    order: datetime
    what: str
    words: str = ""
    css: str = ""
    both_clocks: bool = False

    @property
    def at(self) -> datetime | None:
        """The exact instant, if there is one."""
        return None if self.words else self.order


CHALLENGE_DATES = (
    Date(datetime(2026, 3, 1, tzinfo=UTC), "Pre-registration by email begins", words="spring 2026"),
    Date(datetime(2026, 6, 1, tzinfo=UTC), "Registration opens; the validation set is out", words="June 2026"),
    Date(datetime(2026, 9, 28, tzinfo=UTC), "Results are announced at MICCAI 2026", words="late September 2026"),
)


def timeline(phases: list[Phase], now: datetime) -> list[Date]:
    """The challenge's own dates and those of its phases in one order, with the present instant among them."""
    dates = list(CHALLENGE_DATES)
    for phase in phases:
        dates += [
            Date(phase.opens_at, f"{phase.name} opens"),
            Date(phase.closes_at, f"{phase.name} closes", css="major", both_clocks=phase.closes_at > now),
        ]
    done = [Date(date.order, date.what, date.words, "past") for date in dates if date.order <= now]
    ahead = [date for date in dates if date.order > now]
    return sorted([*done, Date(now, "Now", css="now"), *ahead], key=lambda date: date.order)


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What the challenge is, with the standings of the phase that matters now."""
    now = instant_of(request)
    phases = list(Phase.objects.select_related("case_set"))
    current = newest_phase(phases, now)
    shown_board = make_board(Disclosure.to_public(current, now), MAIN) if current else None
    shown = shown_board.rows[:ON_HOME] if shown_board else []
    context = {
        "dates": timeline(phases, now),
        "board": shown_board,
        "axis": axis_for(reach(row.dice, row.dice_ci) for row in shown),
        "categories": [
            ("Typically non-focal", categories_of(Kind.NON_FOCAL)),
            ("Typically focal", categories_of(Kind.FOCAL)),
        ],
        "rules_version": settings.RULES_VERSION,
    }
    return render(request, "home.html", context)


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
    phase, disclosure = shown.phase, shown.disclosure
    page = Paginator(shown.rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    after = Paginator(shown.after, ROWS_PER_PAGE).get_page(request.GET.get("after"))
    masks = Paginator(shown.masks, ROWS_PER_PAGE).get_page(request.GET.get("masks"))
    opened = next((row for row in (*page, *after) if row.key == request.GET.get("open")), None)
    lines = [*opened.groups, *opened.categories] if opened else []
    context = {
        "board": shown,
        "page": page,
        "after": after,
        "masks": masks,
        "asked": asked,
        "open": opened.key if opened else "",
        "open_tables": group_tables(lines),
        "address": Address(request.path, {**asked, "page": page.number, "after": after.number, "masks": masks.number}),
        "axis": axis_for(reach(row.dice, row.dice_ci) for row in (*shown.rows, *shown.after)),
        "group_label": GROUPS[asked["group"]],
        "phases": Phase.objects.all(),
        "tracks": Submission.Track.choices,
        "orders": ORDERS,
        "revealed": disclosure.is_revealed,
        "csv": _csv_address(phase, asked),
        "announces_try_out": announces_try_out(phase, disclosure.at),
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
    disclosure = Disclosure.to_public(phase, instant_of(request))
    return make_board(disclosure, asked["track"], group=asked["group"], sort=asked["sort"]), asked


def _csv_address(phase: Phase, asked: dict[str, str]) -> str:
    return Address(reverse("board_csv", args=[phase.slug]), {}).with_(**asked)


@require_safe
def board_csv(request: HttpRequest, slug: str) -> HttpResponse:
    """All rows of the board that the address asks for, for a spreadsheet."""
    shown, _ = _asked_board(request, slug)
    name = content_disposition_header(as_attachment=True, filename=f"board-{shown.phase.slug}.csv")
    headers = {"Content-Disposition": name or "attachment", "X-Content-Type-Options": "nosniff"}
    return HttpResponse(exports.as_csv(shown), content_type="text/csv; charset=utf-8", headers=headers)


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
