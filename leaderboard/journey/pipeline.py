"""The journey of a submission, top to bottom.

    validate_image -> start -> claim -> heartbeat -> report -> score_batch -> finish -> look_next
                                 ^                     |            |
                                 +---- advance: what next? <--------+

It begins where a team handed something in (leaderboard/journey/submitting.py).

Every step takes the row that it is about, looks at the database, does one thing, and sends a message for the next step
after its commit. Nothing that matters is in a message: `advance()` and the sweeper derive what should happen next from
the rows, so a step that is repeated, or that was lost with a killed process, is harmless.

Blame: what is the team's fault costs a case (failed, missing, invalid) or the run (rejected, failed); what is ours
puts the run aside (leaderboard/journey/faults.py), is tried again, and is never charged. What people decide about a
submission is in leaderboard/journey/decisions.py.
"""

import logging
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F

import evaluation
from containers.intake import ImageRejected
from containers.protocol.reports import Report
from leaderboard.challenge import maintenance
from leaderboard.core import clock, disk_space, events, locks, task_queue
from leaderboard.core.text import storable
from leaderboard.hosts import orders, slots
from leaderboard.journey import (
    failure_kinds,
    faults,
    leases,
    lifecycle,
    looks,
    outcomes,
    planning,
    reasons,
    rejected_by_hosts,
    scheduling,
)
from leaderboard.journey.handed_in import MasksUnusable, accept_masks, check_masks
from leaderboard.journey.locking import LeaseLost, NotForThisHost, drop_batches, held_batch, lock_batch, lock_run
from leaderboard.journey.selectors import with_phase
from leaderboard.models import AlgorithmImage, Attempt, Batch, Host, Phase, Run, RunCase, Submission, Weights
from leaderboard.scores import aggregates, scoring
from leaderboard.states import (
    ACTIVE_RUN_STATES,
    ENDED,
    RUNNABLE,
    UNCHECKED,
    BatchState,
    RunState,
    SubmissionKind,
    SubmissionState,
)
from leaderboard.submissions import intake, uploads

logger = logging.getLogger(__name__)

TURN_SECONDS = 5.0  # for so long the masks of one team are scored before it is another's turn


# --- what was handed in is checked -----------------------------------------------------------------------------------


def check_next(*, processes: int) -> None:
    """Check the image whose turn it is, whichever a message named; `processes` of us do so."""
    with scheduling.next_check(processes=processes) as submission_id:
        if submission_id is not None:
            validate_image(submission_id)
    if submission_id is not None and (waiting := Submission.objects.filter(state__in=UNCHECKED).first()):
        task_queue.enqueue_image_check(waiting.pk)


def validate_image(submission_id: int) -> None:
    """Check what was handed in, and put the submission into the queue, or its masks to be scored; or reject it."""
    with locks.working_on("image", submission_id) as mine:
        if not mine:
            return
        submission = Submission.objects.select_related("phase").get(pk=submission_id)
        lifecycle.move(submission, SubmissionState.VALIDATING, allowed_from={SubmissionState.RECEIVED})
        if submission.state != SubmissionState.VALIDATING or not faults.begin_check(submission):
            return
        try:
            accept = _checked(submission)
        except (ImageRejected, MasksUnusable) as rejection:
            _reject(submission, rejection)
        except Exception:
            logger.exception("submission %s: the check of its %s broke down", submission_id, submission.entry)
            faults.halt_submission(submission)
        else:
            accept()
        if submission.state != SubmissionState.HALTED:
            uploads.delete_all_of(submission)


def _checked(submission: Submission) -> Callable[[], None]:
    """Check it, and return what accepts it. Raises ImageRejected, MasksUnusable."""
    if submission.is_of_masks:
        return partial(accept_masks, submission, check_masks(submission))
    return partial(accept, submission, *intake.check(submission))


@transaction.atomic
def accept(submission: Submission, image: AlgorithmImage, weights: Weights | None = None) -> None:
    """An image that is known to be usable: its run waits for its turn."""
    if lifecycle.move(
        submission,
        SubmissionState.ACCEPTED,
        allowed_from={SubmissionState.VALIDATING},
        image=image,
        weights=weights,
        failures=0,
    ):
        planning.new_run(submission, by=lifecycle.SERVER)
        transaction.on_commit(fill_slots)


def _reject(submission: Submission, rejection: ImageRejected | MasksUnusable) -> None:
    lifecycle.move(
        submission,
        SubmissionState.REJECTED,
        allowed_from={SubmissionState.VALIDATING},
        why=rejection.code,
        reason_code=rejection.code[:40],
        reason=str(rejection),
        charged=False,
    )


# --- a slot is free --------------------------------------------------------------------------------------------------


def fill_slots() -> None:
    """Give free slots to waiting batches and queued runs."""
    scheduling.fill_slots(_start)


def _start(run: Run) -> Batch | None:
    """Begin a queued run, or go on with one that was halted; its first waiting batch, unless it waits for scores."""
    run = lock_run(run.pk)
    state = RunState.RUNNING if planning.canary_passed(run) else RunState.CANARY
    began = run.started_at or clock.now()
    if not lifecycle.move(run, state, allowed_from={RunState.QUEUED}, started_at=began, reason_code="", reason=""):
        return None
    advance(run)
    return run.batches.filter(state=BatchState.WAITING).first()


def claim(host: Host, batch_id: uuid.UUID, *, key: uuid.UUID, slot: str) -> dict[str, Any]:
    """Lease a batch to a host and return the order. The same key gets the same order again: an answer may get lost.

    Every host hears of every batch. One that this host can't have is told again at once, for another that waits.
    """
    try:
        return _claim(host, batch_id, key, slot)
    except NotForThisHost:
        scheduling.tell_another(batch_id, host)
        raise


def _claim(host: Host, batch_id: uuid.UUID, key: uuid.UUID, slot: str) -> dict[str, Any]:
    with transaction.atomic():
        batch = lock_batch(batch_id)
        current = batch.attempts.filter(fence=batch.fence).only("batch", "key", "host").first()
        if batch.state == BatchState.LEASED and current and current.key == key and current.host_id == host.pk:
            return orders.order(batch)
        if batch.state != BatchState.WAITING or batch.run.state not in RUNNABLE:
            raise LeaseLost(cancelled=batch.state == BatchState.DROPPED)
        at = clock.now()
        if not disk_space.allows_mask() or maintenance.is_on(at):
            raise LeaseLost(cancelled=False)
        known = slots.slot_of(host, slot)
        if host.draining or known is None or not known.takes(batch.run.submission):
            raise NotForThisHost(cancelled=False)
        lifecycle.move(
            batch,
            BatchState.LEASED,
            by=host.name,
            host=host,
            fence=batch.fence + 1,
            lease_until=at + leases.duration(),
            done=0,
        )
        Attempt.objects.create(
            batch=batch, fence=batch.fence, host=host, key=key, slot=slot[:60], claimed_at=at, received={}
        )
        return orders.order(batch)


def heartbeat(host: Host, batch_id: uuid.UUID, *, fence: int, done: int) -> None:
    """Renew a lease and note the progress. Raises LeaseLost when the host should stop its container.

    Not for ever: a host that hangs with a living heartbeat must not keep a run to itself.
    """
    with transaction.atomic():
        batch = held_batch(host, batch_id, fence)
        if clock.now() > leases.latest_end(batch):
            raise LeaseLost(cancelled=False)
        done = min(done, batch.cases.count())
        progressed = done > batch.done
        batch.done = max(batch.done, done)
        batch.lease_until = clock.now() + leases.duration()
        batch.save(update_fields=["done", "lease_until"])
        if progressed:
            events.announce(batch.run.submission_id)


def report(host: Host, batch_id: uuid.UUID, answer: Report) -> None:
    """Take over what a host says about a batch: decided cases, and whose fault the rest is.

    Raises LeaseLost, and outcomes.BadReport for what does not go with the order.
    """
    with transaction.atomic():
        batch = held_batch(host, batch_id, answer.fence)
        run = batch.run
        if answer.rejected and rejected_by_hosts.runs_nowhere(run, host, answer.rejected):
            _end_attempt(batch, answer, "")
            rejected_by_hosts.reject_after_all(run, host, answer)
            transaction.on_commit(fill_slots)
            return
        decided = outcomes.decide_cases(batch, answer)
        # A container that decided nothing, for no reason, is our fault too: it would go round for ever.
        unexplained = rejected_by_hosts.FAULT_OF_ONE_HOST.get(answer.rejected or "", "internal")
        fault = answer.fault.code if answer.fault else "" if decided else unexplained
        _end_attempt(batch, answer, fault)
        undecided = batch.cases.filter(outcome="")
        if fault:
            undecided.update(tries=F("tries") + 1)
            faults.halt_run(run, fault)
        else:
            Run.objects.filter(pk=run.pk).update(faults=0)
        if decided:
            undecided.update(batch=None)
            lifecycle.move(batch, BatchState.REPORTED, by=host.name, lease_until=None, notified_at=clock.now())
            task_queue.enqueue_scoring(batch.pk)
        else:
            lifecycle.move(batch, BatchState.WAITING, by=host.name, why=fault, notified_at=None)
        advance(run)
        transaction.on_commit(fill_slots)


def _end_attempt(batch: Batch, answer: Report, fault: str) -> None:
    batch.attempts.filter(fence=batch.fence).update(
        ended_at=clock.now(),
        fault=fault,
        detail=storable(answer.fault.detail if answer.fault else ""),
        container=storable(asdict(answer.container)) if answer.container else None,
        log=storable(answer.log[-batch.run.submission.phase.log_bytes :]),
    )


def lose_lease(batch_id: uuid.UUID) -> None:
    """A host went silent: its attempt is over, the batch waits for another."""
    with transaction.atomic():
        batch = lock_batch(batch_id)
        if batch.state != BatchState.LEASED or batch.lease_until is None or batch.lease_until > clock.now():
            return
        batch.attempts.filter(fence=batch.fence).update(ended_at=clock.now(), fault="host_lost")
        batch.cases.filter(outcome="").update(tries=F("tries") + 1)
        lifecycle.move(batch, BatchState.WAITING, why="host_lost", notified_at=None, done=0)
        faults.halt_run(batch.run, "host_lost")


# --- masks become numbers --------------------------------------------------------------------------------------------


def score_next(*, processes: int) -> bool:
    """Score some masks of the batch whose turn it is, whichever a message named; `processes` of us do so.

    Then it waits for its next turn, if masks are left: however long they take, they hold up nobody for longer than one.
    False when there was none to score.
    """
    with scheduling.next_scoring(processes=processes) as batch_id:
        if batch_id is not None:
            score_batch(batch_id)
    if batch_id is not None and (waiting := scheduling.to_score().first()):
        task_queue.enqueue_scoring(waiting.pk)
    return batch_id is not None


def score_batch(batch_id: uuid.UUID) -> None:
    """Score masks of a reported batch for one turn, each exactly once, and see what comes next."""
    with locks.working_on("scores", batch_id) as mine:
        batch = Batch.objects.select_related("run__submission").get(pk=batch_id)
        if not mine or batch.state != BatchState.REPORTED:
            return
        try:
            _score_masks(batch)
            with transaction.atomic():
                run = lock_run(batch.run_id)
                if not scoring.unscored(batch).exists():
                    lifecycle.move(batch, BatchState.SCORED, allowed_from={BatchState.REPORTED})
                advance(run)
        except Exception:
            # Bad masks are results; what arrives here is a reference, a disk, a process or a mistake of ours. The run
            # steps aside, or it would be the next one again, for ever.
            logger.exception("batch %s could not be scored", batch_id)
            with transaction.atomic():
                faults.halt_run(lock_run(batch.run_id), scheduling.SCORING_FAULT)
            return
        fill_slots()


def _score_masks(batch: Batch) -> None:
    """Score the masks that have no score, until the turn or the run is over; what has begun is brought to its end."""
    ends_at = time.monotonic() + TURN_SECONDS
    with closing(scoring.score(scoring.unscored(batch), until=lambda: time.monotonic() > ends_at)) as scores:
        for case, score in scores:
            if not _take_score(batch.run_id, case, score):
                return


@transaction.atomic
def _take_score(run_id: int, case: RunCase, score: evaluation.Assessment) -> bool:
    """Write down a score; False when the run ended meanwhile, and with it what is told of its cases."""
    if lock_run(run_id).state in ENDED:
        return False
    RunCase.objects.filter(scoring.not_scored(), pk=case.pk).update(
        result=score.result,
        mask_digest=score.mask_digest,
        evaluation_version=evaluation.VERSION,
        scored_at=clock.now(),
        reason_code="invalid" if score.result["status"] == evaluation.CaseStatus.INVALID else "",
    )
    return True


def advance(run: Run) -> None:
    """What next? Derived from the rows, under the run's lock; asking once too often changes nothing."""
    run.refresh_from_db(from_queryset=with_phase(Run.objects.all(), "submission"))
    if run.state not in ACTIVE_RUN_STATES:
        return
    most = run.submission.limit("max_failures_in_row")
    if planning.longest_streak(run) >= most:
        _fail(run, "failures_in_row", f"{most} {'case' if most == 1 else 'cases'} in a row")
    elif run.cases.filter(outcome="").exists():
        if run.state == RunState.CANARY and planning.canary_passed(run):
            lifecycle.move(run, RunState.RUNNING)
        planning.plan(run)
    elif run.cases.filter(result__isnull=True).exists():
        lifecycle.move(run, RunState.SCORING)
    elif failure_kinds.has_usable_mask(run):
        lifecycle.move(run, RunState.SCORING)
        finish(run)
    else:
        _fail(run, "no_usable_mask", "all cases")


def recheck(run: Run) -> None:
    """Advance a run for which no message came: the sweeper's way in."""
    with transaction.atomic():
        advance(lock_run(run.pk))


def finish(run: Run) -> None:
    """Every case has a score: aggregate, and the run stands on the leaderboard."""
    version = aggregates.aggregate(run)
    lifecycle.move(run, RunState.SCORED, ended_at=clock.now(), evaluation_version=version)
    if run.submission.kind != SubmissionKind.TRY_OUT:  # the first run says by which version the phase is ranked
        Phase.objects.filter(pk=run.submission.phase_id, evaluation_version="").update(evaluation_version=version)
    task_queue.enqueue_board(run.submission.phase_id)
    if run.submission.cases_are_public:
        looks.ask_for_hints(run)


def look_next(*, processes: int) -> None:
    """Look at the masks of the run whose turn it is, whichever a message named; one of all `processes` does so.

    Scores go first: before each case, this process scores whatever waits for it.
    """
    score_first(processes)
    with scheduling.next_look() as run_id:
        if run_id is not None:
            looks.look_at_run(run_id, partial(score_first, processes))
    if run_id is not None:
        looks.ask_for_the_next()


def score_first(processes: int, rest: Callable[[], None] = lambda: None) -> None:
    """Before what can wait, score what nobody is at work on; `rest` gives back the memory of what this interrupts."""
    if scheduling.scores_wait():
        rest()
        while score_next(processes=processes):
            pass


def _fail(run: Run, code: str, which: str) -> None:
    """End the run by the algorithm's fault: it failed on these cases."""
    drop_batches(run)
    kind = failure_kinds.decide(run)
    lifecycle.move(
        run,
        RunState.FAILED,
        why=which,
        reason_code=code,
        reason=f"{reasons.of_failed_run(kind).said}.",
        failure_kind=kind,
        ended_at=clock.now(),
    )
