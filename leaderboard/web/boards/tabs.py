"""The views of a board, from each of which a row of tabs leads to the others."""

from typing import NamedTuple

from django.urls import reverse

from leaderboard.models import Phase
from leaderboard.web.boards.asked import Address

VIEWS = {
    "board_certainty": "How sure",
    "board_categories": "By category",
    "board_compare": "Compare",
    "board_runs": "All runs",
}
"""What each view but the board itself is called, by the name of its address."""


class Tab(NamedTuple):
    """A view of the board, and whether it is the one that is shown."""

    label: str
    url: str
    is_here: bool


def tabs_of(phase: Phase, track: str, here: str, number: int | None = None) -> list[Tab]:
    """The views of the present board, or of its version `number`; `here` names the address of this one."""
    board = Address(reverse("board", args=[phase.slug]), {}).with_(track=track)
    if number is not None:
        board = reverse("board_version", args=[phase.slug, track, number])
    which, suffix = ([phase.slug, track], "") if number is None else ([phase.slug, track, number], "_version")
    names = [name for name in VIEWS if phase.is_ranked or name != "board_certainty"]  # of no rank nobody is sure
    others = [Tab(VIEWS[name], reverse(f"{name}{suffix}", args=which), name == here) for name in names]
    return [Tab("Board", board, here == "board"), *others]
