"""Ranks, and the orders in which a board can be read."""

from collections.abc import Callable, Sequence
from typing import Any

from leaderboard.board.rows import Row

SORT_KEYS = ("rank", "team", "dice", "hit_rate", "instance_f1", "distance_f1", "date")


def ranks(scores: Sequence[float]) -> list[int]:
    """Competition ranks ("1224") of scores, highest first; equal scores share a rank."""
    ordered = sorted(scores, reverse=True)
    return [ordered.index(score) + 1 for score in scores]


def sort_key(sort: str) -> Callable[[Row], Any]:
    """By what rows are sorted for one of SORT_KEYS."""
    if sort == "rank":
        return lambda row: (row.rank or 0, -row.dice, row.date, row.team.name.lower())
    if sort == "team":
        return lambda row: row.team.name.lower()
    if sort == "date":
        return lambda row: (-row.date.timestamp(), row.team.name.lower())
    return lambda row: (-(getattr(row, sort) or 0.0), row.rank or 0, row.team.name.lower())
