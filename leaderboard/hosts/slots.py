"""The slots that living GPU hosts offer, and which of them are free."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from django.conf import settings
from django.db.models import Q, QuerySet

from leaderboard.core.task_queue import unanswered_since
from leaderboard.models import Attempt, Batch, Host, Phase
from leaderboard.states import RUNNABLE, BatchState


class Needs(Protocol):
    """What a batch needs of a slot: its phase says it, or what stands for one."""

    @property
    def gpus(self) -> int:
        """How many GPUs its containers have."""

    @property
    def cases_are_public(self) -> bool:
        """Whether its cases are public."""


class Slot(NamedTuple):
    """What a slot is good for: its number of GPUs, and whose programs its host runs."""

    gpus: int
    serves: str

    def takes(self, phase: Needs) -> bool:
        """Whether it takes a batch of this phase."""
        return self.gpus >= phase.gpus and serves(self.serves, phase)


def serves(which: str, phase: Needs) -> bool:
    """Whether a host that serves `which` phases runs programs of this one."""
    kind = Host.Serves.PUBLIC if phase.cases_are_public else Host.Serves.HIDDEN
    return which in (Host.Serves.EVERY, kind)


def living_hosts(at: datetime) -> QuerySet[Host]:
    """The hosts that were heard of within a lease, draining ones among them."""
    return Host.objects.filter(revoked_at=None, seen_at__gt=at - timedelta(seconds=settings.LEASE_SECONDS))


def hosts_that_take_work(at: datetime) -> QuerySet[Host]:
    """The living hosts that do not drain, and of which it is known what they offer now."""
    return living_hosts(at).filter(draining=False).exclude(is_mute(at))


def is_mute(at: datetime) -> Q:
    """Hosts that said no hello within a lease. One of which only heartbeats are heard has something that hangs."""
    return Q(hello_at__lte=at - timedelta(seconds=settings.LEASE_SECONDS))


def free_slots(at: datetime) -> list[Slot]:
    """The free slots of hosts that take work, those that are good for least first: a CPU run spares GPUs.

    A slot for which a host was told of a waiting batch a moment ago is not free any more.
    """
    free = unused_slots(at)
    told = list(Batch.objects.filter(just_told(at)).order_by().values_list("run__submission__phase", flat=True))
    phases = Phase.objects.in_bulk(set(told)) if told else {}
    for phase in told:
        if slot := fitting(free, phases[phase]):
            free.remove(slot)
    return free


def unused_slots(at: datetime, *, but: Host | None = None) -> list[Slot]:
    """The slots, of all hosts that take work or all `but` one, in which no batch is; in the order of `free_slots`."""
    taken = set(Attempt.objects.filter(ended_at=None, batch__state=BatchState.LEASED).values_list("host_id", "slot"))
    free = [
        slot
        for host in hosts_that_take_work(at)
        if host != but
        for slot, said in zip(slots_of(host), host.slots, strict=True)
        if (host.pk, said.get("name")) not in taken
    ]
    return sorted(free, key=usefulness)


def usefulness(slot: Slot) -> tuple[int, bool]:
    """What is good for least goes first: a CPU run spares GPUs, and whoever may go elsewhere hosts for every phase."""
    return slot.gpus, slot.serves == Host.Serves.EVERY


def slots_of(host: Host) -> list[Slot]:
    """The slots that a host said it has, in its order."""
    return [Slot(len(slot.get("gpus", [])), host.serves) for slot in host.slots]


def fitting(free: Sequence[Slot], phase: Needs) -> Slot | None:
    """The first of the free slots that takes batches of the phase."""
    return next((slot for slot in free if slot.takes(phase)), None)


def just_told(at: datetime) -> Q:
    """Waiting batches of which a host was told a moment ago, and which it may be about to claim."""
    return Q(state=BatchState.WAITING, run__state__in=RUNNABLE, notified_at__gt=unanswered_since(at))


def fits_some_host(phase: Phase, at: datetime) -> bool:
    """Whether a host that takes work offers a slot for batches of the phase, free or not."""
    return any(slot.takes(phase) for host in hosts_that_take_work(at) for slot in slots_of(host))
