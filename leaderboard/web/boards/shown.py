"""Which board a page is about: the present one, or a version that its address names."""

from datetime import datetime
from typing import Any, NamedTuple

from django.http import Http404, HttpRequest

from leaderboard.board.disclosure import Disclosure
from leaderboard.board.reading import board_of, read_board, version_of
from leaderboard.board.rows import Board
from leaderboard.board.versions import shown_versions
from leaderboard.models import Phase
from leaderboard.web.boards.asked import Asked
from leaderboard.web.boards.tabs import tabs_of
from leaderboard.web.context import instant_of


class Shown(NamedTuple):
    """A board, and whether its address names this version, which another one may have replaced at an instant.

    `embargo_until` is until when results are withheld from it, if they are (of a version: were, as it was shown first).
    """

    board: Board
    is_fixed: bool = False
    replaced_at: datetime | None = None
    embargo_until: datetime | None = None

    def context(self, view: str) -> dict[str, Any]:
        """What each of the views of a board (the name of its address) tells of it."""
        board, version = self.board, self.board.version
        number = version.number if version and self.is_fixed else None
        return {
            "board": board,
            "revealed": board.is_revealed,
            "is_fixed": self.is_fixed,
            "replaced_at": self.replaced_at,
            "embargo_until": self.embargo_until,
            "is_anonymous": board.is_anonymous,
            "tabs": tabs_of(board.phase, board.track, view, number),
        }


def shown_board(
    request: HttpRequest, phase: Phase, asked: Asked, number: int | None = None, *, opened: bool = False
) -> Shown:
    """What the address asks for: the present board, or its version of this number, or 404.

    With `opened`, rows are read with what they say when opened.
    """
    at = instant_of(request)
    if number is None:
        board = read_board(phase, asked.track, at, group=asked.group, sort=asked.sort, opened=opened)
        return Shown(board, embargo_until=_embargo(phase, at))
    version = version_of(phase, asked.track, at, number)
    if version is None:
        raise Http404
    later = shown_versions(phase, asked.track, at).filter(number__gt=number).order_by("number").first()
    board = board_of(phase, asked.track, version, group=asked.group, sort=asked.sort, opened=opened)
    replaced_at = later.visible_from if later else None
    return Shown(board, is_fixed=True, replaced_at=replaced_at, embargo_until=_embargo(phase, version.visible_from))


def _embargo(phase: Phase, at: datetime) -> datetime | None:
    return phase.embargo_until if Disclosure.to_public(phase, at).is_embargoed else None
