"""Rows of a board side by side, as the address names them: `?with=KEY&with=KEY`, the base first."""

from collections.abc import Sequence
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from leaderboard.board.comparing import BoardComparison, Choice, by_tests, choices_of, compare
from leaderboard.board.comparison import MOST
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.spread import DICE_EDGES
from leaderboard.charts.distributions import Distribution, distribution_plot
from leaderboard.charts.picture import About, Picture
from leaderboard.charts.sizes import Bin, SizeLine, size_plot
from leaderboard.models import Submission, Team
from leaderboard.web.boards.asked import Asked, board_tag, phase_of
from leaderboard.web.boards.shown import shown_board
from leaderboard.web.conditional import same_for_visitors
from leaderboard.web.context import frame_of, instant_of

LEAST = 2


@require_safe
@same_for_visitors(board_tag)
def board_compare(request: HttpRequest, slug: str, track: str, number: int | None = None) -> HttpResponse:
    """Rows of the present board, or of its version `number`: those that the address names, or two to begin with."""
    phase, own = phase_of(request, slug), frame_of(request).team
    found = shown_board(request, phase, Asked(track), number, opened=True)
    choices = choices_of(found.board)
    named = list(dict.fromkeys(key for key in request.GET.getlist("with") if key))
    known = {choice.key: choice for choice in choices}
    chosen = [known[key] for key in named if key in known] if named else _to_begin_with(choices, own)
    now = Disclosure.to_public(phase, instant_of(request))
    fits = LEAST <= len(chosen) <= MOST
    comparison = compare(found.board, chosen, now, own) if fits else None
    context = {
        **found.context("board_compare"),
        "track": Submission.Track(track),
        "comparison": comparison,
        "by_tests": by_tests(found.board, comparison) if comparison else [],
        "chosen": [(choice, _address([choice, *(one for one in chosen if one != choice)])) for choice in chosen],
        "is_choice": len(choices) >= LEAST,
        "others": [choice for choice in choices if choice not in chosen],
        "is_any_unknown": any(key not in known for key in named),
        "most": MOST,
        **(_pictures(comparison) if comparison else {}),
    }
    return render(request, "board/compare.html", context)


def _to_begin_with(choices: Sequence[Choice], own: Team | None) -> list[Choice]:
    """The visitor's own row, if there is one, and the first ones of the board."""
    mine = [choice for choice in choices if own is not None and choice.team == own.pk][:1]
    return [*mine, *(choice for choice in choices if choice not in mine)][:LEAST]


def _address(chosen: Sequence[Choice]) -> str:
    """Where these stand side by side, the first one as the base."""
    return f"?{urlencode([('with', choice.key) for choice in chosen])}"


def _pictures(comparison: BoardComparison) -> dict[str, Picture]:
    """How single findings are spread; none where they may not be read."""
    spread, entries = comparison.spread, comparison.entries
    if spread is None:
        return {}
    by_dice = [
        Distribution(
            entry.name,
            found.counts,
            found.zeros,
            entry.source.dice,
            entry.source.dice_ci,
            is_own=entry.is_own,
            total=found.n,
        )
        for entry, found in zip(entries, spread.dice, strict=True)
    ]
    by_size = [
        SizeLine(entry.name, means, intervals)
        for entry, means, intervals in zip(entries, spread.means, spread.intervals, strict=True)
    ]
    return {
        "by_dice": distribution_plot(About("by-dice", "Dice, finding by finding"), DICE_EDGES, by_dice),
        "by_size": size_plot(
            About("by-size", "Dice by the size of a finding"), [Bin(*one) for one in spread.bins], by_size, "mL"
        ),
    }
