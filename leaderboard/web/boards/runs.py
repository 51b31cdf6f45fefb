"""All runs of a board, not only those that count: of the present one, and of each version."""

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from leaderboard.board import all_runs, exports
from leaderboard.models import Submission
from leaderboard.web.boards.asked import Asked, board_tag, phase_of
from leaderboard.web.boards.shown import shown_board
from leaderboard.web.conditional import same_for_visitors

RUNS_PER_PAGE = 25


@require_safe
@same_for_visitors(board_tag)
def board_runs(request: HttpRequest, slug: str, track: str, number: int | None = None) -> HttpResponse:
    """All runs of the present board, or of its version `number`, in the order that the address says."""
    sort = _sort(request)
    found = shown_board(request, phase_of(request, slug), Asked(track), number)
    phase, version = found.board.phase, found.board.version
    page = Paginator(all_runs.listed_in(version, sort), RUNS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        **found.context("board_runs"),
        "page": page,
        "runs": all_runs.lines(phase, version, list(page)) if version else [],
        "counting": sum(rank is not None for rank in version.ranks) if version else 0,
        "sort": sort,
        "before_page": f"?sort={sort}&page=",
        "track": Submission.Track(track),
        "tracks": Submission.Track.choices,
    }
    return render(request, "board/runs.html", context)


@require_safe
def board_runs_csv(request: HttpRequest, slug: str, track: str, number: int | None = None) -> StreamingHttpResponse:
    """The same for a spreadsheet, with all of them."""
    found = shown_board(request, phase_of(request, slug), Asked(track), number)
    of_version = f"-v{number}" if number else ""
    answer = StreamingHttpResponse(
        exports.runs_as_csv(found.board, _sort(request)), content_type="text/csv; charset=utf-8"
    )
    named = content_disposition_header(as_attachment=True, filename=f"runs-{slug}-{track}{of_version}.csv")
    answer["Content-Disposition"] = named or "attachment"
    return answer


def _sort(request: HttpRequest) -> str:
    sort = request.GET.get("sort", "dice")
    if sort not in all_runs.ORDERS:
        raise Http404
    return sort
