"""The slots that living GPU hosts offer, and which of them are free."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from django.conf import settings
from django.db.models import Q, QuerySet

from leaderboard.core.task_queue import unanswered_since
from leaderboard.models import Attempt, Batch, Host, Submission
from leaderboard.states import RUNNABLE, BatchState

_NEEDED = ("weights", "phase__gpus", "phase__cases_are_public", "cases_of__cases_are_public")


class Needs(Protocol):
    """What a batch needs of a slot: its submission says it, or what stands for one."""

    @property
    def gpus(self) -> int:
        """How many GPUs its containers have."""

    @property
    def cases_are_public(self) -> bool:
        """Whether its cases are public: its team reads its log, and may not learn what others do on hidden ones."""

    @property
    def has_weights(self) -> bool:
        """Whether it comes with weights, which a host has to be able to mount."""


class Slot(NamedTuple):
    """What a slot is good for: its number of GPUs, whose programs its host runs, and whether with weights."""

    gpus: int
    serves: str
    takes_weights: bool = False

    def takes(self, needs: Needs) -> bool:
        """Whether it takes a batch that needs this."""
        kind = Host.Serves.PUBLIC if needs.cases_are_public else Host.Serves.HIDDEN
        return (
            self.gpus >= needs.gpus
            and self.serves in (Host.Serves.EVERY, kind)
            and (self.takes_weights or not needs.has_weights)
        )


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
    told = Batch.objects.filter(just_told(at)).order_by()
    needed = [f"run__submission__{name}" for name in _NEEDED]
    for batch in told.select_related("run__submission__phase", "run__submission__cases_of").only(*needed):
        if slot := fitting(free, batch.run.submission):
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


def usefulness(slot: Slot) -> tuple[int, bool, bool]:
    """What is good for least goes first: a CPU run spares GPUs, and whoever may go elsewhere hosts for every phase."""
    return slot.gpus, slot.serves == Host.Serves.EVERY, slot.takes_weights


def slots_of(host: Host) -> list[Slot]:
    """The slots that a host said it has, in its order."""
    return [Slot(len(slot.get("gpus", [])), host.serves, host.takes_weights) for slot in host.slots]


def slot_of(host: Host, name: str) -> Slot | None:
    """The slot of this name; None when the host said nothing of it."""
    said = zip(host.slots, slots_of(host), strict=True)
    return next((slot for words, slot in said if words.get("name") == name), None)


def what_they_need() -> QuerySet[Submission]:
    """Submissions with what a slot has to have for them."""
    return Submission.objects.select_related("phase", "cases_of").only(*_NEEDED)


def fitting(free: Sequence[Slot], needs: Needs) -> Slot | None:
    """The first of the free slots that takes batches that need this."""
    return next((slot for slot in free if slot.takes(needs)), None)


def just_told(at: datetime) -> Q:
    """Waiting batches of which a host was told a moment ago, and which it may be about to claim."""
    return Q(state=BatchState.WAITING, run__state__in=RUNNABLE, notified_at__gt=unanswered_since(at))


def fits_some_host(submission: Submission, at: datetime) -> bool:
    """Whether a host that takes work offers a slot for batches of the submission, free or not."""
    return any(slot.takes(submission) for host in hosts_that_take_work(at) for slot in slots_of(host))
