"""Who is next: which waiting batch gets a free slot.

A run that began goes on before a new one starts (its team waits for an answer, and its image is warm); then queued
runs start, round-robin between teams and in the order of acceptance within a team; slots that are left over help runs
that have more batches waiting. A run's priority never depends on the broker: a message is sent only for a batch that
has a slot.
"""

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.db.models import Max, Q
from django.db.models.functions import Coalesce

from leaderboard.core import clock, disk_space, locks, task_queue
from leaderboard.core.task_queue import unanswered_since
from leaderboard.hosts.slots import free_slots
from leaderboard.journey.selectors import with_phase
from leaderboard.models import Batch, Run
from leaderboard.states import ACTIVE_RUN_STATES, BatchState, RunState

logger = logging.getLogger(__name__)

RUNNABLE = (RunState.CANARY, RunState.RUNNING)


def fill_slots(start: Callable[[Run], Batch | None]) -> None:
    """Tell hosts of as many batches as there are free slots. `start` begins a queued run and returns its first batch.

    Nothing is begun for whose masks the disk has no space.
    """
    if not disk_space.allows_mask():
        return
    with transaction.atomic():
        locks.one_at_a_time("dispatch")
        at = clock.now()
        free = free_slots(at)
        going_on, helping = _waiting_batches(at)
        for batch in going_on:
            if _take(free, batch.run):
                _notify(batch, at)
        for run in queue() if disk_space.allows_run() else []:
            if _take(free, run) and (first := _started(start, run)):
                _notify(first, at)
        for batch in helping:
            if _take(free, batch.run):
                _notify(batch, at)


def _started(start: Callable[[Run], Batch | None], run: Run) -> Batch | None:
    """Begin a run; one that cannot begin must not keep the others waiting."""
    try:
        with transaction.atomic():
            return start(run)
    except Exception:
        logger.exception("run %s could not be started", run.pk)
        return None


def _take(free: list[int], run: Run) -> bool:
    """Take the smallest free slot that has enough GPUs for the run, if there is one."""
    slot = next((gpus for gpus in free if gpus >= run.submission.phase.gpus), None)
    if slot is not None:
        free.remove(slot)
    return slot is not None


def _notify(batch: Batch, at: datetime) -> None:
    Batch.objects.filter(pk=batch.pk).update(notified_at=at)
    task_queue.enqueue_batch(batch.pk)


def queue() -> list[Run]:
    """The queued runs in the order in which they will start, as things stand.

    First the runs that we interrupted; then always the oldest run of the team that has least at work and was served
    longest ago.
    """
    waiting = Run.objects.filter(state=RunState.QUEUED).select_related("submission__phase")
    needed = ("started_at", "submission__team", "submission__phase__gpus")
    queued = list(waiting.only(*needed).order_by("submission__accepted_at", "pk"))
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
    """Batches to tell hosts of: the next of each run that has none at work, and the others."""
    waiting = (
        Batch.objects.filter(state=BatchState.WAITING, run__state__in=RUNNABLE)
        .filter(Q(notified_at=None) | Q(notified_at__lte=unanswered_since(at)))
        .order_by(Coalesce("run__started_at", "run__created_at"), "number")
    )
    at_work = set(Batch.objects.filter(state=BatchState.LEASED).values_list("run_id", flat=True))
    going_on: list[Batch] = []
    helping: list[Batch] = []
    for batch in with_phase(waiting, "run__submission"):
        (helping if batch.run_id in at_work else going_on).append(batch)
        at_work.add(batch.run_id)
    return going_on, helping
