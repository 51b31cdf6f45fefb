"""What a reveal opens: the public half, and how ranks changed."""

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from leaderboard.board.disclosure import Reader, Viewer
from leaderboard.board.reading import read_board
from leaderboard.board.shake_up import shake_up_of
from leaderboard.challenge.halves.kept import Half
from leaderboard.charts.picture import About
from leaderboard.charts.ranking_lines import RankedTeam, ranking_lines
from leaderboard.core.text import sanitised
from leaderboard.models import Phase, Submission
from leaderboard.web.boards.asked import phase_of
from leaderboard.web.context import frame_of, instant_of

MOVES_PER_PAGE = 25
WAYS = ("All cases", "Public half", "Withheld half")


@require_safe
def board_half(request: HttpRequest, slug: str) -> HttpResponse:
    """From the reveal on: which cases the public half had, under their tags; its SHA-256 is what the board showed."""
    phases = frame_of(request).phases.select_related("case_set").filter(publication=Phase.Publication.HALF)
    phase = get_object_or_404(phases, slug=slug)
    if not Viewer(Reader.PUBLIC, instant_of(request)).of_half(phase.case_set).shows_opening:
        raise Http404
    return HttpResponse(Half(phase.case_set).opening, content_type="text/plain; charset=utf-8")


@require_safe
def board_shake_up(request: HttpRequest, slug: str, track: str) -> HttpResponse:
    """How ranks changed when the withheld half of the cases was revealed; before that there is nothing to see."""
    phase = phase_of(request, slug)
    shown = read_board(phase, track, instant_of(request))
    moves = shake_up_of(shown.version) if shown.version else []
    if not moves:
        raise Http404
    page = Paginator(moves, MOVES_PER_PAGE).get_page(request.GET.get("page"))
    named, own = {row.submission: row.team for row in shown.rows}, frame_of(request).team
    teams = [
        RankedTeam(
            sanitised(team.name),
            (move.rank, move.public_rank, move.withheld_rank),
            is_own=team.is_own(own),
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
