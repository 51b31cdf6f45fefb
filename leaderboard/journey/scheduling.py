"""Who is next: which image is checked, which waiting batch gets a free slot, which masks are scored or looked at.

All of these are dealt out in turns between teams (leaderboard/journey/turns.py): the team with the least at work comes
first, then the one that was served longest ago. On top of that,

* a slot goes to a run that began before a new one starts (its team waits for an answer, and its image is warm), unless
  its team is at work already and another is not; slots that are left over help runs that have more batches waiting.
  Within a team runs start in the order of acceptance.
* a canary's mask is scored before all others: its run can do nothing without it.
* one process at most looks at masks, and those of runs first at which nobody looked in vain.

A run's priority never depends on the broker: a message is sent only for a batch that has a slot, and one to those who
check or score only says that there is something to do.
"""

import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q, QuerySet

from leaderboard.core import clock, disk_space, locks, task_queue
from leaderboard.hosts.slots import Slot, fitting, free_slots, just_told, unused_slots
from leaderboard.journey.selectors import awaiting_a_look, with_phase
from leaderboard.journey.turns import Place, Turns, next_in_turn
from leaderboard.models import Batch, Host, Run, Submission, Turn
from leaderboard.states import ACTIVE_RUN_STATES, ENDED, RUNNABLE, UNCHECKED, BatchState, RunState

logger = logging.getLogger(__name__)

SCORING_FAULT = "scoring"  # why a run is halted whose masks could not be scored


# --- slots -----------------------------------------------------------------------------------------------------------


class Rank(IntEnum):
    """What a run waits for a slot for."""

    GOES_ON = 0
    STARTS = 1


class _Waiting(NamedTuple):
    """A run that could use a slot, and its batch if it has one that waits."""

    run: Run
    batch: Batch | None = None


_Slots = Place[_Waiting]


def fill_slots(start: Callable[[Run], Batch | None]) -> None:
    """Tell hosts of as many batches as there are free slots. `start` begins a queued run and returns its first batch.

    Nothing is begun for whose masks the disk has no space.
    """
    if not disk_space.allows_mask():
        return
    with transaction.atomic():
        locks.one_at_a_time("dispatch")
        at = clock.now()
        if free := free_slots(at):
            _fill(free, start, at)


def _fill(free: list[Slot], start: Callable[[Run], Batch | None], at: datetime) -> None:
    waiting = _waiting_batches(at) + (_queued() if disk_space.allows_run() else [])
    if not waiting:
        return
    turns, load = Turns(Turn.Kind.SLOT), _Load(at)
    for place in turns.in_order(waiting, load.of):
        run, batch = place.thing
        slot = fitting(free, run.submission.phase)
        if slot is not None and (batch := batch or _started(start, run)):
            free.remove(slot)
            _notify(batch, at)
            load.add(place)
            turns.take(place.team)
    turns.save()


class _Load:
    """What each team has at work: the slots that it holds, and, for a run that is to start, its runs under way."""

    def __init__(self, at: datetime) -> None:
        self._slots = Counter(_at_hosts(at).values_list("run__submission__team", flat=True))
        under_way = Run.objects.filter(state__in=ACTIVE_RUN_STATES).values_list("submission__team", "pk")
        self._runs: dict[int, set[int]] = {}
        for team, run in under_way.order_by():
            self._runs.setdefault(team, set()).add(run)

    def of(self, place: _Slots) -> int:
        """What the team has at work, as it counts for this place."""
        if place.rank == Rank.STARTS:
            return len(self._runs.get(place.team, ()))
        return self._slots[place.team]

    def add(self, place: _Slots) -> None:
        """The place gets a slot."""
        self._slots[place.team] += 1
        self._runs.setdefault(place.team, set()).add(place.thing.run.pk)


def _started(start: Callable[[Run], Batch | None], run: Run) -> Batch | None:
    """Begin a run; one that cannot begin must not keep the others waiting."""
    try:
        with transaction.atomic():
            return start(run)
    except Exception:
        logger.exception("run %s could not be started", run.pk)
        return None


def _notify(batch: Batch, at: datetime) -> None:
    Batch.objects.filter(pk=batch.pk).update(notified_at=at)
    task_queue.enqueue_batch(batch.pk)


def tell_another(batch_id: uuid.UUID, host: Host) -> None:
    """Tell of a batch again that this host can't have, if another that could has a slot free."""
    batch = with_phase(Batch.objects.filter(pk=batch_id, state=BatchState.WAITING), "run__submission").first()
    if batch is not None and fitting(unused_slots(clock.now(), but=host), batch.run.submission.phase):
        task_queue.enqueue_batch(batch_id)


def queue(at: datetime | None = None) -> list[Run]:
    """The queued runs in the order in which they will start, as things stand, when slots that fit become free.

    `at` is now, if the caller has read the database's clock already.
    """
    turns, load, ordered = Turns(Turn.Kind.SLOT), _Load(at or clock.now()), []
    for place in turns.in_order(_queued(), load.of):
        load.add(place)
        turns.take(place.team)
        ordered.append(place.thing.run)
    return ordered


def _queued() -> list[_Slots]:
    """The queued runs; what we interrupted goes on, the others start."""
    waiting = Run.objects.filter(state=RunState.QUEUED).select_related("submission__phase")
    needed = ("started_at", "submission__team", "submission__phase__gpus", "submission__phase__cases_are_public")
    return [
        Place(
            team=run.submission.team_id,
            thing=_Waiting(run),
            order=(run.submission_id, run.number, 0),
            rank=Rank.GOES_ON if run.started_at else Rank.STARTS,
        )
        for run in waiting.only(*needed, "number")
    ]


def _waiting_batches(at: datetime) -> list[_Slots]:
    """Batches to tell hosts of: the next of each run that has none at work, and, a class behind, the others."""
    waiting = Batch.objects.filter(state=BatchState.WAITING, run__state__in=RUNNABLE).exclude(just_told(at))
    at_work = set(_at_hosts(at).values_list("run_id", flat=True))
    places = []
    for batch in with_phase(waiting.order_by("run_id", "number"), "run__submission"):
        run = batch.run
        order = (run.submission_id, run.number, batch.number)
        helps = int(run.pk in at_work)
        places.append(Place(run.submission.team_id, _Waiting(run, batch), order, class_=helps, rank=Rank.GOES_ON))
        at_work.add(run.pk)
    return places


def _at_hosts(at: datetime) -> QuerySet[Batch]:
    """Batches that hosts do, or were just told of."""
    return Batch.objects.filter(Q(state=BatchState.LEASED) | just_told(at)).order_by()


# --- checks of images ------------------------------------------------------------------------------------------------


def next_check(*, processes: int) -> AbstractContextManager[int | None]:
    """The submission whose image this worker, one of so many processes, should check."""
    return next_in_turn(Turn.Kind.CHECK, "image", _unchecked, processes=processes)


def _unchecked() -> list[Place[int]]:
    rows = Submission.objects.filter(state__in=UNCHECKED).order_by().values_list("team", "pk")
    return [Place(team, pk, pk) for team, pk in rows]


# --- masks -----------------------------------------------------------------------------------------------------------


def next_scoring(*, processes: int) -> AbstractContextManager[uuid.UUID | None]:
    """The batch of which this worker, one of so many processes, should score masks."""
    return next_in_turn(Turn.Kind.SCORE, "scores", _reported, processes=processes)


def scores_wait() -> bool:
    """Whether there are masks to score at which nobody is at work."""
    waiting = list(to_score().order_by().values_list("pk", flat=True))
    return bool(waiting) and not locks.at_work("scores", waiting).issuperset(waiting)


def to_score() -> QuerySet[Batch]:
    """Reported batches; those of a halted run, which we may have been unable to score, wait until it goes on."""
    return Batch.objects.filter(state=BatchState.REPORTED).exclude(run__state__in={*ENDED, RunState.HALTED})


def _reported() -> list[Place[uuid.UUID]]:
    columns = ("run__submission__team", "pk", "is_canary", "run__submission_id", "run__number", "number")
    return [
        Place(team, pk, tuple(order), class_=int(not is_canary))
        for team, pk, is_canary, *order in to_score().order_by().values_list(*columns)
    ]


# --- looks -----------------------------------------------------------------------------------------------------------


@contextmanager
def next_look() -> Iterator[int | None]:
    """The run at whose masks this worker should look; None while another looks, at whichever run."""
    with locks.working_on("looks", "") as mine:
        if not mine:
            yield None
            return
        with next_in_turn(Turn.Kind.LOOK, "hints", _not_looked_at, processes=1) as run_id:
            yield run_id


def _not_looked_at() -> list[Place[int]]:
    rows = awaiting_a_look().order_by().values_list("submission__team", "pk", "hints_tries")
    return [Place(team, pk, pk, class_=tries) for team, pk, tries in rows]
