"""The journey of a submission, top to bottom.

    submit -> validate_image -> start -> claim -> heartbeat -> report -> score_batch -> finish
                                           ^                     |            |
                                           +---- advance: what next? <--------+

Every step takes the row that it is about, looks at the database, does one thing, and rings for the next step after its
commit. Nothing that matters is in a message: `advance()` and the sweeper derive what should happen next from the rows,
so a step that is repeated, or that was lost with a killed process, is harmless.

Blame: what is the team's fault costs a case (failed, missing, invalid) or the run (rejected, failed); what is ours
puts the run aside (halted), is tried again, and is never charged.
"""

import logging
import tempfile
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F

import evaluation
from containers.images import ArchiveLimits, ImageRejected, check_archive
from leaderboard import (
    admission,
    clock,
    dispatch,
    doorbell,
    lifecycle,
    live,
    locks,
    orders,
    planning,
    reasons,
    scoring,
    standings,
    storage,
)
from leaderboard.models import (
    AlgorithmImage,
    Attempt,
    Batch,
    Host,
    Phase,
    Run,
    RunCase,
    Submission,
    Team,
    User,
)
from leaderboard.states import ACTIVE_RUN_STATES, OPEN_BATCH_STATES, BatchState, RunState, SubmissionState
from leaderboard.uploads import Upload

logger = logging.getLogger(__name__)

RETRY_SECONDS = (5, 15, 60, 300)  # after our first, second, ... fault in a row


class Stale(Exception):
    """A host speaks about an attempt that is not (or no longer) its own; `cancelled` says that the run has ended."""

    def __init__(self, *, cancelled: bool) -> None:
        super().__init__("cancelled" if cancelled else "stale")
        self.cancelled = cancelled


# --- a team hands in -------------------------------------------------------------------------------------------------


def submit(
    *,
    user: User | None,
    team: Team,
    phase: Phase,
    upload: Upload,
    track: str,
    algorithm: str,
    method: str,
    external_data: str,
    paper_url: str = "",
    code_url: str = "",
) -> Submission:
    """Accept a submission, or raise admission.Refused. The upload's file is ours from here, whatever the answer."""
    try:
        admission.check_words(algorithm=algorithm, method=method, external_data=external_data, track=track)
        admission.check_upload(upload.size, phase)
        with transaction.atomic():
            team = admission.lock_team(team)
            accepted_at = clock.now()
            admission.check_phase(team, phase, accepted_at)
            submission = Submission.objects.create(
                team=team,
                phase=phase,
                submitted_by=user,
                track=track,
                algorithm=algorithm.strip(),
                method=method.strip(),
                external_data=external_data.strip(),
                paper_url=paper_url,
                code_url=code_url,
                upload=upload.digest,
                upload_name=upload.name,
                upload_bytes=upload.size,
                accepted_at=accepted_at,
                quota_day=accepted_at.date(),
                rung_at=accepted_at,
            )
            doorbell.ring_for_image(submission.pk)
    except admission.Refused:
        forget_upload(upload.digest)
        raise
    return submission


def forget_upload(digest: str) -> None:
    """Delete an uploaded file, unless a submission still needs it: two teams may have sent the same bytes."""
    needed = Submission.objects.filter(
        upload=digest,
        state__in=[SubmissionState.RECEIVED, SubmissionState.VALIDATING, SubmissionState.HALTED],
    )
    if not needed.exists():
        storage.uploads.delete(digest)


def validate_image(submission_id: int) -> None:
    """Check the image archive, rebuild it, and put the submission into the queue; or reject it with the reason."""
    with locks.working_on("image", submission_id) as mine:
        if not mine:
            return
        submission = Submission.objects.select_related("phase").get(pk=submission_id)
        lifecycle.move(submission, SubmissionState.VALIDATING, allowed_from={SubmissionState.RECEIVED})
        if submission.state != SubmissionState.VALIDATING:
            return
        try:
            image = _checked_image(submission)
        except ImageRejected as rejection:
            _reject(submission, rejection)
        except Exception:
            logger.exception("submission %s: the check of its image broke down", submission_id)
            _halt_submission(submission)
        else:
            _accept(submission, image)
        forget_upload(submission.upload)


def _checked_image(submission: Submission) -> AlgorithmImage:
    phase = submission.phase
    bounds = ArchiveLimits(archive_bytes=phase.max_archive_bytes, inflated_bytes=phase.max_unpacked_bytes)
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        rebuilt = Path(folder) / "image.tar"
        checked = check_archive(storage.uploads.path(submission.upload), rebuilt, limits=bounds)
        storage.images.adopt(rebuilt, storage.Blob(checked.blob, checked.size))
    image, _ = AlgorithmImage.objects.get_or_create(
        image_id=checked.image_id,
        defaults={
            "archive": checked.blob,
            "archive_bytes": checked.size,
            "unpacked_bytes": checked.uncompressed_bytes,
            "layers": checked.layers,
            "warnings": list(checked.warnings),
            "config": checked.config,
        },
    )
    return image


@transaction.atomic
def _accept(submission: Submission, image: AlgorithmImage) -> None:
    if lifecycle.move(
        submission,
        SubmissionState.ACCEPTED,
        allowed_from={SubmissionState.VALIDATING},
        image=image,
        failures=0,
    ):
        planning.new_run(submission)
        transaction.on_commit(fill_slots)


def _reject(submission: Submission, rejection: ImageRejected) -> None:
    lifecycle.move(
        submission,
        SubmissionState.REJECTED,
        allowed_from={SubmissionState.VALIDATING},
        why=rejection.code,
        reason_code=rejection.code[:40],
        reason=str(rejection),
        charged=False,
    )


def _halt_submission(submission: Submission) -> None:
    failures = submission.failures + 1
    lifecycle.move(
        submission,
        SubmissionState.HALTED,
        allowed_from={SubmissionState.VALIDATING},
        failures=failures,
        retry_at=clock.now() + _pause(failures),
        charged=False,
    )


def retry_image(submission: Submission) -> None:
    """Try once more to check an image; the earlier failure was ours."""
    with transaction.atomic():
        if lifecycle.move(
            submission,
            SubmissionState.VALIDATING,
            allowed_from={SubmissionState.HALTED},
            charged=True,
            retry_at=None,
            rung_at=clock.now(),
        ):
            doorbell.ring_for_image(submission.pk)


# --- a slot is free --------------------------------------------------------------------------------------------------


def fill_slots() -> None:
    """Give free slots to waiting batches and queued runs."""
    dispatch.fill_slots(_start)


def _start(run: Run) -> Batch | None:
    """Begin a queued run, or go on with one that was halted; its first waiting batch."""
    run = _lock_run(run.pk)
    state = RunState.RUNNING if planning.canary_passed(run) else RunState.CANARY
    began = run.started_at or clock.now()
    if not lifecycle.move(run, state, allowed_from={RunState.QUEUED}, started_at=began, reason_code="", reason=""):
        return None
    waiting = planning.plan(run)
    if not waiting:
        advance(run)
    return waiting[0] if waiting else None


def claim(host: Host, batch_id: uuid.UUID, *, key: uuid.UUID, slot: str) -> dict[str, Any]:
    """Lease a batch to a host and return the order. The same key gets the same order again: an answer may get lost."""
    with transaction.atomic():
        batch = _lock_batch(batch_id)
        current = batch.attempts.filter(fence=batch.fence).first()
        if batch.state == BatchState.LEASED and current and current.key == key and current.host_id == host.pk:
            return orders.order(batch)
        if batch.state != BatchState.WAITING or batch.run.state not in dispatch.RUNNABLE:
            raise Stale(cancelled=batch.state == BatchState.DROPPED)
        if _gpus_of(host, slot) < batch.run.submission.phase.gpus:
            raise Stale(cancelled=False)
        at = clock.now()
        lifecycle.move(
            batch,
            BatchState.LEASED,
            by=host.name,
            host=host,
            fence=batch.fence + 1,
            lease_until=at + _lease(),
            done=0,
        )
        Attempt.objects.create(batch=batch, fence=batch.fence, host=host, key=key, slot=slot[:60], claimed_at=at)
        return orders.order(batch)


def _gpus_of(host: Host, name: str) -> int:
    slot = next((slot for slot in host.slots if slot.get("name") == name), None)
    if slot is None:
        raise Stale(cancelled=False)
    return len(slot.get("gpus", []))


def heartbeat(host: Host, batch_id: uuid.UUID, *, fence: int, done: int) -> None:
    """Renew a lease and note the progress. Raises Stale when the host should stop its container."""
    with transaction.atomic():
        batch = _held_batch(host, batch_id, fence)
        progressed = done > batch.done
        batch.done = max(batch.done, done)
        batch.lease_until = clock.now() + _lease()
        batch.save(update_fields=["done", "lease_until"])
        if progressed:
            live.announce(batch.run.submission_id)


def check_lease(host: Host, batch_id: uuid.UUID, *, fence: int) -> Batch:
    """The batch, if this attempt of the host still holds it; Stale otherwise."""
    with transaction.atomic():
        return _held_batch(host, batch_id, fence)


def report(host: Host, batch_id: uuid.UUID, answer: orders.Report) -> None:
    """Take over what a host says about a batch: decided cases, and whose fault the rest is. Raises Stale, BadReport."""
    with transaction.atomic():
        batch = _held_batch(host, batch_id, answer.fence)
        run = batch.run
        at = clock.now()
        batch.attempts.filter(fence=batch.fence).update(
            ended_at=at, fault=answer.fault, detail=answer.detail, container=answer.container, log=answer.log
        )
        decided = _decide_cases(batch, answer)
        undecided = batch.cases.filter(outcome="")
        if answer.fault:
            undecided.update(tries=F("tries") + 1)
            _halt(run, answer.fault)
        if decided:
            undecided.update(batch=None)
            lifecycle.move(batch, BatchState.REPORTED, by=host.name, lease_until=None, rung_at=at)
            doorbell.ring_for_scores(batch.pk)
        else:
            lifecycle.move(batch, BatchState.WAITING, by=host.name, why=answer.fault, rung_at=None)
        if decided and not answer.fault:
            Run.objects.filter(pk=run.pk).update(faults=0)
        advance(run)
        transaction.on_commit(fill_slots)


def _decide_cases(batch: Batch, answer: orders.Report) -> int:
    """Write down what the report says of each case that is still open; how many are decided now."""
    open_cases = {case.file_name: case for case in batch.cases.filter(outcome="").select_related("case")}
    unclean_canary = batch.is_canary and answer.exit_code not in (0, None)
    decided = 0
    for said in answer.cases:
        case = open_cases.pop(said.name, None)
        if case is None:
            raise orders.BadReport(f"{said.name!r} is not an open case of this batch")
        if said.outcome == "untouched":
            continue
        if said.outcome == "finished" and not unclean_canary:
            if not storage.outputs.exists(said.output):
                raise orders.BadReport(f"the mask of {said.name} was not uploaded")
            case.outcome, case.output, case.output_bytes = said.outcome, said.output, said.output_bytes
        else:
            # A canary's gate is a clean exit as well: a mask from a program that then crashed does not pass it.
            case.outcome = RunCase.Outcome.MISSING if said.outcome == "missing" else RunCase.Outcome.FAILED
            case.reason_code = said.reason_code or "crashed"
            case.result = scoring.lost(case, case.outcome, reasons.FAILURES[case.reason_code].title)
            case.scored_at = clock.now()
        case.seconds, case.decided_at = said.seconds, clock.now()
        case.tries += 1
        case.save()
        decided += 1
    return decided


# --- masks become numbers --------------------------------------------------------------------------------------------


def score_batch(batch_id: uuid.UUID) -> None:
    """Score the masks of a reported batch, each exactly once, and see what comes next."""
    with locks.working_on("scores", batch_id) as mine:
        batch = Batch.objects.select_related("run__submission").get(pk=batch_id)
        if not mine or batch.state != BatchState.REPORTED:
            return
        for case, result in scoring.score(scoring.unscored(batch)):
            RunCase.objects.filter(pk=case.pk, result__isnull=True).update(
                result=result,
                scored_at=clock.now(),
                reason_code="invalid" if result["status"] == "invalid" else "",
            )
        with transaction.atomic():
            run = _lock_run(batch.run_id)
            lifecycle.move(batch, BatchState.SCORED, allowed_from={BatchState.REPORTED})
            advance(run)
        fill_slots()


def advance(run: Run) -> None:
    """What next? Derived from the rows, under the run's lock; asking once too often changes nothing."""
    run.refresh_from_db()
    if run.state not in ACTIVE_RUN_STATES:
        return
    phase = run.submission.phase
    if planning.longest_streak(run) >= phase.max_failures_in_row:
        _fail(run, phase)
    elif run.cases.filter(outcome="").exists():
        if run.state == RunState.CANARY and planning.canary_passed(run):
            lifecycle.move(run, RunState.RUNNING)
        planning.plan(run)
    else:
        lifecycle.move(run, RunState.SCORING)
        if not run.cases.filter(result__isnull=True).exists():
            finish(run)


def look_after(run_id: int) -> None:
    """Advance a run for which no message came: the sweeper's way in."""
    with transaction.atomic():
        advance(_lock_run(run_id))


def finish(run: Run) -> None:
    """Every case has a score: aggregate, and the run stands on the leaderboard."""
    standings.record(run)
    lifecycle.move(run, RunState.SCORED, ended_at=clock.now(), evaluation_version=evaluation.VERSION)


def _fail(run: Run, phase: Phase) -> None:
    why = reasons.FAILURES["failures_in_row"]
    _drop_batches(run)
    lifecycle.move(
        run,
        RunState.FAILED,
        why=f"{phase.max_failures_in_row} cases in a row",
        reason_code="failures_in_row",
        reason=f"{why.title}: {phase.max_failures_in_row}.",
        ended_at=clock.now(),
    )


# --- our faults, and decisions of people -----------------------------------------------------------------------------


def lose_lease(batch_id: uuid.UUID) -> None:
    """A host went silent: its attempt is over, the batch waits for another, and what it had uploaded is kept."""
    with transaction.atomic():
        batch = _lock_batch(batch_id)
        if batch.state != BatchState.LEASED or batch.lease_until is None or batch.lease_until > clock.now():
            return
        batch.attempts.filter(fence=batch.fence).update(ended_at=clock.now(), fault="host_lost")
        batch.cases.filter(outcome="").update(tries=F("tries") + 1)
        lifecycle.move(batch, BatchState.WAITING, why="host_lost", rung_at=None, done=0)
        _halt(batch.run, "host_lost")


def _halt(run: Run, fault: str) -> None:
    """Put the run aside for a while: our fault, growing pauses, nothing charged."""
    faults = run.faults + 1
    why = reasons.INTERRUPTED if faults < settings.MAX_FAULTS else reasons.NEEDS_ORGANISERS
    lifecycle.move(
        run,
        RunState.HALTED,
        allowed_from={RunState.CANARY, RunState.RUNNING, RunState.QUEUED},
        why=fault,
        faults=faults,
        retry_at=clock.now() + _pause(faults),
        reason_code=fault,
        reason=f"{why.title}. {why.means}",
    )
    Submission.objects.filter(pk=run.submission_id).update(charged=False)
    if faults >= settings.MAX_FAULTS:
        logger.error("run %s was interrupted %s times in a row by our fault (%s)", run.pk, faults, fault)


def resume(run: Run) -> None:
    """Let a halted run take its place in the queue again; it goes on at the case where it stopped."""
    with transaction.atomic():
        if lifecycle.move(run, RunState.QUEUED, allowed_from={RunState.HALTED}, retry_at=None):
            Submission.objects.filter(pk=run.submission_id).update(charged=True)
            transaction.on_commit(fill_slots)


def cancel(submission: Submission, *, by: User | None) -> bool:
    """End a submission by somebody's decision. It is not charged when no container had started. Raises Refused."""
    admission.check_cancel(submission)
    name = str(by) if by else lifecycle.SERVER
    with transaction.atomic():
        run = submission.runs.last()
        if run is None:
            transaction.on_commit(lambda: forget_upload(submission.upload))
            return lifecycle.move(submission, SubmissionState.CANCELLED, by=name, charged=False)
        run = _lock_run(run.pk)
        started = Attempt.objects.filter(batch__run=run).exists()
        _drop_batches(run)
        Submission.objects.filter(pk=submission.pk).update(charged=started)
        cancelled = lifecycle.move(run, RunState.CANCELLED, by=name, ended_at=clock.now())
        transaction.on_commit(fill_slots)
        return cancelled


def run_again(submission: Submission, *, by: User) -> Run:
    """A new run of an accepted submission, by an organiser's decision. The old runs stay readable."""
    with transaction.atomic():
        Submission.objects.select_for_update().get(pk=submission.pk)
        if submission.state != SubmissionState.ACCEPTED or submission.runs.filter(ended_at=None).exists():
            raise admission.Refused("Only a submission whose last run has ended can be run again.")
        run = planning.new_run(submission)
        logger.info("%s runs submission %s again", by, submission.pk)
        transaction.on_commit(fill_slots)
        return run


def disqualify(submission: Submission, reason: str) -> None:
    """Take a submission off the board with a reason, or put it back with an empty one. An organiser's decision."""
    submission.disqualified_reason = reason.strip()
    submission.disqualified_at = clock.now() if submission.disqualified_reason else None
    submission.save(update_fields=["disqualified_reason", "disqualified_at"])


def _drop_batches(run: Run) -> None:
    for batch in run.batches.filter(state__in=OPEN_BATCH_STATES):
        lifecycle.move(batch, BatchState.DROPPED)


# --- rows ------------------------------------------------------------------------------------------------------------


def _lock_run(run_id: int) -> Run:
    """The run, locked: whatever concerns its cases and batches follows one after the other."""
    Run.objects.select_for_update().only("pk").get(pk=run_id)
    return Run.objects.select_related("submission__phase").get(pk=run_id)


def _lock_batch(batch_id: uuid.UUID) -> Batch:
    """The batch, with its run locked first: always in this order."""
    run_id = Batch.objects.values_list("run_id", flat=True).filter(pk=batch_id).first()
    if run_id is None:
        raise Stale(cancelled=False)
    run = _lock_run(run_id)
    batch = Batch.objects.get(pk=batch_id)
    batch.run = run
    return batch


def _held_batch(host: Host, batch_id: uuid.UUID, fence: int) -> Batch:
    batch = _lock_batch(batch_id)
    if batch.state != BatchState.LEASED or batch.host_id != host.pk or batch.fence != fence:
        raise Stale(cancelled=batch.state == BatchState.DROPPED)
    return batch


def _lease() -> timedelta:
    return timedelta(seconds=settings.LEASE_SECONDS)


def _pause(faults: int) -> timedelta:
    return timedelta(seconds=RETRY_SECONDS[min(faults, len(RETRY_SECONDS)) - 1])
