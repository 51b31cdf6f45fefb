"""Rows and the order in which they are locked: a run, then its batches, then its submission.

Nobody who follows it can deadlock. (A history row refers to its submission and thereby waits for who has it locked.)
"""

import uuid

from leaderboard.journey import lifecycle
from leaderboard.journey.selectors import with_phase
from leaderboard.models import Batch, Host, Run
from leaderboard.states import OPEN_BATCH_STATES, BatchState


class LeaseLost(Exception):
    """A host speaks about an attempt that is not (or no longer) its own; `cancelled` says that the run has ended."""

    def __init__(self, *, cancelled: bool) -> None:
        super().__init__("cancelled" if cancelled else "stale")
        self.cancelled = cancelled


class NotForThisHost(LeaseLost):
    """The batch waits, but this host, or this slot of it, can't have it; another may."""


def lock_run(run_id: int) -> Run:
    """The run, locked: whatever concerns its cases and batches follows one after the other."""
    Run.objects.select_for_update().only("pk").get(pk=run_id)
    return with_phase(Run.objects.all(), "submission").get(pk=run_id)


def lock_batch(batch_id: uuid.UUID) -> Batch:
    """The batch, with its run locked first: always in this order."""
    run_id = Batch.objects.values_list("run_id", flat=True).filter(pk=batch_id).first()
    if run_id is None:
        raise LeaseLost(cancelled=False)
    run = lock_run(run_id)
    batch = Batch.objects.get(pk=batch_id)
    batch.run = run
    return batch


def held_batch(host: Host, batch_id: uuid.UUID, fence: int) -> Batch:
    """The batch, locked, if this attempt of the host holds it; raises LeaseLost otherwise."""
    batch = lock_batch(batch_id)
    if batch.state != BatchState.LEASED or batch.host_id != host.pk or batch.fence != fence:
        raise LeaseLost(cancelled=batch.state == BatchState.DROPPED)
    return batch


def drop_batches(run: Run) -> None:
    """Call off whatever of an ended run still waits or runs; its host hears of it at the next heartbeat."""
    for batch in run.batches.filter(state__in=OPEN_BATCH_STATES):
        lifecycle.move(batch, BatchState.DROPPED)
