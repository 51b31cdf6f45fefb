"""How sure the order of a board is: ranks over resamples, who can't be told from whom, other ways to rank."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from leaderboard.board.order import Order
from leaderboard.board.rows import Board, Row
from leaderboard.certainty.pairs import can_tell
from leaderboard.charts.intervals import Entry, interval_plot
from leaderboard.charts.picture import About, Picture
from leaderboard.charts.podium import PodiumShares, podium
from leaderboard.charts.ranking_lines import RankedTeam, ranking_lines
from leaderboard.charts.significance import TestedTeam, Verdict, significance_map
from leaderboard.charts.stability import RankShares, rank_stability
from leaderboard.core.text import sanitised
from leaderboard.models import Submission, Team
from leaderboard.web.boards.asked import Asked, board_tag, phase_of
from leaderboard.web.boards.shown import Shown, shown_board
from leaderboard.web.conditional import same_for_visitors
from leaderboard.web.context import frame_of

ROWS_PER_PAGE = 25  # which is what pictures of all pairs can hold
NAMED = 8  # of the teams that one can't be told from: the nearest ones
PODIUM = 12  # teams
PODIUM_PLACES = (1, 2, 3)


@require_safe
@same_for_visitors(board_tag)
def board_certainty(request: HttpRequest, slug: str, track: str, number: int | None = None) -> HttpResponse:
    """How sure the order is of the present board, or of its version `number`."""
    found = shown_board(request, phase_of(request, slug), Asked(track), number)
    context = {**found.context("board_certainty"), "track": Submission.Track(track), **_said(request, found)}
    return render(request, "board/certainty.html", context)


def _said(request: HttpRequest, found: Shown) -> dict[str, Any]:
    """What there is to say; nothing of a board without an order."""
    order = found.board.order
    if order is None:
        return {}
    page = Paginator(range(len(order.tied_with_the_top)), ROWS_PER_PAGE).get_page(request.GET.get("page"))
    view = _View(found.board, order, list(page), frame_of(request).team)
    return {
        "page": page,
        "order": order,
        "can_tell": bool(order.better.any()) or can_tell(len(order.tied_with_the_top), found.board.cases),
        "first": len(order.may_be_first),
        "neighbours": len(order.tied_with_the_top) - 1,
        "open_neighbours": order.open_neighbours,
        "teams": told_apart(found.board, order, list(page)),
        "scores": view.scores(),
        "blobs": view.blobs(),
        "podium": view.podium() if page.number == 1 else None,
        "pairs": view.pairs(),
        "ways": view.ways(),
    }


class Told(NamedTuple):
    """A row of the page; the rows nearest to it that it can't be told from, and how many more these are."""

    row: Row
    alike: list[Row]
    more: int


def told_apart(board: Board, order: Order, places: Sequence[int]) -> list[Told]:
    """Of the rows at these places of an order, from which other ones they can't be told."""
    alike = {place: order.not_told_from(place) for place in places}
    nearest = {
        place: sorted(sorted(others, key=lambda other: abs(other - place))[:NAMED]) for place, others in alike.items()
    }
    rows = board.at_places({place for one in nearest.items() for place in (one[0], *one[1])})
    return [
        Told(rows[place], [rows[other] for other in others if other in rows], len(alike[place]) - len(others))
        for place, others in nearest.items()
        if place in rows
    ]


@dataclass(frozen=True)
class _View:
    """The pictures of the rows at some places of an order, for a member of the team `own`, if it is one's."""

    board: Board
    order: Order
    places: Sequence[int]
    own: Team | None

    @cached_property
    def _first(self) -> list[int]:
        """The places that are most often among the first three, best first."""
        shares = {place: math.fsum(self._podium_shares(place)) for place in self.order.on_podium(PODIUM_PLACES)}
        return sorted(sorted(shares, key=lambda place: (-shares[place], place))[:PODIUM])

    @cached_property
    def _rows(self) -> Mapping[int, Row]:
        """All rows that are named, read together."""
        return self.board.at_places({*self.places, *self._first})

    @cached_property
    def _here(self) -> list[tuple[int, Row]]:
        return [(place, self._rows[place]) for place in self.places if place in self._rows]

    def _podium_shares(self, place: int) -> tuple[float, float, float]:
        first, second, third = (self.order.shares(place).get(rank, 0.0) for rank in PODIUM_PLACES)
        return first, second, third

    def scores(self) -> Picture:
        """The Dice of each row with its interval."""
        entries = [
            Entry(sanitised(row.team.name), row.dice, row.dice_ci, row.rank, is_own=row.team.is_own(self.own))
            for _, row in self._here
        ]
        return interval_plot(About("scores", "Dice, and what it may be on other cases"), entries)

    def blobs(self) -> Picture:
        """How often each row takes each rank."""
        teams = [
            RankShares(
                sanitised(row.team.name),
                row.rank or 0,
                self.order.shares(place),
                self.order.medians[place],
                row.rank_interval or (row.rank or 0, row.rank or 0),
                is_own=row.team.is_own(self.own),
            )
            for place, row in self._here
        ]
        return rank_stability(About("blobs", "How often each team takes each rank"), teams)

    def podium(self) -> Picture:
        """How often each row is among the first three."""
        teams = [
            PodiumShares(sanitised(row.team.name), self._podium_shares(place), is_own=row.team.is_own(self.own))
            for place in self._first
            if (row := self._rows.get(place))
        ]
        return podium(About("podium", "How often each team is among the first three"), teams)

    def pairs(self) -> Picture:
        """Each row of the page against each other one of it."""
        teams = [
            TestedTeam(
                sanitised(row.team.name),
                row.rank or 0,
                [self._verdict(place, other) for other, _ in self._here],
                [None if other == place else row.dice - against.dice for other, against in self._here],
                is_own=row.team.is_own(self.own),
            )
            for place, row in self._here
        ]
        return significance_map(About("pairs", "Which team is better than which"), teams)

    def _verdict(self, place: int, other: int) -> Verdict | None:
        if place == other:
            return None
        if self.order.better[place, other]:
            return Verdict.BETTER
        return Verdict.WORSE if self.order.better[other, place] else Verdict.OPEN

    def ways(self) -> Picture:
        """The ranks of each row by other ways to rank."""
        teams = [
            RankedTeam(
                sanitised(row.team.name),
                [row.rank, *(one.ranks[place] for one in self.order.others)],
                is_own=row.team.is_own(self.own),
            )
            for place, row in self._here
        ]
        about = About("ways", "Ranks by other ways to rank")
        return ranking_lines(about, ["Mean Dice", *(one.label for one in self.order.others)], teams)
