"""Turns: how what all teams share is dealt out between them, the same way from the check to the score.

Who waits stands in a line of his team. The next to be served is always the head of a line: of the team that has least
at work, and among those with as much of the team that was served longest ago. What one of the three (check, slot,
score) puts before that, its `Place` says.

"At work" is what the caller counts, and may change while an order is read: each place is asked for anew. Who is being
checked or scored, PostgreSQL's advisory locks say, so a killed worker is not at work any more.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import transaction

from leaderboard.core import locks
from leaderboard.models import Turn

T = TypeVar("T")


@dataclass(frozen=True)
class Place(Generic[T]):
    """Somebody who waits. `class_` comes before every higher one, `rank` only before those that are as well served.

    `order` is that within a line of the team's; a line holds what has the same team, class and rank.
    """

    team: int
    thing: T
    order: Any
    class_: int = 0
    rank: int = 0


def urgency(class_: int, at_work: int, rank: int, number: int, order: Any) -> tuple[Any, ...]:
    """By what the next to be served is chosen: the smallest. `number` is that of the team's last turn, 0 for none."""
    return class_, at_work, rank, number, order


class Order:
    """The last turns of teams, as numbers that rise, and who is next by them."""

    def __init__(self, numbers: Mapping[int, int]) -> None:
        self._numbers = dict(numbers)
        self._last = max(self._numbers.values(), default=0)

    def take(self, team: int) -> None:
        """The team is served now."""
        self._last += 1
        self._numbers[team] = self._last

    def in_order(self, waiting: Iterable[Place[T]], at_work: Callable[[Place[T]], int]) -> Iterator[Place[T]]:
        """Who is next, and next, as `at_work` and the turns stand each time."""
        lines: dict[tuple[int, int, int], deque[Place[T]]] = {}
        for place in sorted(waiting, key=lambda place: place.order):
            lines.setdefault((place.class_, place.rank, place.team), deque()).append(place)

        def of_head(line: deque[Place[T]]) -> tuple[Any, ...]:
            head = line[0]
            return urgency(head.class_, at_work(head), head.rank, self._numbers.get(head.team, 0), head.order)

        while lines:
            line = min(lines.values(), key=of_head)
            place = line.popleft()
            if not line:
                del lines[place.class_, place.rank, place.team]
            yield place


class Turns(Order):
    """The last turns of all teams at one thing; `take` them under `locks.one_at_a_time` of that kind, then `save`."""

    def __init__(self, kind: Turn.Kind) -> None:
        super().__init__(dict(Turn.objects.filter(kind=kind).values_list("team", "number")))
        self._kind = kind
        self._taken: set[int] = set()

    def take(self, team: int) -> None:
        """The team is served now."""
        super().take(team)
        self._taken.add(team)

    def save(self) -> None:
        """Write down the turns that were taken."""
        rows = [Turn(kind=self._kind, team_id=team, number=self._numbers[team]) for team in sorted(self._taken)]
        Turn.objects.bulk_create(rows, update_conflicts=True, unique_fields=["kind", "team"], update_fields=["number"])


@contextmanager
def next_in_turn(
    kind: Turn.Kind, lock: str, waiting: Callable[[], list[Place[T]]], *, processes: int
) -> Iterator[T | None]:
    """The thing that this worker should do now, which nobody else does meanwhile; None when there is nothing.

    Of several `processes` one is left to others, whatever a team hands in.
    """
    with ExitStack() as stack:
        with transaction.atomic():
            locks.one_at_a_time(f"turn: {kind}")
            chosen = _choose(kind, lock, waiting(), stack, most=max(1, processes - 1))
        yield chosen


def _choose(kind: Turn.Kind, lock: str, waiting: list[Place[T]], stack: ExitStack, *, most: int) -> T | None:
    if not waiting:
        return None
    turns = Turns(kind)
    busy = locks.at_work(lock, [place.thing for place in waiting])
    served = [place.team for place in waiting if place.thing in busy]
    free = [place for place in waiting if place.thing not in busy and served.count(place.team) < most]
    for place in turns.in_order(free, lambda place: served.count(place.team)):
        if stack.enter_context(locks.working_on(lock, place.thing)):
            turns.take(place.team)
            turns.save()
            return place.thing
    return None
