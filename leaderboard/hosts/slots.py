"""The slots that living GPU hosts offer, and which of them are free."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from leaderboard.core.task_queue import unanswered_since
from leaderboard.models import Attempt, Batch, Host
from leaderboard.states import RUNNABLE, BatchState


def living_hosts(at: datetime) -> QuerySet[Host]:
    """The hosts that were heard of within a lease, draining ones among them."""
    return Host.objects.filter(revoked_at=None, seen_at__gt=at - timedelta(seconds=settings.LEASE_SECONDS))


def hosts_that_take_work(at: datetime) -> QuerySet[Host]:
    """The living hosts that do not drain, and of which it is known what they offer now."""
    return living_hosts(at).filter(draining=False).exclude(is_mute(at))


def is_mute(at: datetime) -> Q:
    """Hosts that said no hello within a lease. One of which only heartbeats are heard has something that hangs."""
    return Q(hello_at__lte=at - timedelta(seconds=settings.LEASE_SECONDS))


def free_slots(at: datetime) -> list[int]:
    """The free slots of hosts that take work, each as its number of GPUs, smallest first: a CPU run spares GPUs.

    A slot for which a host was told of a waiting batch a moment ago is not free any more.
    """
    taken = set(Attempt.objects.filter(ended_at=None, batch__state=BatchState.LEASED).values_list("host_id", "slot"))
    free = sorted(
        len(slot.get("gpus", []))
        for host in hosts_that_take_work(at)
        for slot in host.slots
        if (host.pk, slot.get("name")) not in taken
    )
    announced = Batch.objects.filter(just_told(at)).count()
    return free[announced:] if announced else free


def just_told(at: datetime) -> Q:
    """Waiting batches of which a host was told a moment ago, and which it may be about to claim."""
    return Q(state=BatchState.WAITING, run__state__in=RUNNABLE, notified_at__gt=unanswered_since(at))


def fits_some_host(gpus: int, at: datetime) -> bool:
    """Whether a host that takes work offers a slot with so many GPUs, free or not."""
    return any(len(slot.get("gpus", [])) >= gpus for host in hosts_that_take_work(at) for slot in host.slots)
