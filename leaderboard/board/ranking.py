"""Ranks, and the orders in which a board can be read."""

from collections.abc import Callable, Sequence
from typing import Any

from leaderboard.board.places import NUMBERS, Place
from leaderboard.certainty import ranking

SORT_KEYS = ("rank", "team", *NUMBERS, "date")


def ranks(scores: Sequence[float]) -> list[int]:
    """Competition ranks ("1224") of scores, highest first; equal scores share a rank."""
    found: list[int] = ranking.ranks(scores).tolist()
    return found


def sort_key(sort: str) -> Callable[[Place], Any]:
    """By what places are sorted for one of SORT_KEYS; a number is the one that was asked for."""
    if sort == "rank":
        return lambda one: (one.rank or 0, -one.dice, one.date, one.name)
    if sort == "team":
        return lambda one: one.name
    if sort == "date":
        return lambda one: (-one.date, one.name)
    return lambda one: (-(one.asked or 0.0), one.rank or 0, one.name)
