"""What a host may do while it holds a batch, and until when."""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from containers.protocol.contract import EXIT_SECONDS
from leaderboard.core.blobs import Blob
from leaderboard.journey.locking import held_batch
from leaderboard.models import Batch, Host

FETCH_SECONDS, FETCH_BYTES_PER_SECOND = 3600, 10e6  # what a host has at least for volumes; for image and weights


def duration() -> timedelta:
    """For how long a lease holds from each sign of life of its host."""
    return timedelta(seconds=settings.LEASE_SECONDS)


def latest_end(batch: Batch) -> datetime:
    """When an attempt must be over by the phase's own clocks, with time to fetch what it needs over a poor line."""
    limit = batch.run.submission.limit
    attempt = batch.attempts.only("batch", "claimed_at").get(fence=batch.fence)
    fetching = FETCH_SECONDS + 2 * limit("max_unpacked_bytes") / FETCH_BYTES_PER_SECOND
    running = limit("startup_seconds") + batch.cases.count() * limit("case_seconds") + EXIT_SECONDS
    return attempt.claimed_at + timedelta(seconds=fetching + running)


def check_lease(host: Host, batch_id: uuid.UUID, *, fence: int) -> Batch:
    """The batch, if this attempt of the host still holds it; raises LeaseLost otherwise."""
    with transaction.atomic():
        return held_batch(host, batch_id, fence)


def receive_mask(host: Host, batch_id: uuid.UUID, *, fence: int, name: str, mask: Blob) -> None:
    """Note that this attempt uploaded this mask: it can report no other, whatever lies in the store.

    Raises LeaseLost when it lost the batch meanwhile.
    """
    with transaction.atomic():
        attempt = held_batch(host, batch_id, fence).attempts.only("received").get(fence=fence)
        if attempt.received is not None:  # it began under this code
            attempt.received[name] = list(mask)
            attempt.save(update_fields=["received"])
