"""What each host is doing now, for organisers: a handful of questions, however many hosts there are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BooleanField, Count, ExpressionWrapper, Q

from leaderboard.core.once import once
from leaderboard.hosts import gpus, slots
from leaderboard.journey.stopping import STOPPED
from leaderboard.models import Attempt, Host
from leaderboard.states import BatchState

FORGOTTEN = timedelta(days=7)  # a host that was not heard of for so long is not missed any more
LOW_BYTES = 20 * 10**9
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Work:
    """What a host does in a slot: the submission's number, the batch, and since when."""

    submission: int
    batch: int
    is_canary: bool
    slot: str
    since: datetime


@dataclass(frozen=True)
class SlotNow:
    """A slot as the page shows it: `css` is its look, `words` the run in it, or why there is none."""

    css: str
    words: str
    work: Work | None = None


@dataclass(frozen=True)
class HostNow:
    """A host, what it does, and how it is: `level` and `word`."""

    host: Host
    at: datetime
    work: Sequence[Work]
    faults_last_day: int
    faults_last_hour: int
    is_alive: bool
    is_mute: bool

    @property
    def word(self) -> str:
        """How it is, in a word or two."""
        return self._state[1]

    @property
    def level(self) -> str:
        """The look of that."""
        return self._state[0]

    @property
    def _state(self) -> tuple[str, str]:
        host = self.host
        if host.revoked_at:
            return "idle", "revoked"
        if host.seen_at is None:
            return "idle", "never heard"
        if not self.is_alive:
            return ("idle", "off") if host.draining and not self.work else ("bad", "silent")
        if self.is_mute or host.trouble:
            return "warn", "in trouble"
        return ("warn", "draining") if host.draining else ("ok", "alive")

    @property
    def is_missed(self) -> bool:
        """Whether it is silent and should not be."""
        return self._state == ("bad", "silent") and self.silent < FORGOTTEN

    @property
    def in_trouble(self) -> bool:
        """Whether it says what is wrong with it, or does not say anything though it lives."""
        return self.word == "in trouble"

    @property
    def is_low(self) -> bool:
        """Whether its disk is nearly full, as far as it says."""
        free = self.host.free_bytes
        return self.is_alive and not self.host.revoked_at and free is not None and free < LOW_BYTES

    @property
    def silent(self) -> timedelta:
        """How long ago it was heard."""
        return max(timedelta(), self.at - self.host.seen_at) if self.host.seen_at else timedelta()

    @property
    def slots(self) -> list[SlotNow]:
        """Its slots, in its order; what a silent host had stands there as lost."""
        by_slot = {work.slot: work for work in self.work}
        names = [str(slot.get("name")) for slot in self.host.slots]
        names += [name for name in by_slot if name not in names]
        return [self._slot(by_slot.get(name)) for name in names]

    def _slot(self, work: Work | None) -> SlotNow:
        if work:
            return SlotNow("busy" if self.is_alive else "off", str(work.submission), work)
        if not self.is_alive or self.host.revoked_at:
            return SlotNow("off", "lost")
        return SlotNow("drain", "closed") if self.host.draining else SlotNow("", "free")

    @property
    def gpus(self) -> str:
        """Its GPUs in a line."""
        return gpus.summary(self.host)

    @property
    def machine(self) -> dict[str, int]:
        """Bytes of its memory, its disk and its caches, as far as it says."""
        return self.host.machine or {}


def hosts_now(at: datetime, *, only: int | None = None) -> list[HostNow]:
    """All hosts, or only one, by name; those that are revoked last."""
    return once(("hosts", at, only), lambda: _hosts_now(at, only))


def _hosts_now(at: datetime, only: int | None) -> list[HostNow]:
    rows = Host.objects.filter(pk=only) if only else Host.objects.all()
    mute = ExpressionWrapper(slots.is_mute(at), BooleanField(null=True))
    found = sorted(rows.annotate(mute=mute), key=lambda host: (host.revoked_at is not None, host.name))
    alive = set(slots.living_hosts(at).values_list("pk", flat=True))
    work, faults = _work(only), _faults(at, only)
    return [
        HostNow(
            host=host,
            at=at,
            work=work.get(host.pk, ()),
            faults_last_day=faults["day", host.pk],
            faults_last_hour=faults["hour", host.pk],
            is_alive=host.pk in alive,
            is_mute=bool(host.mute) and host.pk in alive,
        )
        for host in found
    ]


def _of(rows: Any, only: int | None) -> Any:
    return rows.filter(host=only) if only else rows


def _work(only: int | None) -> dict[int, list[Work]]:
    rows = _of(Attempt.objects.filter(ended_at=None, batch__state=BatchState.LEASED), only)
    columns = ("host", "batch__run__submission", "batch__number", "batch__is_canary", "slot", "claimed_at")
    found: dict[int, list[Work]] = {}
    for host, *of in rows.order_by("slot", "claimed_at").values_list(*columns):
        found.setdefault(host, []).append(Work(*of))
    return found


def _faults(at: datetime, only: int | None) -> Counter[tuple[str, int]]:
    rows = _of(Attempt.objects.filter(ended_at__gt=at - DAY), only).exclude(fault="").exclude(fault=STOPPED)
    last_hour = Count("pk", filter=Q(ended_at__gt=at - timedelta(hours=1)))
    found: Counter[tuple[str, int]] = Counter()
    for host, day, hour in rows.order_by().values_list("host").annotate(Count("pk"), hour=last_hour):
        found["day", host], found["hour", host] = day, hour
    return found
