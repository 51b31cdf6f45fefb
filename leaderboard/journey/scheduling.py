"""Who is next: what is checked, which waiting batch gets a free slot, which masks are scored or looked at.

All of these are dealt out in turns between teams (leaderboard/journey/turns.py): the team with the least at work comes
first, then the one that was served longest ago. On top of that,

* a slot goes to a run that began before a new one starts (its team waits for an answer, and its image is warm), unless
  its team is at work already and another is not; slots that are left over help runs that have more batches waiting.
  Within a team runs start in the order of acceptance.
* a try-out gets a slot when no scored run has a use for it but to go faster; a post-challenge run when none has any.
  They take turns of their own: no team's scored run waits longer because it tried something out. A try-out that has
  waited long is not forgotten: one at a time, with pauses, goes before runs that go on, never before one that starts.
  They are checked and scored after the others, too.
* what an organiser decided to start next does, before all of these; it takes its team's turn as any other.
* in a pause for maintenance nothing is told to any host.
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
from dataclasses import replace
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q, QuerySet

from leaderboard.challenge import maintenance
from leaderboard.core import clock, disk_space, locks, task_queue
from leaderboard.hosts.slots import Slot, fitting, free_slots, just_told, unused_slots
from leaderboard.journey.selectors import awaiting_a_look, with_phase
from leaderboard.journey.turns import Place, Turns, next_in_turn
from leaderboard.models import Attempt, Batch, Host, Run, Submission, Turn
from leaderboard.states import ACTIVE_RUN_STATES, ENDED, RUNNABLE, UNCHECKED, BatchState, RunState, SubmissionKind

logger = logging.getLogger(__name__)

TRY_OUT_PAUSE = timedelta(minutes=15)  # for so long a try-out waits behind runs that go on, and so long after another
SCORING_FAULT = "scoring"  # why a run is halted whose masks could not be scored


# --- slots -----------------------------------------------------------------------------------------------------------


class Class(IntEnum):
    """What comes before what: all of one before any of the next."""

    PUT_FIRST = -1
    HELD_UP = 0
    SCORED = 1
    TRY_OUT = 2
    SCORED_HELPS = 3
    POST_CHALLENGE = 4
    SPARE_HELPS = 5


class Rank(IntEnum):
    """What a run waits for a slot for."""

    GOES_ON = 0
    STARTS = 1


class _Waiting(NamedTuple):
    """A run that could use a slot, and its batch if it has one that waits."""

    run: Run
    batch: Batch | None = None

    @property
    def is_scored(self) -> bool:
        """Whether it is an entry, and not to be held up by others."""
        return self.run.submission.is_scored


_Slots = Place[_Waiting]


def class_of(kind: str, *, helps: bool = False) -> Class:
    """Where a run of a submission of this kind stands, with a batch that `helps` or with what it needs to go on."""
    if kind == SubmissionKind.SCORED:
        return Class.SCORED_HELPS if helps else Class.SCORED
    if helps:
        return Class.SPARE_HELPS
    return Class.TRY_OUT if kind == SubmissionKind.TRY_OUT else Class.POST_CHALLENGE


def fill_slots(start: Callable[[Run], Batch | None]) -> None:
    """Tell hosts of as many batches as there are free slots. `start` begins a queued run and returns its first batch.

    Nothing is begun for whose masks the disk has no space.
    """
    if not disk_space.allows_mask():
        return
    with transaction.atomic():
        locks.one_at_a_time("dispatch")
        at = clock.now()
        if not maintenance.is_on(at) and (free := free_slots(at)):
            _fill(free, start, at)


def _fill(free: list[Slot], start: Callable[[Run], Batch | None], at: datetime) -> None:
    waiting = _waiting_batches(at) + (_queued() if disk_space.allows_run() else [])
    if not waiting:
        return
    turns, load = _Turns(), _Load(at)
    for place in turns.in_order(_with_one_held_up(waiting, free, at), load.of):
        if not free:  # the rest need not be ordered
            break
        run, batch = place.thing
        slot = fitting(free, run.submission)
        if slot is not None and (batch := batch or _started(start, run)):
            free.remove(slot)
            _notify(batch, at)
            load.add(place)
            turns.take(place)
    turns.save()


def _with_one_held_up(waiting: list[_Slots], free: list[Slot], at: datetime) -> list[_Slots]:
    """The same; but a try-out that has waited long comes first, if nothing of theirs ran lately and no run starts."""
    tries = (place for place in waiting if place.class_ == Class.TRY_OUT and _fits(place, free))
    first = min(tries, key=attrgetter("order"), default=None)
    if first is None or first.thing.run.created_at > at - TRY_OUT_PAUSE:
        return waiting
    if _tried_lately(at) or any(_starts(place) and _fits(place, free) for place in waiting):
        return waiting
    return [replace(place, class_=Class.HELD_UP) if place is first else place for place in waiting]


def _fits(place: _Slots, free: list[Slot]) -> bool:
    return fitting(free, place.thing.run.submission) is not None


def _starts(place: _Slots) -> bool:
    return place.thing.is_scored and place.rank == Rank.STARTS


def _tried_lately(at: datetime) -> bool:
    """Whether a container of a try-out runs, or did a moment ago."""
    of_try_out = Q(run__submission__kind=SubmissionKind.TRY_OUT)
    ended = Attempt.objects.filter(batch__run__submission__kind=SubmissionKind.TRY_OUT, ended_at__gt=at - TRY_OUT_PAUSE)
    return _at_hosts(at).filter(of_try_out).exists() or ended.exists()


def _side(place: _Slots) -> tuple[int, bool]:
    """Among whom a place waits: scored runs and others have turns of their own."""
    return place.class_, not place.thing.is_scored


class _Turns:
    """The turns at slots, of scored runs and apart from them of the others, which cost a team no turn of the first."""

    def __init__(self) -> None:
        self._read: dict[bool, Turns] = {}

    def in_order(self, waiting: list[_Slots], at_work: Callable[[_Slots], int]) -> Iterator[_Slots]:
        """Who is next, and next, as `at_work` and the turns stand each time."""
        for _, group in groupby(sorted(waiting, key=_side), _side):
            places = list(group)
            yield from self._of(places[0]).in_order(places, at_work)

    def take(self, place: _Slots) -> None:
        """The place's team is served now."""
        self._of(place).take(place.team)

    def save(self) -> None:
        """Write down the turns that were taken."""
        for turns in self._read.values():
            turns.save()

    def _of(self, place: _Slots) -> Turns:
        is_scored = place.thing.is_scored
        if is_scored not in self._read:
            self._read[is_scored] = Turns(Turn.Kind.SLOT if is_scored else Turn.Kind.SPARE)
        return self._read[is_scored]


class _Load:
    """What each team has at work: the slots that it holds, and, for a run that is to start, its runs under way.

    Of scored runs and of the others apart: neither counts for the other.
    """

    def __init__(self, at: datetime) -> None:
        held = _at_hosts(at).values_list("run__submission__team", "run__submission__kind")
        self._slots = Counter((team, kind == SubmissionKind.SCORED) for team, kind in held)
        under_way = Run.objects.filter(state__in=ACTIVE_RUN_STATES)
        self._runs: dict[tuple[int, bool], set[int]] = {}
        for team, kind, run in under_way.order_by().values_list("submission__team", "submission__kind", "pk"):
            self._runs.setdefault((team, kind == SubmissionKind.SCORED), set()).add(run)

    def of(self, place: _Slots) -> int:
        """What the team has at work, as it counts for this place."""
        side = place.team, place.thing.is_scored
        return len(self._runs.get(side, ())) if place.rank == Rank.STARTS else self._slots[side]

    def add(self, place: _Slots) -> None:
        """The place gets a slot."""
        side = place.team, place.thing.is_scored
        self._slots[side] += 1
        self._runs.setdefault(side, set()).add(place.thing.run.pk)


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
    if batch is not None and fitting(unused_slots(clock.now(), but=host), batch.run.submission):
        task_queue.enqueue_batch(batch_id)


def queue(at: datetime | None = None) -> list[Run]:
    """The queued runs in the order in which they will start, as things stand, when slots that fit become free.

    `at` is now, if the caller has read the database's clock already.
    """
    turns, load, ordered = _Turns(), _Load(at or clock.now()), []
    for place in turns.in_order(_queued(), load.of):
        load.add(place)
        turns.take(place)
        ordered.append(place.thing.run)
    return ordered


def is_put_first(run: Run) -> bool:
    """Whether it is to start before all others, by an organiser's decision."""
    return run.put_first_at is not None and run.started_at is None


def _queued() -> list[_Slots]:
    """The queued runs; what we interrupted goes on, the others start."""
    waiting = Run.objects.filter(state=RunState.QUEUED).select_related("submission__phase", "submission__cases_of")
    needed = (
        *(
            "started_at",
            "created_at",
            "put_first_at",
            *(f"submission__{name}" for name in ("team", "kind", "weights", "phase__gpus")),
        ),
        *(f"submission__{source}__cases_are_public" for source in ("phase", "cases_of")),
    )
    return [
        Place(
            team=run.submission.team_id,
            thing=_Waiting(run),
            order=(run.submission_id, run.number, 0),
            class_=Class.PUT_FIRST if is_put_first(run) else class_of(run.submission.kind),
            rank=Rank.GOES_ON if run.started_at else Rank.STARTS,
        )
        for run in waiting.only(*needed, "number")
    ]


def _waiting_batches(at: datetime) -> list[_Slots]:
    """Batches to tell hosts of: the next of each run that has none at work, and, some classes behind, the others."""
    waiting = Batch.objects.filter(state=BatchState.WAITING, run__state__in=RUNNABLE).exclude(just_told(at))
    at_work = set(_at_hosts(at).values_list("run_id", flat=True))
    places = []
    rows = with_phase(waiting.order_by("run_id", "number"), "run__submission")
    for batch in rows.select_related("run__submission__cases_of"):
        run = batch.run
        order = (run.submission_id, run.number, batch.number)
        class_ = class_of(run.submission.kind, helps=run.pk in at_work)
        places.append(Place(run.submission.team_id, _Waiting(run, batch), order, class_=class_, rank=Rank.GOES_ON))
        at_work.add(run.pk)
    return places


def _at_hosts(at: datetime) -> QuerySet[Batch]:
    """Batches that hosts do, or were just told of."""
    return Batch.objects.filter(Q(state=BatchState.LEASED) | just_told(at)).order_by()


# --- checks ----------------------------------------------------------------------------------------------------------


def next_check(*, processes: int) -> AbstractContextManager[int | None]:
    """The submission that this worker, one of so many processes, should check."""
    return next_in_turn(Turn.Kind.CHECK, "image", _unchecked, processes=processes)


def _unchecked() -> list[Place[int]]:
    rows = Submission.objects.filter(state__in=UNCHECKED).order_by().values_list("team", "pk", "kind")
    return [Place(team, pk, pk, class_=_after_scored(kind)) for team, pk, kind in rows]


def _after_scored(kind: str) -> int:
    return int(kind != SubmissionKind.SCORED)


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
    columns = (
        *("run__submission__team", "pk", "run__submission__kind", "is_canary"),
        *("run__submission_id", "run__number", "number"),
    )
    return [
        Place(team, pk, tuple(order), class_=2 * _after_scored(kind) + int(not is_canary))
        for team, pk, kind, is_canary, *order in to_score().order_by().values_list(*columns)
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
