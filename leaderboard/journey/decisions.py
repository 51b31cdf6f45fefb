"""What people decide: cancel a submission, run it again, let it go on, disqualify it; archive a phase."""

from django.db import transaction

from leaderboard.core import clock
from leaderboard.journey import faults, lifecycle, planning
from leaderboard.journey.locking import drop_batches, lock_run
from leaderboard.journey.pipeline import fill_slots
from leaderboard.models import Attempt, Phase, Run, Submission, User
from leaderboard.states import ENDED, RunState, SubmissionState
from leaderboard.submissions import admission, uploads


def cancel(submission: Submission, *, by: User | None) -> None:
    """End a submission by somebody's decision. It is not charged when no container had started. Raises Refused."""
    name = lifecycle.signature(by)
    if not _cancel_before_its_run(submission, name):
        _cancel_run(submission, name)


@transaction.atomic
def _cancel_before_its_run(submission: Submission, name: str) -> bool:
    """End a submission whose image is not accepted yet. False when it has a run."""
    submission = Submission.objects.select_for_update().get(pk=submission.pk)
    if submission.runs.exists():
        return False
    admission.check_cancel(submission.state)
    lifecycle.move(submission, SubmissionState.CANCELLED, by=name, charged=False)
    transaction.on_commit(lambda: uploads.forget(submission.upload_file))
    return True


@transaction.atomic
def _cancel_run(submission: Submission, name: str) -> None:
    """End the latest run. Its row is locked before the submission's: a host may be reporting on it at this moment."""
    run = lock_run(submission.runs.order_by("-number")[0].pk)
    admission.check_cancel(run.state)
    drop_batches(run)
    lifecycle.move(run, RunState.CANCELLED, by=name, ended_at=clock.now())
    if not Attempt.objects.filter(batch__run__submission=submission).exists():
        Submission.objects.filter(pk=submission.pk).update(charged=False)
    transaction.on_commit(fill_slots)


def run_again(submission: Submission, *, by: User) -> Run:
    """A new run of an accepted submission, by an organiser's decision. The old runs stay readable."""
    with transaction.atomic():
        phase = _lock_phase(submission.phase_id)
        if phase.archived_at:
            raise admission.Refused(
                f"The {phase.name} is archived: its images are gone, so nothing of it can run again."
            )
        submission = Submission.objects.select_for_update().get(pk=submission.pk)
        if submission.state != SubmissionState.ACCEPTED or submission.runs.filter(ended_at=None).exists():
            raise admission.Refused("Only a submission whose last run has ended can be run again.")
        run = planning.new_run(submission, by=lifecycle.signature(by))
        transaction.on_commit(fill_slots)
        return run


def go_on(submission: Submission, *, by: User) -> None:
    """Try again what was interrupted so often that people had to look. Raises Refused when nothing is."""
    run = submission.latest_run
    if submission.stage not in {SubmissionState.HALTED, RunState.HALTED}:
        raise admission.Refused("Only what is interrupted can go on.")
    if run is None:
        Submission.objects.filter(pk=submission.pk).update(failures=0)
        faults.retry_image(submission)
    else:
        Run.objects.filter(pk=run.pk).update(faults=0)
        faults.resume(run, by=lifecycle.signature(by))
        fill_slots()


def disqualify(submission: Submission, reason: str) -> None:
    """Take a submission off the board with a reason, or put it back with an empty one. An organiser's decision."""
    submission.disqualified_reason = reason.strip()
    submission.disqualified_at = clock.now() if submission.disqualified_reason else None
    submission.save(update_fields=["disqualified_reason", "disqualified_at"])


def archive(phase: Phase) -> None:
    """Let go of a phase's masks and images; scores, pages and rows stay. There is no way back. Raises Refused.

    Only when nothing of it can come any more: the phase is closed and every run has ended.
    """
    with transaction.atomic():
        phase = _lock_phase(phase.pk)
        if phase.archived_at:
            raise admission.Refused(f"The {phase.name} is archived already.")
        if clock.now() < phase.closes_at:
            raise admission.Refused(f"The {phase.name} is still open. Archive it after it closed.")
        submissions = phase.submissions.prefetch_related("runs")
        if any(submission.stage not in ENDED for submission in submissions):
            raise admission.Refused(f"The {phase.name} has runs that have not ended. Let them end, or cancel them.")
        phase.archived_at = clock.now()
        phase.save(update_fields=["archived_at"])


def _lock_phase(phase_id: int) -> Phase:
    """The phase, locked against a re-run and an archiving at the same moment; submissions may go on coming in."""
    return Phase.objects.select_for_update(no_key=True).get(pk=phase_id)
