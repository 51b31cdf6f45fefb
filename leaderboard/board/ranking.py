"""Ranks, and the orders in which a board can be read."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Self

from leaderboard.certainty import ranking
from leaderboard.models import BoardRow

NUMBERS = ("dice", "reach", "hit_rate", "instance_f1", "distance_f1")
"""The numbers of a row, in the order in which they are stored."""
SORT_KEYS = ("rank", "team", "dice", "hit_rate", "instance_f1", "distance_f1", "date")


class Place(NamedTuple):
    """A row (its key) with what it is ranked and sorted by; `rank` is None where it is not ranked.

    `date` is when its run was accepted, `name` its team's in small letters, `numbers` as NUMBERS says. What does not
    compete holds no rank, wherever it stands.
    """

    row: int
    date: datetime
    name: str
    numbers: Sequence[float | None]
    competes: bool = True
    rank: int | None = None

    @classmethod
    def of(cls, row: BoardRow, group: str, *, competes: bool = True) -> Self:
        """The place of a row by its numbers over a group of findings."""
        return cls(row.pk, row.accepted_at, row.name, row.numbers[group], competes)

    @property
    def dice(self) -> float:
        """What it is ranked by."""
        return self.numbers[0] or 0.0

    @property
    def reach(self) -> float:
        """How far its dot and its interval reach."""
        return self.numbers[1] or 0.0


def ranks(scores: Sequence[float]) -> list[int]:
    """Competition ranks ("1224") of scores, highest first; equal scores share a rank."""
    found: list[int] = ranking.ranks(scores).tolist()
    return found


def ranked(places: Sequence[Place]) -> list[Place]:
    """The same with the ranks of those that compete, best first: the others stand between them and move none."""
    competing = [one for one in places if one.competes]
    found = ranks([one.dice for one in competing])
    others = [one for one in places if not one.competes]
    return in_order([*(one._replace(rank=rank) for one, rank in zip(competing, found, strict=True)), *others])


def in_order(places: Iterable[Place], sort: str = "rank") -> list[Place]:
    """The same in the order of one of SORT_KEYS. Ties are broken for the eye alone: they share their rank."""
    return sorted(places, key=_sort_key(sort))


def _sort_key(sort: str) -> Callable[[Place], Any]:
    if sort == "rank":
        return lambda one: (-one.dice, one.date, one.name)
    if sort == "team":
        return lambda one: one.name
    if sort == "date":
        return lambda one: (-one.date.timestamp(), one.name)
    number = NUMBERS.index(sort)
    return lambda one: (-(one.numbers[number] or 0.0), one.rank or 0, one.name)
