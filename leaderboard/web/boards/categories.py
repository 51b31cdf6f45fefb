"""A board by category: where methods are good and where nobody is; by the size of findings, and finding by finding."""

from collections.abc import Sequence

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from evaluation import Kind
from leaderboard.board.rows import Opened, Row
from leaderboard.board.spread import DICE_EDGES
from leaderboard.challenge.categories import categories_of
from leaderboard.charts import heat
from leaderboard.charts.distributions import Distribution, distribution_plot
from leaderboard.charts.picture import About, Picture
from leaderboard.charts.sizes import MOST, Bin, SizeLine, size_plot
from leaderboard.core.text import sanitised
from leaderboard.models import Submission, Team
from leaderboard.web.boards.asked import Asked, board_tag, phase_of
from leaderboard.web.boards.shown import shown_board
from leaderboard.web.conditional import same_for_visitors
from leaderboard.web.context import frame_of

ROWS_PER_PAGE = 25
PANELS = {Kind.NON_FOCAL: "Non-focal", Kind.FOCAL: "Focal"}
NOT_SHOWN = "fewer than 10 findings, or as many more as would tell these; shown after the reveal"
NONE = "no finding of this category"


@require_safe
@same_for_visitors(board_tag)
def board_categories(request: HttpRequest, slug: str, track: str, number: int | None = None) -> HttpResponse:
    """The Dice of each row by category, and of the first ones by size and by finding: of the board, or of a version."""
    found = shown_board(request, phase_of(request, slug), Asked(track), number, opened=True)
    page = Paginator(found.board.rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    opened = [(row, row.opened) for row in page]
    own = frame_of(request).team
    compared = _compared(opened, own)
    context = {
        **found.context("board_categories"),
        "track": Submission.Track(track),
        "page": page,
        "heat": _heat(opened, own, NONE if found.board.is_revealed else NOT_SHOWN),
        "sizes": _sizes(compared),
        "spread": _spread(compared, own),
        "compared": len(compared),
    }
    return render(request, "board/categories.html", context)


def _compared(opened: Sequence[tuple[Row, Opened]], own: Team | None) -> list[tuple[Row, Opened]]:
    """The rows of which pictures show more: the first ones of the page, one's own among them if it is there."""
    first = list(opened[:MOST])
    mine = [one for one in opened[MOST:] if one[0].team.is_own(own)]
    return [*first[: MOST - len(mine)], *mine]


def _heat(opened: Sequence[tuple[Row, Opened]], own: Team | None, not_shown: str) -> Picture:
    lines = [{line.code: line for line in said.groups} for _, said in opened]
    counts = {code: line.n for known in lines for code, line in known.items()}
    categories = [
        heat.Category(code, label, counts.get(code), panel)
        for kind, panel in PANELS.items()
        for code, label in categories_of(kind)
    ]
    teams = [
        heat.Team(
            sanitised(row.team.name),
            [known[one.code].dice if one.code in known else None for one in categories],
            is_own=row.team.is_own(own),
        )
        for (row, _), known in zip(opened, lines, strict=True)
    ]
    return heat.heat_map(About("heat", "Mean Dice of each team in each category"), categories, teams, not_shown)


def _sizes(compared: Sequence[tuple[Row, Opened]]) -> Picture:
    """All bins are those of the same findings."""
    known = [(row, said.sizes) for row, said in compared if said.sizes]
    bins = [Bin(*size) for size, _ in known[0][1]] if known else []
    lines = [
        SizeLine(sanitised(row.team.name), [dice for _, dice in sizes])
        for row, sizes in known
        if [Bin(*size) for size, _ in sizes] == bins
    ]
    return size_plot(About("sizes", "Mean Dice by the size of a finding"), bins, lines, "mL")


def _spread(compared: Sequence[tuple[Row, Opened]], own: Team | None) -> Picture:
    entries = [
        Distribution(
            sanitised(row.team.name),
            said.dice.counts,
            said.dice.zeros,
            row.dice,
            row.dice_ci,
            is_own=row.team.is_own(own),
            total=said.dice.n,
        )
        for row, said in compared
        if said.dice
    ]
    return distribution_plot(About("spread", "Findings by the Dice that was reached in them"), DICE_EDGES, entries)
