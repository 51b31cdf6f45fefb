"""What readers see now: a team of its own submission, an organiser, the public of a board."""

from typing import Any

from leaderboard.board.disclosure import Disclosure, Reader, Viewer
from leaderboard.board.reading import read_board, unpublished_board
from leaderboard.board.rows import Board
from leaderboard.core import clock
from leaderboard.models import Phase, Submission
from leaderboard.progress.submission_view import SubmissionView, submission_view


def by_team(submission: Submission) -> SubmissionView:
    """The submission as a member of its team sees it."""
    return submission_view(submission, Viewer(Reader.TEAM, clock.now()).of_submission(submission))


def by_organiser(submission: Submission) -> SubmissionView:
    """The submission as an organiser sees it."""
    return submission_view(submission, Viewer(Reader.ORGANISER, clock.now()).of_submission(submission))


def board_by_public(phase: Phase, track: str = "main", **choices: Any) -> Board:
    """The board as anybody sees it."""
    return read_board(phase, track, clock.now(), **choices)


def board_by_organiser(phase: Phase, track: str = "main") -> Board:
    """The board as an organiser sees it."""
    return unpublished_board(Disclosure(Reader.ORGANISER, phase, clock.now()), track)
