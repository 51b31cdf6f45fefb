"""Who is next: which waiting batch gets a free slot.

A run that began goes on before a new one starts (its team waits for an answer, and its image is warm); then queued
runs start, round-robin between teams and in the order of acceptance within a team; slots that are left over help runs
that have more batches waiting. A run's priority never depends on the broker: a ring is sent only for a batch that has
a slot.
"""

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Coalesce

from leaderboard.core import clock, disk_space, locks, task_queue
from leaderboard.models import Attempt, Batch, Host, Run
from leaderboard.states import ACTIVE_RUN_STATES, BatchState, RunState

logger = logging.getLogger(__name__)

RUNNABLE = (RunState.CANARY, RunState.RUNNING)


def fill_slots(start: Callable[[Run], Batch | None]) -> None:
    """Ring for as many batches as there are free slots. `start` begins a queued run and returns its first batch.

    Nothing is begun for whose masks the disk has no room.
    """
    if not disk_space.for_mask():
        return
    with transaction.atomic():
        locks.one_at_a_time("dispatch")
        at = clock.now()
        slots = free_slots(at)
        going_on, helping = _waiting_batches(at)
        for batch in going_on:
            if _take(slots, batch.run):
                _call(batch, at)
        for run in queue() if disk_space.for_run() else []:
            if _take(slots, run) and (first := _started(start, run)):
                _call(first, at)
        for batch in helping:
            if _take(slots, batch.run):
                _call(batch, at)


def _started(start: Callable[[Run], Batch | None], run: Run) -> Batch | None:
    """Begin a run; one that cannot begin must not keep the others waiting."""
    try:
        with transaction.atomic():
            return start(run)
    except Exception:
        logger.exception("run %s could not be started", run.pk)
        return None


def _take(slots: list[int], run: Run) -> bool:
    """Take the smallest free slot that has enough GPUs for the run, if there is one."""
    slot = next((gpus for gpus in slots if gpus >= run.submission.phase.gpus), None)
    if slot is not None:
        slots.remove(slot)
    return slot is not None


def _call(batch: Batch, at: datetime) -> None:
    Batch.objects.filter(pk=batch.pk).update(rung_at=at)
    task_queue.ring_for_batch(batch.pk)


def free_slots(at: datetime) -> list[int]:
    """The free slots of hosts that take work, each as its number of GPUs, smallest first: a CPU run spares GPUs."""
    taken = set(Attempt.objects.filter(ended_at=None, batch__state=BatchState.LEASED).values_list("host_id", "slot"))
    free = [
        len(slot.get("gpus", []))
        for host in living(at).filter(draining=False)
        for slot in host.slots
        if (host.pk, slot.get("name")) not in taken
    ]
    free.sort()
    called = Batch.objects.filter(state=BatchState.WAITING, rung_at__gt=_stale(at)).count()
    return free[called:] if called else free


def can_run_somewhere(run: Run) -> bool:
    """Whether a living host that takes work offers a slot with enough GPUs, free or not."""
    needed = run.submission.phase.gpus
    hosts = living(clock.now()).filter(draining=False)
    return any(len(slot.get("gpus", [])) >= needed for host in hosts for slot in host.slots)


def queue() -> list[Run]:
    """The queued runs in the order in which they will start, as things stand.

    First the runs that we interrupted; then always the oldest run of the team that has least at work and was served
    longest ago.
    """
    queued = list(
        Run.objects.filter(state=RunState.QUEUED)
        .select_related("submission__team", "submission__phase")
        .order_by("submission__accepted_at", "pk")
    )
    began = [run for run in queued if run.started_at]
    fresh = [run for run in queued if not run.started_at]
    runs = Run.objects.values_list("submission__team")
    at_work = Counter(team for (team,) in runs.filter(state__in=ACTIVE_RUN_STATES))
    at_work.update(run.submission.team_id for run in began)
    served = dict(runs.filter(started_at__isnull=False).annotate(last=Max("started_at")))
    ordered = []
    while fresh:
        run = min(fresh, key=lambda run: (at_work[run.submission.team_id], _age(served, run.submission.team_id)))
        fresh.remove(run)
        ordered.append(run)
        at_work[run.submission.team_id] += 1
    return began + ordered


def _age(served: dict[int, datetime], team: int) -> float:
    return served[team].timestamp() if team in served else 0.0


def position(run: Run) -> int | None:
    """A queued run's place in the queue, from 1; None for any other run."""
    return next((place for place, other in enumerate(queue(), start=1) if other.pk == run.pk), None)


def _waiting_batches(at: datetime) -> tuple[list[Batch], list[Batch]]:
    """Batches to ring for: the next of each run that has none at work, and the others."""
    waiting = (
        Batch.objects.filter(state=BatchState.WAITING, run__state__in=RUNNABLE)
        .filter(Q(rung_at=None) | Q(rung_at__lte=_stale(at)))
        .select_related("run__submission__phase")
        .order_by(Coalesce("run__started_at", "run__created_at"), "number")
    )
    at_work = set(Batch.objects.filter(state=BatchState.LEASED).values_list("run_id", flat=True))
    going_on: list[Batch] = []
    helping: list[Batch] = []
    for batch in waiting:
        (helping if batch.run_id in at_work else going_on).append(batch)
        at_work.add(batch.run_id)
    return going_on, helping


def _stale(at: datetime) -> datetime:
    return at - timedelta(seconds=settings.DOORBELL_SECONDS)


def living(at: datetime) -> QuerySet[Host]:
    """The hosts that were heard of within a lease, draining ones among them."""
    return Host.objects.filter(revoked_at=None, seen_at__gt=at - timedelta(seconds=settings.LEASE_SECONDS))
