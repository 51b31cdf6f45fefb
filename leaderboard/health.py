"""What an operator should know before a team notices: facts, read once, and what they mean.

`facts()` asks the database, the broker and the disk; `checks()` is pure and judges them: each check is ok, a warning
(look at it today) or failing (something does not work now), with one sentence that says what to do. The page, the
metrics and the alarms all read the same `snapshot()`. Nothing here names a team or tells of a case's content.
"""

import contextlib
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.db import Error as DatabaseError
from django.db.models import Avg, Count, Max, Min, Q, QuerySet
from django.db.models.functions import Coalesce

from leaderboard import clock, dispatch, live, pulse
from leaderboard.models import Attempt, Batch, Host, Phase, Pulse, Run, RunCase, StateChange, Submission
from leaderboard.states import ACTIVE_RUN_STATES, BatchState, RunState, SubmissionState

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
SILENT_SECONDS = 60.0  # four beats
FORGOTTEN = timedelta(days=7)  # a process or a host that was not heard of for so long is not missed any more
ROLES = (pulse.SWEEPER, "control", "scoring")
MANY_FAULTS = 10
UPLOAD_MOVES_SECONDS = 120.0


class Level(IntEnum):
    """How bad it is."""

    OK = 0
    WARNING = 1
    FAILING = 2


@dataclass(frozen=True)
class Check:
    """One thing that has to work. `says` is what is so and, unless it is ok, what to do."""

    name: str
    title: str
    level: Level
    says: str

    @property
    def kind(self) -> str:
        """The look of its state on the page."""
        return {Level.OK: "ok", Level.WARNING: "warn", Level.FAILING: "bad"}[self.level]

    @property
    def word(self) -> str:
        """Its level as people read it."""
        return self.level.name.capitalize() if self.level else "OK"


@dataclass(frozen=True)
class HostFacts:
    """A GPU host that is not revoked: when it was heard of, and what it has to offer."""

    name: str
    version: str
    silent_seconds: float | None
    is_alive: bool
    draining: bool
    slots: int
    busy: int
    free_bytes: int | None
    faults_last_hour: int


@dataclass(frozen=True)
class PhaseFacts:
    """The work of a phase. `backlog_seconds` is what its open cases take on one slot, by the last day's average."""

    slug: str
    name: str
    is_open: bool
    closes_at: datetime
    checking: int = 0
    queued: int = 0
    at_work: int = 0
    halted: int = 0
    open_cases: int = 0
    backlog_seconds: float = 0.0


@dataclass(frozen=True)
class Facts:
    """Everything that was read, at one instant. Ages in seconds; None where there is nothing that could be old."""

    at: datetime
    database_answers: bool = True
    broker_answers: bool = True
    pulses: dict[str, float] = field(default_factory=dict)
    hosts: tuple[HostFacts, ...] = ()
    phases: tuple[PhaseFacts, ...] = ()
    free_slots: int = 0
    oldest_image: float | None = None
    oldest_run: float | None = None
    oldest_score: float | None = None
    run_waits_beside_free_slot: bool = False
    halted: int = 0
    stuck: int = 0
    oldest_halted: float | None = None
    leases: int = 0
    leases_ending: int = 0
    leases_lost_last_hour: int = 0
    faults_last_day: dict[str, int] = field(default_factory=dict)
    faults_last_hour: int = 0
    uploads: int = 0
    store_free_bytes: int = 0
    store_bytes: int = 0

    @property
    def slots(self) -> int:
        """The slots of hosts that take work."""
        return sum(host.slots for host in self.hosts if host.is_alive and not host.draining)

    @property
    def checking(self) -> int:
        """The submissions at the check of their image."""
        return sum(phase.checking for phase in self.phases)

    @property
    def queued(self) -> int:
        """The runs that wait for a slot."""
        return sum(phase.queued for phase in self.phases)

    @property
    def backlog_seconds(self) -> float | None:
        """When all that waits and runs will be done, as things stand; None without any slot."""
        total = sum(phase.backlog_seconds for phase in self.phases)
        return total / self.slots if self.slots else None if total else 0.0


@dataclass(frozen=True)
class Snapshot:
    """The facts of one instant and what they mean, the worst first."""

    facts: Facts
    checks: tuple[Check, ...]

    @property
    def level(self) -> Level:
        """The worst of all."""
        return max(check.level for check in self.checks)


def snapshot() -> Snapshot:
    """Read everything now and judge it. A database that is away is a finding, not an error."""
    found = facts()
    return Snapshot(found, tuple(sorted(checks(found), key=lambda check: -check.level)))


# --- what the facts mean ----------------------------------------------------------------------------------------------


def checks(facts: Facts) -> list[Check]:
    """Judge the facts. Pure."""
    if not facts.database_answers:
        says = "PostgreSQL does not answer: nothing works until it does. Start it, and look at its log and its disk."
        return [Check("database", "Database", Level.FAILING, says)]
    return [
        Check("database", "Database", Level.OK, "PostgreSQL answers."),
        _broker(facts),
        *(_process(facts, role) for role in ROLES),
        _hosts(facts),
        _silent_hosts(facts),
        _host_disks(facts),
        _images(facts),
        _queue(facts),
        _backlog(facts),
        _scores(facts),
        _stuck(facts),
        _faults(facts),
        _leases(facts),
        _store(facts),
    ]


def _broker(facts: Facts) -> Check:
    if facts.broker_answers:
        return Check("broker", "Broker", Level.OK, "The broker answers.")
    says = "The broker does not answer: nothing is lost, but no worker is called. Start it; the sweeper rings again."
    return Check("broker", "Broker", Level.FAILING, says)


def _process(facts: Facts, role: str) -> Check:
    title = {"sweeper": "Sweeper", "control": "Control workers", "scoring": "Scoring workers"}[role]
    ages = [age for name, age in facts.pulses.items() if name.partition("@")[0] == role]
    alive = sum(age <= SILENT_SECONDS for age in ages)
    if alive:
        says = f"{_number(alive, 'is', 'are')} alive; the last sign of life was {_age(min(ages))} ago."
        return Check(role, title, Level.OK, says)
    since = f"has shown no sign of life for {_age(min(ages))}" if ages else "has never shown a sign of life"
    cost = {
        "sweeper": "Lost messages and pauses are not made up for",
        "control": "No image is checked",
        "scoring": "No mask is scored",
    }[role]
    return Check(role, title, Level.FAILING, f"None {since}. {cost}: start it, its log says why it ended.")


def _hosts(facts: Facts) -> Check:
    name, title = "hosts", "GPU hosts"
    taking = [host for host in facts.hosts if host.is_alive and not host.draining]
    if taking:
        busy, slots = sum(host.busy for host in taking), facts.slots
        return Check(
            name, title, Level.OK, f"{_number(len(taking), 'takes', 'take')} work; {busy} of {slots} slots busy."
        )
    if any(phase.is_open or phase.queued or phase.at_work for phase in facts.phases):
        says = "No host takes work: no run can go on. Start a worker, or let a draining host take work again."
        return Check(name, title, Level.FAILING, says)
    return Check(name, title, Level.OK, "No host takes work, and nothing waits for one.")


def _silent_hosts(facts: Facts) -> Check:
    name, title = "silent", "Hosts that are missed"
    silent = [host.name for host in facts.hosts if not host.is_alive]
    faulty = [host.name for host in facts.hosts if host.faults_last_hour >= 3]
    if silent:
        says = f"{_names(silent)} silent. Look at the worker's log there, or revoke a host that is gone for good."
        return Check(name, title, Level.WARNING, says)
    if faulty:
        says = f"{_names(faulty)} at fault three times or more within the hour. Drain it, and look at its attempts."
        return Check(name, title, Level.WARNING, says)
    return Check(name, title, Level.OK, "Every host was heard of within a lease, and none fails again and again.")


def _host_disks(facts: Facts) -> Check:
    alive = [host for host in facts.hosts if host.is_alive and host.free_bytes is not None]
    low = [host for host in alive if (host.free_bytes or 0) < 20 * 10**9]
    if not low:
        return Check("host_disks", "Disks of hosts", Level.OK, "No host that says so is short of space.")
    level = Level.FAILING if any((host.free_bytes or 0) < 5 * 10**9 for host in low) else Level.WARNING
    says = f"{_names([host.name for host in low])} short of space. Remove what is not ours there, or use a larger disk."
    return Check("host_disks", "Disks of hosts", level, says)


def _images(facts: Facts) -> Check:
    says = f"{_number(facts.checking, 'image is', 'images are')} at the check."
    level = _by_age(facts.oldest_image, warning=20 * MINUTE, failing=HOUR)
    if level:
        says = f"An image waits for its check for {_age(facts.oldest_image)}. Look at the control workers' log."
    return Check("images", "Check of images", level, says)


def _queue(facts: Facts) -> Check:
    if facts.run_waits_beside_free_slot and (facts.oldest_run or 0) > 2 * MINUTE:
        says = f"A run waits for {_age(facts.oldest_run)} although a slot is free. Look at the sweeper's log."
        return Check("queue", "Queue", Level.FAILING, says)
    if not facts.queued:
        return Check("queue", "Queue", Level.OK, "No run waits.")
    says = f"{_number(facts.queued, 'run waits', 'runs wait')} for a slot, the longest for {_age(facts.oldest_run)}."
    return Check("queue", "Queue", Level.OK, says)


def _backlog(facts: Facts) -> Check:
    seconds = facts.backlog_seconds
    if seconds is None:
        return Check(
            "backlog", "Backlog", Level.WARNING, "Cases wait and no slot is there to take them. Connect a host."
        )
    if seconds > 2 * DAY:
        says = f"What waits will take about {_age(seconds)}. Connect more hosts, or tell teams how long it takes."
        return Check("backlog", "Backlog", Level.WARNING, says)
    return Check("backlog", "Backlog", Level.OK, f"What waits will take about {_age(seconds)}." if seconds else "None.")


def _scores(facts: Facts) -> Check:
    level = _by_age(facts.oldest_score, warning=10 * MINUTE, failing=30 * MINUTE)
    says = "Masks are scored as they come."
    if level:
        says = f"A mask waits for its scores for {_age(facts.oldest_score)}. Look at the scoring workers' log."
    return Check("scores", "Scoring", level, says)


def _stuck(facts: Facts) -> Check:
    if facts.stuck:
        says = (
            f"{_number(facts.stuck, 'interrupted submission waits', 'interrupted submissions wait')} for you. "
            "Find the cause in its attempts, then choose “Go on” in the administration."
        )
        return Check("stuck", "Interrupted by our fault", Level.FAILING, says)
    if facts.halted:
        says = f"{facts.halted} interrupted, the longest for {_age(facts.oldest_halted)}. They go on by themselves."
        return Check("stuck", "Interrupted by our fault", Level.WARNING, says)
    return Check("stuck", "Interrupted by our fault", Level.OK, "Nothing is.")


def _faults(facts: Facts) -> Check:
    today = sum(facts.faults_last_day.values())
    says = f"{_number(today, 'fault', 'faults')} of ours in the last 24 hours, {facts.faults_last_hour} in the last."
    level = Level.WARNING if facts.faults_last_hour else Level.OK
    if facts.faults_last_hour >= MANY_FAULTS:
        level = Level.FAILING
    if level:
        says += " The attempts in the administration say which host, and why."
    return Check("faults", "Faults of ours", level, says)


def _leases(facts: Facts) -> Check:
    lost, ending = facts.leases_lost_last_hour, facts.leases_ending
    says = f"{_number(facts.leases, 'batch is', 'batches are')} at work."
    if lost:
        says += (
            f" {_number(lost, 'lease was', 'leases were')} lost within the hour: look at those hosts and their network."
        )
    if ending:
        says += f" {_number(ending, 'lease ends', 'leases end')} soon unless the host is heard of."
    level = Level.FAILING if lost >= MANY_FAULTS else Level.WARNING if lost or ending else Level.OK
    return Check("leases", "Leases", level, says)


def _store(facts: Facts) -> Check:
    free, share = facts.store_free_bytes, facts.store_free_bytes / max(1, facts.store_bytes)
    level = Level.FAILING if share < 0.05 else Level.WARNING if share < 0.15 else Level.OK
    says = f"{free / 1e9:,.0f} GB, {share:.0%}, of the store's disk are free."
    if level:
        says += " Archive old phases or enlarge it: a full disk stops uploads and scoring."
    return Check("store", "Disk of the store", level, says)


def _by_age(age: float | None, *, warning: float, failing: float) -> Level:
    if age is None or age < warning:
        return Level.OK
    return Level.FAILING if age >= failing else Level.WARNING


def _number(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _names(names: list[str]) -> str:
    return f"{', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}:"


def _age(seconds: float | None) -> str:
    seconds = max(0.0, seconds or 0.0)
    for unit, length in (("days", DAY), ("hours", HOUR), ("minutes", MINUTE)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


# --- what is so -------------------------------------------------------------------------------------------------------


def facts() -> Facts:
    """Ask the database, the broker and the disk."""
    try:
        return _facts(clock.now())
    except DatabaseError:
        return Facts(at=datetime.now(UTC), database_answers=False)


def _facts(at: datetime) -> Facts:
    hour, day = at - timedelta(hours=1), at - timedelta(days=1)
    leased = Batch.objects.filter(state=BatchState.LEASED)
    ending = at + timedelta(seconds=settings.LEASE_SECONDS / 3)
    halts = StateChange.objects.filter(to_state=RunState.HALTED, batch=None)
    halted_runs = Run.objects.filter(state=RunState.HALTED)
    halted_images = Submission.objects.filter(state=SubmissionState.HALTED)
    free = dispatch.free_slots(at)
    disk = shutil.disk_usage(settings.STORE_DIR)
    queued = Run.objects.filter(state=RunState.QUEUED)
    return Facts(
        at=at,
        broker_answers=_broker_answers(),
        pulses={
            one.name: max(0.0, (at - one.at).total_seconds()) for one in Pulse.objects.filter(at__gt=at - FORGOTTEN)
        },
        hosts=_host_facts(at, hour),
        phases=_phase_facts(at, day),
        free_slots=len(free),
        oldest_image=_oldest(
            at, Submission.objects.filter(state__in=(SubmissionState.RECEIVED, SubmissionState.VALIDATING))
        ),
        oldest_run=_oldest(at, queued),
        oldest_score=_since(at, _unscored().aggregate(first=Min("decided_at"))["first"]),
        run_waits_beside_free_slot=bool(free) and queued.filter(submission__phase__gpus__lte=max(free)).exists(),
        halted=halted_runs.count() + halted_images.count(),
        stuck=halted_runs.filter(retry_at=None).count() + halted_images.filter(retry_at=None).count(),
        oldest_halted=max(filter(None, (_oldest(at, halted_runs), _oldest(at, halted_images))), default=None),
        leases=leased.count(),
        leases_ending=leased.filter(lease_until__lt=ending).count(),
        leases_lost_last_hour=Attempt.objects.filter(fault="host_lost", ended_at__gt=hour).count(),
        # A check of an image that broke down has no code of its own.
        faults_last_day=dict(
            Counter(why or "image_check" for why in halts.filter(at__gt=day).values_list("why", flat=True))
        ),
        faults_last_hour=halts.filter(at__gt=hour).count(),
        uploads=_uploads(),
        store_free_bytes=disk.free,
        store_bytes=disk.total,
    )


def _unscored() -> QuerySet[RunCase]:
    return RunCase.objects.filter(outcome="finished", result__isnull=True, run__state__in=ACTIVE_RUN_STATES)


def _broker_answers() -> bool:
    try:
        return bool(live.connection().ping())
    except redis.RedisError:
        return False


def _oldest(at: datetime, waiting: QuerySet[Run] | QuerySet[Submission]) -> float | None:
    """For how long the one that waits longest has been in its state."""
    ours, begun = (Q(history__batch=None), "created_at")
    if waiting.model is Submission:
        ours, begun = (Q(history__run=None), "accepted_at")
    entered = waiting.annotate(entered=Coalesce(Max("history__at", filter=ours), begun))
    return _since(at, entered.aggregate(first=Min("entered"))["first"])


def _since(at: datetime, then: datetime | None) -> float | None:
    return None if then is None else max(0.0, (at - then).total_seconds())


def _host_facts(at: datetime, hour: datetime) -> tuple[HostFacts, ...]:
    hosts = Host.objects.filter(revoked_at=None, seen_at__gt=at - FORGOTTEN).order_by("name")
    alive = set(dispatch.living(at).values_list("pk", flat=True))
    busy = _counts(Batch.objects.filter(state=BatchState.LEASED), "host")
    faults = _counts(Attempt.objects.filter(ended_at__gt=hour).exclude(fault=""), "host")
    return tuple(
        HostFacts(
            name=host.name,
            version=host.version,
            silent_seconds=_since(at, host.seen_at),
            is_alive=host.pk in alive,
            draining=host.draining,
            slots=len(host.slots),
            busy=busy.get(host.pk, 0),
            free_bytes=host.free_bytes,
            faults_last_hour=faults.get(host.pk, 0),
        )
        for host in hosts
    )


def _phase_facts(at: datetime, day: datetime) -> tuple[PhaseFacts, ...]:
    """The phases that are open or still have something to do."""
    runs = Run.objects.all()
    cases = RunCase.objects.all()
    moving = (*ACTIVE_RUN_STATES, RunState.QUEUED, RunState.HALTED)
    images = Submission.objects.filter(state__in=(SubmissionState.RECEIVED, SubmissionState.VALIDATING))
    checking = _counts(images, "phase")
    queued = _counts(runs.filter(state=RunState.QUEUED), "submission__phase")
    at_work = _counts(runs.filter(state__in=ACTIVE_RUN_STATES), "submission__phase")
    halted = _counts(runs.filter(state=RunState.HALTED), "submission__phase")
    open_cases = _counts(cases.filter(outcome="", run__state__in=moving), "run__submission__phase")
    took = cases.filter(decided_at__gt=day).values_list("run__submission__phase").annotate(Avg("seconds")).order_by()
    seconds = {phase: average for phase, average in took if average is not None}
    found = []
    for phase in Phase.objects.order_by("closes_at"):
        is_open = phase.opens_at <= at < phase.closes_at
        busy = any(phase.pk in counts for counts in (checking, queued, at_work, halted))
        if is_open or busy:
            waiting = open_cases.get(phase.pk, 0)
            found.append(
                PhaseFacts(
                    slug=phase.slug,
                    name=phase.name,
                    is_open=is_open,
                    closes_at=phase.closes_at,
                    checking=checking.get(phase.pk, 0),
                    queued=queued.get(phase.pk, 0),
                    at_work=at_work.get(phase.pk, 0),
                    halted=halted.get(phase.pk, 0),
                    open_cases=waiting,
                    backlog_seconds=waiting * seconds.get(phase.pk, phase.case_seconds),
                )
            )
    return tuple(found)


def _counts(rows: QuerySet[Any], key: str) -> dict[int, int]:
    return dict(rows.values_list(key).annotate(Count("pk")).order_by())


def _uploads() -> int:
    """The archives that are being received: files that grew a moment ago."""
    moving = 0
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).glob("*.upload*"):
        with contextlib.suppress(FileNotFoundError):
            moving += time.time() - path.stat().st_mtime < UPLOAD_MOVES_SECONDS
    return moving
