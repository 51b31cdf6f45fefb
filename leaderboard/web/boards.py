"""The boards: the present one, each version at an address of its own, what changed from one to the next."""

import json
from datetime import datetime
from hashlib import sha256
from typing import ClassVar, NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.utils.http import content_disposition_header, quote_etag
from django.views.decorators.http import condition, require_safe

from leaderboard.board import exports
from leaderboard.board.changes import in_words
from leaderboard.board.disclosure import Disclosure, Reader, Viewer
from leaderboard.board.ranking import SORT_KEYS
from leaderboard.board.reading import board_of, read_board
from leaderboard.board.references import sources_of
from leaderboard.board.rows import Board, group_tables
from leaderboard.board.shake_up import shake_up_of
from leaderboard.board.versions import latest_tag, shown_versions
from leaderboard.challenge.categories import ALL, GROUPS
from leaderboard.challenge.halves.kept import Half
from leaderboard.challenge.phases import announces_try_out, newest_phase
from leaderboard.charts.picture import About
from leaderboard.charts.ranking_lines import RankedTeam, ranking_lines
from leaderboard.charts.scales import axis_for, reach
from leaderboard.core.minutes import minute_of
from leaderboard.core.text import one_line, sanitised, xml_text
from leaderboard.models import BoardVersion, Phase, Submission
from leaderboard.web.conditional import unless_unchanged
from leaderboard.web.context import THEME_COOKIE, frame_of, instant_of

ROWS_PER_PAGE = 25
VERSIONS_PER_PAGE = 25
IN_FEED = 30
MAIN = Submission.Track.MAIN
WAYS = ("All cases", "Public half", "Withheld half")
ORDERS = (
    ("rank", "Rank"),
    ("hit_rate", "Hit rate"),
    ("instance_f1", "Instance F1"),
    ("distance_f1", "Distance F1"),
    ("team", "Team"),
    ("date", "Date"),
)


class Asked(NamedTuple):
    """Which board, ranked by which findings, and in which order."""

    track: str
    group: str
    sort: str


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


# --- a board ----------------------------------------------------------------------------------------------------------


def _etag(request: HttpRequest, slug: str, track: str = "", **_: object) -> str | None:
    """Of what a visitor sees of a board within a minute; None for who is signed in, and where there is nothing yet.

    Around the board there are the phases, whose times are told in minutes, and the theme.
    """
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        return None
    at = instant_of(request)
    version = latest_tag(slug, track or request.GET.get("track", MAIN), at)
    if version is None:
        return None
    told = [version, minute_of(at).isoformat(), request.get_full_path(), request.COOKIES.get(THEME_COOKIE, "")]
    return quote_etag(sha256(json.dumps(told).encode()).hexdigest()[:32])


@require_safe
@condition(etag_func=_etag)
def board(request: HttpRequest, slug: str) -> HttpResponse:
    """A phase's board: ranked, sorted, filtered and opened as the address says."""
    phase, asked = _phase(slug), _asked(request, track=request.GET.get("track", MAIN))
    shown = read_board(phase, asked.track, instant_of(request), group=asked.group, sort=asked.sort)
    return _page(request, shown, asked)


@require_safe
@condition(etag_func=_etag)
def board_version(request: HttpRequest, slug: str, track: str, number: int) -> HttpResponse:
    """A version of a board as it was published; its address stays what it is."""
    phase, asked = _phase(slug), _asked(request, track=track)
    shown = shown_versions(phase, track, instant_of(request))
    version = get_object_or_404(shown, number=number)
    later = shown.filter(number__gt=number).order_by("number").first()
    replaced_at = later.visible_from if later else None
    board = board_of(phase, track, version, group=asked.group, sort=asked.sort)
    return _page(request, board, asked, is_fixed=True, replaced_at=replaced_at)


def _page(
    request: HttpRequest,
    shown: Board,
    asked: Asked,
    *,
    is_fixed: bool = False,
    replaced_at: datetime | None = None,
) -> HttpResponse:
    """A board's page. An address that `is_fixed` names a version, which another one may have replaced."""
    phase, disclosure = shown.phase, Disclosure.to_public(shown.phase, instant_of(request))
    choices = {**asked._asdict(), "track": MAIN if is_fixed else asked.track}
    page = Paginator(shown.rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    after = Paginator(shown.after, ROWS_PER_PAGE).get_page(request.GET.get("after"))
    masks = Paginator(shown.masks, ROWS_PER_PAGE).get_page(request.GET.get("masks"))
    opened = next((row for row in (*page, *after) if row.key == request.GET.get("open")), None)
    said = opened.opened if opened else None
    references = [] if is_fixed else shown.references  # which are in no version
    reference = next((one for one in references if one.key == request.GET.get("open")), None)
    sources = sources_of(references)
    context = {
        "board": shown,
        "page": page,
        "after": after,
        "masks": masks,
        "asked": asked,
        "open": opened.key if opened else reference.key if reference else "",
        "said": said,
        "open_tables": group_tables(said.groups if said else reference.lines if reference else []),
        "references": [(one, sources.index(one.source) + 1) for one in references],
        "sources": sources,
        "address": Address(
            request.path, {**choices, "page": page.number, "after": after.number, "masks": masks.number}
        ),
        "axis": axis_for([shown.reach, *(reach(one.numbers.dice, one.numbers.dice_ci) for one in references)]),
        "group_label": GROUPS[asked.group],
        "phases": Phase.objects.only("slug", "name"),
        "tracks": Submission.Track.choices,
        "orders": ORDERS,
        "revealed": shown.is_revealed,
        "csv": Address(reverse("board_csv", args=[phase.slug]), {}).with_(**asked._asdict()),
        "cited": _cited(shown),
        "has_shake_up": shown.is_revealed and phase.publication == Phase.Publication.HALF,
        "half_commitment": disclosure.half_commitment,
        "opens_half": disclosure.opens_half,
        "announces_try_out": announces_try_out(phase, disclosure.at),
        "is_fixed": is_fixed,
        "replaced_at": replaced_at,
    }
    return render(request, "board.html", context)


def _phase(slug: str) -> Phase:
    return get_object_or_404(Phase.objects.select_related("case_set"), slug=slug)


def _asked(request: HttpRequest, *, track: str) -> Asked:
    """What an address asks for; what there is not is not found."""
    asked = Asked(track, request.GET.get("group", ALL), request.GET.get("sort", "rank"))
    if track not in Submission.Track.values or asked.group not in GROUPS or asked.sort not in SORT_KEYS:
        raise Http404
    return asked


@require_safe
def board_csv(request: HttpRequest, slug: str) -> HttpResponse:
    """All rows of the board that the address asks for, for a spreadsheet."""
    phase, asked = _phase(slug), _asked(request, track=request.GET.get("track", MAIN))
    shown = read_board(phase, asked.track, instant_of(request), group=asked.group, sort=asked.sort)
    name = content_disposition_header(as_attachment=True, filename=f"board-{phase.slug}.csv")
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


def _cited(shown: Board) -> dict[str, str] | None:
    """What a paper needs to name this version."""
    if shown.version is None:
        return None
    url = settings.SITE_URL + address_of(shown.phase, shown.version)
    return {"url": url, "bibtex": exports.as_bibtex(shown.phase, shown.version, url)}


def address_of(phase: Phase, version: BoardVersion) -> str:
    """Where a version can be read for ever."""
    return reverse("board_version", args=[phase.slug, version.track, version.number])


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


# --- the reveal -------------------------------------------------------------------------------------------------------


@require_safe
def board_shake_up(request: HttpRequest, slug: str, track: str) -> HttpResponse:
    """How ranks changed when the withheld half of the cases was revealed; before that there is nothing to see."""
    phase = _phase(slug)
    _asked(request, track=track)
    shown = read_board(phase, track, instant_of(request))
    moves = shake_up_of(shown.version) if shown.version else []
    if not moves:
        raise Http404
    page = Paginator(moves, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    named, own = {row.submission: row.team for row in shown.rows}, frame_of(request).team
    teams = [
        RankedTeam(
            sanitised(team.name),
            (move.rank, move.public_rank, move.withheld_rank),
            is_own=own is not None and own.pk == team.pk,
        )
        for move in page
        if (team := named.get(move.submission))
    ]
    context = {
        "phase": phase,
        "track": Submission.Track(track),
        "page": page,
        "moved": sum(move.gained != 0 for move in moves),
        "first_stays": moves[0].public_rank == moves[0].rank,
        "picture": ranking_lines(About("shake-up", "Ranks on all cases and on either half"), WAYS, teams),
    }
    return render(request, "board/shake_up.html", context)


# --- versions ---------------------------------------------------------------------------------------------------------


@require_safe
def board_versions(request: HttpRequest, slug: str, track: str) -> HttpResponse:
    """All versions of a board, the newest first, each with what is new in it."""
    phase = _phase(slug)
    _asked(request, track=track)
    page = Paginator(_told(phase, track, request), VERSIONS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "phase": phase,
        "track": Submission.Track(track),
        "tracks": Submission.Track.choices,
        "page": page,
        "versions": [(one, address_of(phase, one), [in_words(change) for change in one.changes]) for one in page],
    }
    return render(request, "board/versions.html", context)


def _told(phase: Phase, track: str, request: HttpRequest) -> QuerySet[BoardVersion]:
    shown = shown_versions(phase, track, instant_of(request)).order_by("-number")
    return shown.only("phase", "track", "number", "visible_from", "changes", "evaluation_version").annotate(
        teams=F("ranks__len")
    )


@require_safe
def board_feed(request: HttpRequest, slug: str, track: str) -> HttpResponseBase:
    """The newest versions of a board with what is new in them, for readers of feeds."""
    phase = _phase(slug)
    _asked(request, track=track)
    name = one_line(f"ReXGrounding Challenge: leaderboard, {phase.name}, {Submission.Track(track).label} track")
    listed = settings.SITE_URL + reverse("board_versions", args=[phase.slug, track])
    made = Atom1Feed(
        title=xml_text(name),
        link=listed,
        feed_url=settings.SITE_URL + reverse("board_feed", args=[phase.slug, track]),
        description="",
        author_name="The ReXGrounding Challenge",
        language="en",
    )
    versions = list(_told(phase, track, request)[:IN_FEED])
    for version in versions:
        address = settings.SITE_URL + address_of(phase, version)
        made.add_item(
            f"Version {version.number}",
            address,
            description=xml_text(" ".join(map(in_words, version.changes)) or "The board changed."),
            unique_id=address,
            pubdate=version.visible_from,
            updateddate=version.visible_from,
        )
    changed_at = versions[0].visible_from if versions else phase.opens_at
    return unless_unchanged(request, made.writeString("utf-8").encode(), made.content_type, changed_at)
