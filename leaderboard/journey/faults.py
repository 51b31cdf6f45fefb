"""Our own faults: put aside what they hit, try again after growing pauses, charge nobody.

After `MAX_FAULTS` in a row nothing is tried any more until an organiser has looked.
"""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from leaderboard.core import clock, task_queue
from leaderboard.journey import lifecycle, reasons
from leaderboard.journey.locking import lock_run
from leaderboard.models import Run, Submission
from leaderboard.states import BatchState, RunState, SubmissionState

logger = logging.getLogger(__name__)

RETRY_SECONDS = (5, 15, 60, 300)  # after our first, second, ... fault in a row
LONGEST_PAUSE = timedelta(seconds=max(RETRY_SECONDS))


def begin_check(submission: Submission) -> bool:
    """Count a check before it begins: one that kills its worker each time must not be tried for ever."""
    if submission.failures >= settings.MAX_FAULTS:
        halt_submission(submission)
        return False
    submission.failures += 1
    submission.save(update_fields=["failures"])
    return True


def halt_submission(submission: Submission) -> None:
    """The check of what was handed in broke down: our fault."""
    lifecycle.move(
        submission,
        SubmissionState.HALTED,
        allowed_from={SubmissionState.VALIDATING},
        retry_at=_retry_at(submission.failures),
        charged=False,
    )


def retry_image(submission: Submission, *, by: str = lifecycle.SERVER) -> bool:
    """Try once more to check what was handed in; the earlier failure was ours. False when it is not halted now."""
    with transaction.atomic():
        moved = lifecycle.move(
            submission,
            SubmissionState.VALIDATING,
            by=by,
            allowed_from={SubmissionState.HALTED},
            charged=True,
            retry_at=None,
            notified_at=clock.now(),
        )
        if moved:
            task_queue.enqueue_image_check(submission.pk)
    return moved


def halt_run(run: Run, fault: str) -> None:
    """Put the run aside for a while: our fault, growing pauses, nothing charged. At the limit, people must look."""
    faults = run.faults + 1
    why = reasons.INTERRUPTED if faults < settings.MAX_FAULTS else reasons.NEEDS_ORGANISERS
    if not lifecycle.move(
        run,
        RunState.HALTED,
        allowed_from={RunState.QUEUED, RunState.CANARY, RunState.RUNNING, RunState.SCORING},
        why=fault,
        faults=faults,
        retry_at=_retry_at(faults),
        reason_code=fault,
        reason=f"{why.title}. {why.means}",
    ):
        return
    if run.number == 1:  # a re-run is the organisers' and was never charged
        Submission.objects.filter(pk=run.submission_id).update(charged=False)
    if faults >= settings.MAX_FAULTS:
        logger.error("run %s was interrupted %s times in a row by our fault (%s)", run.pk, faults, fault)


def resume(run: Run, *, by: str = lifecycle.SERVER) -> bool:
    """Let a halted run go on at the case where it stopped: in the queue, or with its scores. False if it is not."""
    with transaction.atomic():
        run = lock_run(run.pk)
        to = RunState.QUEUED if run.cases.filter(outcome="").exists() else RunState.SCORING
        clean: dict[str, Any] = {"retry_at": None, "reason_code": "", "reason": ""}
        moved = lifecycle.move(run, to, by=by, allowed_from={RunState.HALTED}, **clean)
        if moved and run.number == 1:
            Submission.objects.filter(pk=run.submission_id).update(charged=True)
        if moved and (reported := run.batches.filter(state=BatchState.REPORTED).first()):
            task_queue.enqueue_scoring(reported.pk)  # its masks need no slot
    return moved


def _retry_at(faults: int) -> datetime | None:
    """When to try again after so many of our faults in a row; None when people must look first."""
    if faults >= settings.MAX_FAULTS:
        return None
    return clock.now() + timedelta(seconds=RETRY_SECONDS[min(faults, len(RETRY_SECONDS)) - 1])
