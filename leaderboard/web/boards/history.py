"""Standings over time: the ranks and scores of the first teams of a board in its versions."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import groupby

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from leaderboard.board.history import Course, Held, History, history_of
from leaderboard.charts.picture import About
from leaderboard.charts.standings import Step, TeamLine, ranks_over_time, scores_over_time
from leaderboard.core.minutes import minute_of
from leaderboard.core.text import sanitised
from leaderboard.models import Phase, Submission, Team
from leaderboard.web.boards.asked import Asked, board_tag, phase_of
from leaderboard.web.boards.shown import shown_board
from leaderboard.web.conditional import same_for_visitors
from leaderboard.web.context import frame_of, instant_of

LEAST = timedelta(minutes=1)  # that a picture is of


@require_safe
@same_for_visitors(board_tag)
def board_history(request: HttpRequest, slug: str, track: str) -> HttpResponse:
    """How the first teams of a board came to where they are, and one's own."""
    phase, own = phase_of(request, slug), frame_of(request).team
    found = shown_board(request, phase, Asked(track))
    history = history_of(found.board, instant_of(request), own)
    context = {
        **found.context("board_history"),
        "track": Submission.Track(track),
        "tracks": Submission.Track.choices,
        "history": history,
        **(_pictures(request, phase, history, own) if history else {}),
    }
    return render(request, "board/history.html", context)


def _pictures(request: HttpRequest, phase: Phase, history: History, own: Team | None) -> dict[str, object]:
    now = minute_of(instant_of(request))
    last = [held.since for course in history.courses for held in course.held[-1:]]
    ends = max(*last, min(now, phase.closes_at), history.begins) + LEAST
    ranks = _lines(history.courses, own, lambda held: held.rank)
    scores = _lines(history.courses, own, lambda held: held.dice)
    return {
        "ranks": ranks_over_time(About("ranks", "Ranks over time"), ranks, history.begins, ends),
        "scores": scores_over_time(About("scores", "Dice over time"), scores, history.begins, ends),
    }


def _lines(courses: Sequence[Course], own: Team | None, value: Callable[[Held], float | None]) -> list[TeamLine]:
    """A line for each team, of the steps in which this value changed."""
    return [
        TeamLine(
            sanitised(row.team.name),
            [Step(next(of_value).since, number) for number, of_value in groupby(held, key=value)],
            is_own=row.team.is_own(own),
        )
        for row, held in courses
    ]
