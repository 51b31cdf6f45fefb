"""The board: the present one, and each version at an address of its own."""

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from leaderboard.board import exports
from leaderboard.board.case_exports import shown_files
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.filters import ENTRIES, SOURCES
from leaderboard.board.reading import read_board
from leaderboard.board.references import sources_of
from leaderboard.board.rows import Board, Row, group_tables
from leaderboard.challenge.categories import GROUPS
from leaderboard.challenge.phases import announces_try_out, newest_phase
from leaderboard.charts.scales import axis_for, reach
from leaderboard.models import Phase, Submission
from leaderboard.rescoring.progress import said_on_board
from leaderboard.web.boards.asked import MAIN, Address, Asked, address_of, asked_of, board_tag, phase_of
from leaderboard.web.boards.badges import snippets_of
from leaderboard.web.boards.certainty import Told, told_apart
from leaderboard.web.boards.columns import Columns
from leaderboard.web.boards.shown import Shown, shown_board
from leaderboard.web.conditional import same_for_visitors
from leaderboard.web.context import frame_of, instant_of

ROWS_PER_PAGE = 25
CHOICES = ("track", "group", "sort", "source", "entry")
ORDERS = (
    ("rank", "Rank"),
    ("hit_rate", "Hit rate"),
    ("instance_f1", "Instance F1"),
    ("distance_f1", "Distance F1"),
    ("team", "Team"),
    ("date", "Date"),
)


@require_safe
def leaderboard(request: HttpRequest) -> HttpResponse:
    """To the board of the phase that was asked for, or else of the newest one, with the other choices kept."""
    slug = request.GET.get("phase")
    phases = list(frame_of(request).phases)
    if slug:
        phase = next((one for one in phases if one.slug == slug), None)
        if phase is None:
            raise Http404
    else:
        phase = newest_phase([one for one in phases if not one.is_draft], instant_of(request))
    if phase is None:
        return render(request, "board/none.html")
    choices = {key: request.GET[key] for key in CHOICES if request.GET.get(key)}
    choices["columns"] = asked_of(request, track=MAIN).columns
    return redirect(Address(reverse("board", args=[phase.slug]), {}).with_(**choices))


@require_safe
@same_for_visitors(board_tag)
def board(request: HttpRequest, slug: str) -> HttpResponse:
    """A phase's board: ranked, sorted, filtered and opened as the address says."""
    asked = asked_of(request, track=request.GET.get("track", MAIN))
    return _page(request, asked, shown_board(request, phase_of(request, slug), asked))


@require_safe
@same_for_visitors(board_tag)
def board_version(request: HttpRequest, slug: str, track: str, number: int) -> HttpResponse:
    """A version of a board as it was published; its address stays what it is."""
    asked = asked_of(request, track=track)
    return _page(request, asked, shown_board(request, phase_of(request, slug), asked, number))


def _page(request: HttpRequest, asked: Asked, found: Shown) -> HttpResponse:
    shown, is_fixed = found.board, found.is_fixed
    phase, disclosure = shown.phase, Disclosure.to_public(shown.phase, instant_of(request))
    choices = {**asked._asdict(), "track": MAIN if is_fixed else asked.track}
    kept = asked.filters.kept(shown.version)
    page, after, masks = (
        Paginator(some.only(kept), ROWS_PER_PAGE).get_page(request.GET.get(name))
        for name, some in (("page", shown.rows), ("after", shown.after), ("masks", shown.masks))
    )
    opened = next((row for row in (*page, *after) if row.key == request.GET.get("open")), None)
    said = opened.opened if opened else None
    references = [] if is_fixed else shown.references  # which are in no version
    reference = next((one for one in references if one.key == request.GET.get("open")), None)
    sources = sources_of(references)
    context = {
        **found.context("board"),
        "rank_small": "95 % interval" if any(row.rank_interval for row in page) else "",
        "page": page,
        "after": after,
        "masks": masks,
        "asked": asked,
        "open": opened.key if opened else reference.key if reference else "",
        "said": said,
        "told": _told(shown, opened),
        "open_tables": group_tables(said.groups if said else reference.lines if reference else []),
        "references": [(one, sources.index(one.source) + 1) for one in references],
        "sources": sources,
        "address": Address(
            request.path, {**choices, "page": page.number, "after": after.number, "masks": masks.number}
        ),
        "axis": axis_for([shown.reach, *(reach(one.numbers.dice, one.numbers.dice_ci) for one in references)]),
        "group_label": GROUPS[asked.group],
        "phases": frame_of(request).phases.only("slug", "name", "is_draft"),
        "tracks": Submission.Track.choices,
        "orders": ORDERS,
        "is_filtered": kept is not None,
        "filters": _filters(shown, asked),
        "columns": Columns.of(asked.columns, asked.sort),
        "csv": Address(reverse("board_csv", args=[phase.slug]), {}).with_(**asked._replace(columns="")._asdict()),
        "cited": _cited(shown),
        "has_shake_up": shown.is_revealed and phase.publication == Phase.Publication.HALF,
        "half_commitment": disclosure.half_commitment,
        "opens_half": disclosure.opens_half,
        "announces_try_out": announces_try_out(phase, disclosure.at),
        "is_scored_anew": "" if is_fixed else said_on_board(phase),
        "files": _files(shown, disclosure),
        "badge": snippets_of(phase, asked.track, opened) if opened and not is_fixed else None,
    }
    return render(request, "board.html", context)


@require_safe
def board_csv(request: HttpRequest, slug: str) -> HttpResponse:
    """The rows of the board that the address asks for, with all columns, for a spreadsheet."""
    phase, asked = phase_of(request, slug), asked_of(request, track=request.GET.get("track", MAIN))
    shown = read_board(phase, asked.track, instant_of(request), group=asked.group, sort=asked.sort)
    name = content_disposition_header(as_attachment=True, filename=f"board-{phase.slug}.csv")
    headers = {"Content-Disposition": name or "attachment", "X-Content-Type-Options": "nosniff"}
    rows = shown.everything.only(asked.filters.kept(shown.version))
    return HttpResponse(exports.as_csv(shown, rows), content_type="text/csv; charset=utf-8", headers=headers)


def _filters(shown: Board, asked: Asked) -> list[tuple[str, str, str, dict[str, str]]]:
    """The filters of a board: how an address names each, what it is called, what is asked for, all choices.

    A board that does not name teams does not say whose code is open, either.
    """
    by_source = [] if shown.is_anonymous else [("source", "Open source", asked.source, SOURCES)]
    by_entry = [("entry", "Entries", asked.entry, ENTRIES)] if shown.phase.takes_masks or asked.entry else []
    return by_source + by_entry


def _told(shown: Board, opened: Row | None) -> Told | None:
    """From whom the opened row can't be told, where that is known."""
    if opened is None or opened.place is None or shown.order is None:
        return None
    return next(iter(told_apart(shown, shown.order, [opened.place])), None)


def _files(shown: Board, disclosure: Disclosure) -> dict[str, str]:
    """The addresses of the numbers of single cases, by the name of each file."""
    if shown.version is None:
        return {}
    which = (shown.phase.slug, shown.track, shown.version.number)
    names = shown_files(disclosure, shown.version)
    return {name.replace(".", "_"): reverse("board_file", args=[*which, name]) for name in names}


def _cited(shown: Board) -> dict[str, str] | None:
    """What a paper needs to name this version."""
    if shown.version is None:
        return None
    url = settings.SITE_URL + address_of(shown.phase, shown.version)
    return {"url": url, "bibtex": exports.as_bibtex(shown.phase, shown.version, url)}
