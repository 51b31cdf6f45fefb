"""What is so: the state of everything, read at one instant from the database, the broker and the disk."""

import contextlib
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.db import Error as DatabaseError
from django.db.models import BooleanField, Count, ExpressionWrapper, F, Min, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from evaluation import kernel
from leaderboard.board import versions
from leaderboard.challenge import downloads
from leaderboard.challenge.phases import offers_try_outs, taking_phases
from leaderboard.core import clock, events, outbox, verification
from leaderboard.core.minutes import found_once, minute_of
from leaderboard.core.process_heartbeat import BOARD
from leaderboard.hosts import gpus, slots
from leaderboard.hosts.slots import Slot
from leaderboard.models import (
    Attempt,
    AuditEntry,
    Batch,
    Host,
    OutgoingMail,
    Phase,
    ProcessHeartbeat,
    Run,
    RunCase,
    StateChange,
    Submission,
)
from leaderboard.rescoring.progress import Overview, overview
from leaderboard.states import ACTIVE_RUN_STATES, BatchState, RunState, SubmissionState
from leaderboard.submissions import uploads

FORGOTTEN = timedelta(days=7)  # a process or a host that was not heard of for so long is not missed any more
UPLOAD_MOVES_SECONDS = 120.0


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
    trouble: str = ""
    gpus: str = ""
    serves: str = Host.Serves.EVERY
    mute_seconds: float | None = None  # since it said hello, though it is heard of
    offers: tuple[Slot, ...] = ()

    @property
    def in_trouble(self) -> bool:
        """Whether it says what is wrong with it, or does not say anything though it lives."""
        return bool(self.trouble) or self.mute_seconds is not None

    @property
    def takes_work(self) -> bool:
        """Whether it offers a slot, free or not."""
        return self.is_alive and not self.draining and self.mute_seconds is None and self.slots > 0


@dataclass(frozen=True)
class PhaseFacts:
    """The work of a phase. `backlog_seconds`: how long its open cases will hold one slot, by the last day's average."""

    slug: str
    name: str
    is_open: bool
    closes_at: datetime
    cases_are_public: bool = False
    takes_images: bool = True
    has_try_outs: bool = False
    checking: int = 0
    queued: int = 0
    at_work: int = 0
    halted: int = 0
    open_cases: int = 0
    backlog_seconds: float = 0.0


@dataclass(frozen=True)
class MailFacts:
    """The outbox. `oldest` is how long one waits for the mail server; not one that is refused for its own address."""

    waiting: int = 0
    oldest: float | None = None
    sent_last_hour: int = 0
    given_up_last_hour: int = 0


@dataclass(frozen=True)
class RecordFacts:
    """The record of decisions as it was last verified, and for how long an entry has waited for its place in it."""

    entries: int = 0
    checked: float | None = None
    problems: tuple[str, ...] = ()
    oldest_unchained: float | None = None


@dataclass(frozen=True)
class Facts:
    """Everything that was read, at one instant. Ages in seconds; None where there is nothing that could be old."""

    at: datetime
    database_answers: bool = True
    broker_answers: bool = True
    heartbeat_ages: dict[str, float] = field(default_factory=dict)
    hosts: tuple[HostFacts, ...] = ()
    phases: tuple[PhaseFacts, ...] = ()
    free_slots: int = 0
    oldest_image: float | None = None
    oldest_run: float | None = None
    oldest_score: float | None = None
    scorer: str = kernel.description  # of this process, which is installed as those that score are
    boards: dict[str, float] = field(default_factory=dict)  # since when they were not looked at, by the phase's name
    run_waits_beside_free_slot: bool = False
    run_fits_no_host: bool = False  # though some take work
    halted: int = 0
    stuck: int = 0
    oldest_halted: float | None = None
    leases: int = 0
    leases_ending: int = 0
    leases_lost_last_hour: int = 0
    faults_last_day: dict[str, int] = field(default_factory=dict)
    faults_last_hour: int = 0
    uploads: int = 0
    mails: MailFacts = MailFacts()
    uncopied: tuple[str, ...] = ()  # case sets that may be downloaded, and whose files are not all there
    rescoring: Overview = field(default_factory=Overview)
    record: RecordFacts = RecordFacts()
    store_free_bytes: int = 0
    store_bytes: int = 0
    store_turns_uploads_away: bool = False  # the largest that a phase takes, if not all

    @property
    def slots(self) -> int:
        """The slots of hosts that take work."""
        return sum(host.slots for host in self.hosts if host.takes_work)

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


def facts(at: datetime | None = None) -> Facts:
    """Ask the database, the broker and the disk; `at` is now, if the caller has read the database's clock already."""
    try:
        return _facts(at or clock.now())
    except DatabaseError:
        return Facts(at=datetime.now(UTC), database_answers=False)


def _facts(at: datetime) -> Facts:
    hour, day = at - timedelta(hours=1), at - timedelta(days=1)
    ending = Q(lease_until__lt=at + timedelta(seconds=settings.LEASE_SECONDS / 3))
    leases, leases_ending = _counted(Batch.objects.filter(state=BatchState.LEASED), ending)
    halts = StateChange.objects.filter(to_state=RunState.HALTED, batch=None, at__gt=day).values_list("why", "at")
    halted_runs = Run.objects.filter(state=RunState.HALTED)
    halted_images = Submission.objects.filter(state=SubmissionState.HALTED)
    counts = [_counted(rows, Q(retry_at=None)) for rows in (halted_runs, halted_images)]
    halted, stuck = (sum(column) for column in zip(*counts, strict=True))
    free = slots.free_slots(at)
    beats = dict(ProcessHeartbeat.objects.values_list("name", "at"))
    disk = shutil.disk_usage(settings.STORE_DIR)
    idle = free if disk.free >= settings.FREE_BYTES else []  # else runs wait for the disk, not for a slot
    queued = Run.objects.filter(state=RunState.QUEUED)
    hosts, waiting = _host_facts(at, hour), _waiting(queued)
    offered = [slot for host in hosts if host.takes_work for slot in host.offers]
    largest = max((phase.max_upload_bytes for phase in taking_phases(at)), default=0)
    return Facts(
        at=at,
        broker_answers=_broker_answers(),
        heartbeat_ages={
            name: max(0.0, (at - beat).total_seconds())
            for name, beat in beats.items()
            if beat > at - FORGOTTEN and not name.startswith(BOARD)
        },
        hosts=hosts,
        phases=_phase_facts(at),
        free_slots=len(free),
        oldest_image=_oldest(
            at, Submission.objects.filter(state__in=(SubmissionState.RECEIVED, SubmissionState.VALIDATING))
        ),
        oldest_run=_oldest(at, queued),
        oldest_score=_since(at, _unscored().aggregate(first=Min("decided_at"))["first"]),
        boards=_board_ages(at, beats),
        run_waits_beside_free_slot=any(slots.fitting(idle, one) for one in waiting),
        run_fits_no_host=bool(offered) and not all(slots.fitting(offered, one) for one in waiting),
        halted=halted,
        stuck=stuck,
        oldest_halted=max(filter(None, (_oldest(at, halted_runs), _oldest(at, halted_images))), default=None),
        leases=leases,
        leases_ending=leases_ending,
        leases_lost_last_hour=Attempt.objects.filter(fault="host_lost", ended_at__gt=hour).count(),
        # A check of an image that broke down has no code of its own.
        faults_last_day=dict(Counter(why or "image_check" for why, _ in halts)),
        faults_last_hour=sum(when > hour for _, when in halts),
        uploads=_uploads(),
        mails=_mail_facts(at, hour),
        uncopied=tuple(downloads.uncopied().values_list("name", flat=True)),
        rescoring=overview(),
        record=_record_facts(at),
        store_free_bytes=disk.free,
        store_turns_uploads_away=disk.free < settings.FREE_BYTES + largest,
        store_bytes=disk.total,
    )


def _record_facts(at: datetime) -> RecordFacts:
    found = verification.latest()
    waits = AuditEntry.objects.filter(number=None).aggregate(first=Min("at"))["first"]
    return RecordFacts(found.entries, _since(at, found.checked_at), tuple(found.problems), _since(at, waits))


def _waiting(queued: QuerySet[Run]) -> list[Submission]:
    """One of the submissions that wait for a slot for each thing that they need."""
    waiting = slots.what_they_need().filter(pk__in=queued.values("submission"))
    needs = ("phase_id", "cases_of_id", "with_weights")
    return list(waiting.annotate(with_weights=Q(weights__isnull=False)).order_by(*needs).distinct(*needs))


def _board_ages(at: datetime, beats: Mapping[str, datetime]) -> dict[str, float]:
    """For how long the boards that may change were not looked at, by the phase's name."""
    phases = Phase.objects.filter(pk__in=versions.living(at)).only("name", "opens_at")
    since = {one.name: max(one.opens_at, beats.get(f"{BOARD}{one.pk}", one.opens_at)) for one in phases}
    return {name: max(0.0, (at - then).total_seconds()) for name, then in since.items()}


def _unscored() -> QuerySet[RunCase]:
    unscored = RunCase.objects.filter(outcome=RunCase.Outcome.FINISHED, result__isnull=True)
    return unscored.filter(run__state__in=(*ACTIVE_RUN_STATES, RunState.QUEUED))  # queued: a run that was resumed


def _broker_answers() -> bool:
    try:
        return bool(events.connection().ping())
    except redis.RedisError:
        return False


def _oldest(at: datetime, waiting: QuerySet[Run] | QuerySet[Submission]) -> float | None:
    """For how long the one that waits longest has been in its state."""
    ours, begun = {"run": OuterRef("pk"), "batch": None}, "created_at"
    if waiting.model is Submission:
        ours, begun = {"submission": OuterRef("pk"), "run": None}, "accepted_at"
    last = StateChange.objects.filter(**ours).order_by("-at").values("at")[:1]  # looked up for each: they are few
    entered = waiting.order_by().annotate(entered=Coalesce(Subquery(last), begun))
    return _since(at, entered.aggregate(first=Min("entered"))["first"])


def _since(at: datetime, then: datetime | None) -> float | None:
    return None if then is None else max(0.0, (at - then).total_seconds())


def _host_facts(at: datetime, hour: datetime) -> tuple[HostFacts, ...]:
    hosts = Host.objects.filter(revoked_at=None, seen_at__gt=at - FORGOTTEN).order_by("name")
    hosts = hosts.annotate(mute=ExpressionWrapper(slots.is_mute(at), BooleanField(null=True)))
    alive = set(slots.living_hosts(at).values_list("pk", flat=True))
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
            trouble=host.trouble,
            gpus=gpus.summary(host),
            serves=host.serves,
            mute_seconds=_since(at, host.hello_at) if host.mute and host.pk in alive else None,
            offers=tuple(slots.slots_of(host)),
        )
        for host in hosts
    )


def _phase_facts(at: datetime) -> tuple[PhaseFacts, ...]:
    """The phases that are open or still have something to do."""
    moving = (*ACTIVE_RUN_STATES, RunState.QUEUED, RunState.HALTED)
    images = Submission.objects.filter(state__in=(SubmissionState.RECEIVED, SubmissionState.VALIDATING))
    checking = _counts(images, "phase")
    states: dict[int, Counter[str]] = {}
    runs = Run.objects.filter(state__in=moving).values_list("submission__phase", "state").order_by()
    for phase_id, state, count in runs.annotate(Count("pk")):
        states.setdefault(phase_id, Counter())[state] = count
    open_cases = _counts(RunCase.objects.filter(decided_at=None, run__state__in=moving), "run__submission__phase")
    seconds = found_once(at, "seconds of a case", lambda: _case_seconds(minute_of(at)))
    found = []
    for phase in Phase.objects.published().select_related("try_outs_on"):
        is_open = phase.opens_at <= at < phase.closes_at
        if is_open or phase.pk in checking or phase.pk in states:
            of_phase = states.get(phase.pk, Counter())
            waiting = open_cases.get(phase.pk, 0)
            found.append(
                PhaseFacts(
                    slug=phase.slug,
                    name=phase.name,
                    is_open=is_open,
                    cases_are_public=phase.cases_are_public,
                    takes_images=phase.takes_images,
                    has_try_outs=offers_try_outs(phase),
                    closes_at=phase.closes_at,
                    checking=checking.get(phase.pk, 0),
                    queued=of_phase[RunState.QUEUED],
                    at_work=sum(of_phase[state] for state in ACTIVE_RUN_STATES),
                    halted=of_phase[RunState.HALTED],
                    open_cases=waiting,
                    backlog_seconds=waiting * seconds.get(phase.pk, phase.case_seconds),
                )
            )
    return tuple(found)


def _case_seconds(minute: datetime) -> dict[int, float]:
    """How long a slot was held for a case in the day before the minute, on average, by phase."""
    day = minute - timedelta(days=1)
    # A case is decided before its run ends: so the cases of runs that ended before need not be looked at.
    recent = Q(run__ended_at=None) | Q(run__ended_at__gt=day)
    of_images = Q(run__submission__entry=Submission.Entry.IMAGE)  # masks that were handed in held no slot
    in_time = Q(decided_at__gt=day, decided_at__lt=minute)
    decided = _counts(RunCase.objects.filter(recent, of_images, in_time), "run__submission__phase")
    took = Attempt.objects.filter(ended_at__gt=day, ended_at__lt=minute).order_by()
    held = took.values_list("batch__run__submission__phase").annotate(held=Sum(F("ended_at") - F("claimed_at")))
    return {phase: duration.total_seconds() / decided[phase] for phase, duration in held if phase in decided}


def _counts(rows: QuerySet[Any], key: str) -> dict[int, int]:
    """How many rows there are, by key. Counted as rows are, so that an index may be enough."""
    return dict(rows.values_list(key).annotate(rows=Count("*")).order_by())


def _counted(rows: QuerySet[Any], some: Q) -> tuple[int, int]:
    """How many rows there are, and for how many of them `some` holds."""
    counts = rows.aggregate(all=Count("pk"), some=Count("pk", filter=some))
    return counts["all"], counts["some"]


def _mail_facts(at: datetime, hour: datetime) -> MailFacts:
    waiting, ended = Q(state=OutgoingMail.State.WAITING), Q(ended_at__gt=hour)
    found = OutgoingMail.objects.filter(waiting | ended).aggregate(
        waiting=Count("pk", filter=waiting),
        sent=Count("pk", filter=Q(state=OutgoingMail.State.SENT)),
        given_up=Count("pk", filter=Q(state=OutgoingMail.State.GIVEN_UP)),
    )
    oldest = outbox.waiting_since(with_notices=True)
    return MailFacts(found["waiting"], _since(at, oldest), found["sent"], found["given_up"])


def _uploads() -> int:
    """The archives that are being received: files that grew a moment ago."""
    moving = 0
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).glob(f"{uploads.PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            moving += time.time() - path.stat().st_mtime < UPLOAD_MOVES_SECONDS
    return moving
