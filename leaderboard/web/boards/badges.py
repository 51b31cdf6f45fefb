"""The badge of a team, for pages elsewhere: what the board shows of it at the moment."""

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from leaderboard.board.reading import read_board
from leaderboard.board.rows import Board, Row
from leaderboard.charts.badge import badge
from leaderboard.charts.words import interval, score
from leaderboard.models import Phase, Submission
from leaderboard.web.boards.asked import MAIN, phase_of
from leaderboard.web.conditional import unless_unchanged
from leaderboard.web.context import instant_of

KEPT = "public, max-age=300"
NOTHING = "no published result"


@require_safe
def board_badge(request: HttpRequest, slug: str, track: str, team: str) -> HttpResponseBase:
    """An image with the rank and the Dice of a team.

    For whoever is not on the board, or not by name, it says so, in grey, whether or not there is such a team.
    """
    phase = phase_of(request, slug)
    shown = read_board(phase, track, instant_of(request))
    row = next((one for one in shown.everything if one.team.slug == team and not one.is_anonymous), None)
    drawn = badge(label_of(phase, track), words_of(shown, row) if row else [NOTHING], is_grey=row is None)
    answer = unless_unchanged(request, drawn.encode(), "image/svg+xml")
    answer["Cache-Control"] = KEPT
    answer["Cross-Origin-Resource-Policy"] = "cross-origin"  # also where other pages ask for that
    return answer


def label_of(phase: Phase, track: str) -> str:
    """What the badge is about."""
    return f"ReXGrounding {phase.name}" + ("" if track == MAIN else f", {Submission.Track(track).label} track")


def words_of(board: Board, row: Row) -> list[str]:
    """What the board shows of a row, in short."""
    ranked = sum(one is not None for one in board.version.ranks) if board.version else 0
    place = f"rank {row.rank} of {ranked}" if row.rank else "not ranked"
    return [place, f"Dice {score(row.dice)}" + (f" ({interval(row.dice_ci)})" if row.dice_ci else "")]


def snippets_of(phase: Phase, track: str, row: Row) -> dict[str, str]:
    """What a team copies into a page of its own: as Markdown, and as HTML."""
    image = settings.SITE_URL + reverse("board_badge", args=[phase.slug, track, row.team.slug])
    board = settings.SITE_URL + reverse("board", args=[phase.slug]) + ("" if track == MAIN else f"?track={track}")
    words = "ReXGrounding Challenge"
    return {
        "image": image,
        "markdown": f"[![{words}]({image})]({board})",
        "html": f'<a href="{board}"><img src="{image}" alt="{words}" height="20"></a>',
    }
