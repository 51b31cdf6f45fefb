"""The sweeper: derives from the database what should be happening, and puts it right.

Everything it does is a step of the pipeline that would have happened anyway; it exists because messages get lost,
workers are killed, hosts go silent, and pauses end. Running it twice at once makes no difference.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import F, Q, QuerySet

from leaderboard.board import versions
from leaderboard.challenge import case_pictures, downloads, maintenance
from leaderboard.core import clock, outbox, process_heartbeat, task_queue, verification
from leaderboard.journey import failure_kinds, faults, looks, pipeline, scheduling, submitting
from leaderboard.journey.selectors import not_looked_at
from leaderboard.models import Batch, Draft, Host, ProcessHeartbeat, Run, Submission
from leaderboard.notices import announcing, deadlines, decisions, phases, runs
from leaderboard.operations import alarms, doubles, equal_entries
from leaderboard.people import preregistration
from leaderboard.rescoring import work as rescoring
from leaderboard.scores import arrays
from leaderboard.states import ACTIVE_RUN_STATES, UNCHECKED, BatchState, RunState, SubmissionState

logger = logging.getLogger(__name__)
RECENT = timedelta(days=1)
LOOK_AGAIN = timedelta(minutes=10)  # after the beginning of a look that came to nothing
BOARD_SECONDS = 15.0  # between two looks at all boards
ARRAYS_SECONDS = 60.0  # between two looks at which runs lack an array of scores, once none did
KNOCKS = 8  # messages at once for what nobody began: more would only pile up
_outage_at = -math.inf  # when hosts were last known to speak in vain, on the monotonic clock
_copies_asked_at = -math.inf  # when copies of public files were last asked for, on the same clock
_pictures_asked_at = -math.inf  # when pictures of public cases were last asked for, likewise
_boards_asked_at = -math.inf  # when boards were last asked for, likewise
_rescoring_asked_at = -math.inf  # when re-scorings were last looked at, likewise
_arrays_looked_at = -math.inf  # when no run lacked an array of scores, likewise
_last_sweep: tuple[datetime, float] | None = None  # by the database's clock, and by the monotonic one


def sweep() -> None:
    """Look once at everything that is unfinished. What fails is logged and does not keep the rest waiting."""
    asked = time.monotonic()
    at = clock.now()
    note_standstill(since=asked)  # a database that hung
    _note_clock_set_forward(at, asked)
    if ProcessHeartbeat.objects.filter(name=process_heartbeat.SWEEPER, at__gt=at).exists():
        _after_clock_set_back(at)
    _each(_complete_drafts(), lambda draft: submitting.submit_draft(draft.pk))
    _knock(_unanswered_image_checks(at), at, task_queue.enqueue_image_check)
    if _can_hear_hosts(at) and not maintenance.spares_leases(at, timedelta(seconds=settings.LEASE_SECONDS)):
        _each(Batch.objects.filter(state=BatchState.LEASED, lease_until__lt=at), _end_lease)
    _knock(_unanswered_scorings(at), at, task_queue.enqueue_scoring)
    _each(_unanswered_looks(at), looks.ask_for_hints)
    _each(Run.objects.filter(state=RunState.FAILED, failure_kind=""), failure_kinds.note)
    _each(Submission.objects.filter(state=SubmissionState.HALTED, retry_at__lt=at), faults.retry_image)
    _each(Run.objects.filter(state=RunState.HALTED, retry_at__lt=at), faults.resume)
    _each(Run.objects.filter(state__in=ACTIVE_RUN_STATES), pipeline.recheck)
    pipeline.fill_slots()
    _each(equal_entries.submissions(), equal_entries.compare_submission)
    _each(equal_entries.runs(), equal_entries.compare_run)
    _make_arrays()
    _rescore(at)
    _ask_for_copies()
    _ask_for_pictures()
    _ask_for_boards(at)
    _each([at], verification.look)
    process_heartbeat.beat(process_heartbeat.SWEEPER)
    runs.write_due()
    decisions.write_due()
    deadlines.look()
    phases.look()
    _send_announcements()
    _each([at], doubles.look)
    _tell_that_registration_opened()
    alarms.look()


def _send_announcements() -> None:
    try:
        announcing.send_due()
    except DatabaseError:
        raise
    except Exception:
        logger.exception("sending announcements failed")


def _tell_that_registration_opened() -> None:
    try:
        preregistration.tell_that_it_opened()
    except DatabaseError:
        raise
    except Exception:
        logger.exception("telling that registration has opened failed")


def _ask_for_copies() -> None:
    """Files that may be downloaded are still to be copied, and nobody is at it: the message was lost, or the worker."""
    global _copies_asked_at
    if time.monotonic() - _copies_asked_at < settings.NOTIFY_AGAIN_SECONDS:
        return
    _copies_asked_at = time.monotonic()
    waiting = downloads.uncopied().first()
    if waiting is not None and not downloads.is_copying():
        task_queue.enqueue_copying(waiting.pk)


def _ask_for_pictures() -> None:
    """Public cases are to be drawn, or pictures to be forgotten: that a phase begins to show its cases tells nobody."""
    global _pictures_asked_at
    if time.monotonic() - _pictures_asked_at < settings.NOTIFY_AGAIN_SECONDS:
        return
    _pictures_asked_at = time.monotonic()
    if case_pictures.is_waiting() and not case_pictures.is_drawing():
        task_queue.enqueue_case_pictures()


def _ask_for_boards(at: datetime) -> None:
    """Have boards looked at now and then: a message may be lost, an instant may come, organisers edit rows."""
    global _boards_asked_at
    if time.monotonic() - _boards_asked_at < BOARD_SECONDS:
        return
    _boards_asked_at = time.monotonic()
    for phase in versions.living(at):
        task_queue.enqueue_board(phase)


def _make_arrays() -> None:
    """Some arrays of scores that runs of before lack. Nobody waits for them: the results say the same, only slower."""
    global _arrays_looked_at
    if time.monotonic() - _arrays_looked_at < ARRAYS_SECONDS:
        return
    waiting = arrays.missing()
    _each(waiting, lambda one: arrays.fill(*one))
    if len(waiting) < arrays.AT_ONCE:
        _arrays_looked_at = time.monotonic()


def _rescore(at: datetime) -> None:
    """Runs that were scored since are taken into re-scorings; workers are told again now and then."""
    global _rescoring_asked_at
    if time.monotonic() - _rescoring_asked_at < settings.NOTIFY_AGAIN_SECONDS:
        return
    _rescoring_asked_at = time.monotonic()
    _each([at], rescoring.look)
    rescoring.knock(at)


def note_outage() -> None:
    """The database was away, or this process was: hosts may have spoken, and nobody heard it."""
    global _outage_at
    _outage_at = time.monotonic()


def note_standstill(*, since: float) -> None:
    """Nothing was done since this instant of the monotonic clock: most of a lease may have passed unheard."""
    if time.monotonic() - since > settings.LEASE_SECONDS * 3 / 4:
        note_outage()


def _note_clock_set_forward(at: datetime, asked: float) -> None:
    """The database's clock leapt: every lease seems to be over, though hosts spoke a moment ago."""
    global _last_sweep
    before, _last_sweep = _last_sweep, (at, asked)
    if before is not None:
        leap = (at - before[0]).total_seconds() - (asked - before[1])
        if leap > settings.LEASE_SECONDS / 4:
            logger.warning("the clock was set forward by %.0f s: hosts get time to renew their leases", leap)
            note_outage()


def _can_hear_hosts(at: datetime) -> bool:
    """Whether a silent host is silent: who hears hosts lives, and had time to hear from everybody since it came back.

    Else an outage of ours that outlasts a lease would cost every run what its container has done.
    """
    ours = Q(name__startswith=f"{process_heartbeat.HOSTS}@") | Q(name__startswith=f"{process_heartbeat.WEB}@")
    hearing = ProcessHeartbeat.objects.filter(ours)
    if (
        hearing.exists()
        and not hearing.filter(at__gt=at - timedelta(seconds=3 * process_heartbeat.BEAT_SECONDS)).exists()
    ):
        note_outage()
    # A quarter of a lease is enough to hear every living host: they speak every three seconds.
    return time.monotonic() - _outage_at > settings.LEASE_SECONDS / 4


def _after_clock_set_back(at: datetime) -> None:
    """The database's clock was set back, for the last sweep was later than now: nobody waits for it to catch up."""
    logger.warning("the clock was set back: leases, pauses and signs of life are shortened to what they may be")
    lease_end = at + timedelta(seconds=settings.LEASE_SECONDS)
    Batch.objects.filter(state=BatchState.LEASED, lease_until__gt=lease_end).update(lease_until=lease_end)
    Batch.objects.filter(notified_at__gt=at).update(notified_at=at)
    Run.objects.filter(hints_asked_at__gt=at).update(hints_asked_at=at)
    Submission.objects.filter(notified_at__gt=at).update(notified_at=at)
    Submission.objects.filter(retry_at__gt=at + faults.LONGEST_PAUSE).update(retry_at=at)
    Run.objects.filter(retry_at__gt=at + faults.LONGEST_PAUSE).update(retry_at=at)
    outbox.shorten_pauses(at)
    Host.objects.filter(seen_at__gt=at).update(seen_at=at)
    Host.objects.filter(hello_at__gt=at).update(hello_at=at)
    ProcessHeartbeat.objects.filter(at__gt=at).update(at=at)


def _each(things: Iterable[Any], act: Callable[[Any], object]) -> None:
    for thing in things:
        try:
            act(thing)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("sweeping %r failed", thing)


def _complete_drafts() -> QuerySet[Draft]:
    """Sent, with a file that is whole or was here, and not taken: the process that got the last byte died of it."""
    here = Q(uploads__completed_at__isnull=False) | Q(source__isnull=False)
    return Draft.objects.filter(here, submitted_at__isnull=False).distinct()


def _unanswered_image_checks(at: datetime) -> QuerySet[Submission]:
    return Submission.objects.filter(state__in=UNCHECKED, notified_at__lt=task_queue.unanswered_since(at))


def _unanswered_scorings(at: datetime) -> QuerySet[Batch]:
    return scheduling.to_score().filter(notified_at__lt=task_queue.unanswered_since(at))


def _unanswered_looks(at: datetime) -> QuerySet[Run]:
    """Runs that wait for a look; for the first time those of one day, lest an upgrade look at all there ever were."""
    unasked = Q(hints_asked_at=None, ended_at__gt=at - RECENT)
    lost = Q(hints_tries=0, hints_asked_at__lt=task_queue.unanswered_since(at))
    failed = Q(hints_asked_at__lt=at - LOOK_AGAIN)
    waiting = not_looked_at().filter(unasked | lost | failed)
    return waiting.order_by(F("hints_asked_at").asc(nulls_first=True))[:KNOCKS]


def _knock(unanswered: QuerySet[Any], at: datetime, enqueue: Callable[[Any], None]) -> None:
    """Tell workers again that there is something to do. Each does what is next, and tells another while more waits."""
    with transaction.atomic():
        waiting = list(unanswered.order_by("notified_at").values_list("pk", flat=True))
        unanswered.model._default_manager.filter(pk__in=waiting).update(notified_at=at)
        for key in waiting[:KNOCKS]:
            enqueue(key)


def _end_lease(batch: Batch) -> None:
    logger.warning("batch %s: its host went silent", batch.pk)
    pipeline.lose_lease(batch.pk)
