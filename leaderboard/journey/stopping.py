"""A host is stopped: what it runs is given back, and goes on elsewhere."""

from django.db import transaction
from django.db.models import F

from leaderboard.core import audit, clock
from leaderboard.core.audit import Actor
from leaderboard.hosts import registry
from leaderboard.journey import lifecycle
from leaderboard.journey.locking import lock_batch
from leaderboard.journey.pipeline import fill_slots
from leaderboard.models import Batch, Host
from leaderboard.states import BatchState

STOPPED = "host_stopped"
"""Why an attempt ended: nobody's fault, and no run's pace is told by it."""


@transaction.atomic
def stop(host: Host, *, by: Actor, why: str) -> None:
    """Give the host nothing new, and give back what it has; it hears of that at its next heartbeat.

    Cases that it has not reported are begun anew elsewhere. No run is interrupted, and no fault is counted.
    """
    registry.drain(host, by=by, why=why)
    held = Batch.objects.filter(host=host, state=BatchState.LEASED).order_by("run_id", "number")
    given_back = [str(batch) for pk in held.values_list("pk", flat=True) if (batch := _given_back(pk, host, by))]
    if given_back:
        after = {"at work": "", "given back": ", ".join(given_back)}
        audit.record(by, "stop", host, before={"at work": ", ".join(given_back)}, after=after, why=why)
    transaction.on_commit(fill_slots)


def _given_back(batch_id: object, host: Host, by: Actor) -> Batch | None:
    batch = lock_batch(batch_id)  # type: ignore[arg-type]
    if batch.state != BatchState.LEASED or batch.host_id != host.pk:
        return None  # it was reported at this moment
    batch.attempts.filter(fence=batch.fence).update(ended_at=clock.now(), fault=STOPPED)
    batch.cases.filter(outcome="").update(tries=F("tries") + 1)
    by_whom = lifecycle.display_name(by.user)
    lifecycle.move(batch, BatchState.WAITING, by=by_whom, why=STOPPED, notified_at=None, done=0)
    return batch
