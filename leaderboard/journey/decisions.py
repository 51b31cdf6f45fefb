"""What people decide about submissions: cancel, run again, resume, withdraw, disqualify; and to archive a phase.

What organisers decide about a run leaves a row that its team reads, and is told by mail (journey.decided). Each
decision is recorded (core.audit) in the transaction that carries it out. Decisions about hosts are in hosts.registry,
about teams in people.teams, about a phase's policies in challenge.phases; archiving a phase is here because it looks
at its runs, disqualifying a team because it does that to its runs.
"""

from django.db import transaction
from django.db.models import Q, QuerySet

from leaderboard.challenge.phases import check_archive, lock_phase
from leaderboard.core import audit, clock, events, task_queue
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.journey import decided, faults, lifecycle, planning
from leaderboard.journey.handed_in import score_masks
from leaderboard.journey.locking import drop_batches, lock_run
from leaderboard.journey.pipeline import fill_slots
from leaderboard.models import (
    Attempt,
    Phase,
    Rescoring,
    Run,
    RunCase,
    RunDecision,
    Submission,
    Team,
    TeamDisqualification,
)
from leaderboard.people.team_locks import lock_team
from leaderboard.states import ENDED, RunState, SubmissionState
from leaderboard.submissions import admission, disqualified_teams, uploads

WITHDRAW, BRING_BACK = "withdraw", "bring back"
AS_ORGANISER = " as organiser"
"""The actions of withdrawals in the record, and how those of organisers end."""


def cancel(submission: Submission, *, by: Actor) -> None:
    """End a submission by its team's decision, as long as that cannot change which run counts. Raises Refused."""
    phase = Phase.objects.get(pk=submission.phase_id)  # as it is now
    admission.check_cancel_by_team(submission, phase, clock.now())
    _cancel(submission, by, "", as_organiser=False)


def cancel_for_team(submission: Submission, *, by: Actor, why: str = "") -> None:
    """End a submission as an organiser. It is not charged when no container had started. Raises Refused."""
    _cancel(submission, by, why, as_organiser=True)


def _cancel(submission: Submission, by: Actor, why: str, *, as_organiser: bool) -> None:
    """In one of two ways, which take the locks of its rows in different orders: none is taken to see which."""
    if submission.runs.exists() or not _cancel_before_its_run(submission, by, why, as_organiser):
        _cancel_run(submission, by, why, as_organiser)


@transaction.atomic
def _cancel_before_its_run(submission: Submission, by: Actor, why: str, as_organiser: bool) -> bool:
    """End a submission whose image is not accepted yet. False when it has a run."""
    submission = Submission.objects.select_for_update().get(pk=submission.pk)
    if submission.runs.exists():
        return False
    admission.check_cancel(submission.state)
    before = submission.state
    lifecycle.move(submission, SubmissionState.CANCELLED, by=lifecycle.display_name(by.user), charged=False)
    _record(by, "cancel", submission, before, why)
    if as_organiser:
        decided.note(submission, RunDecision.Kind.CANCELLED, why)
    transaction.on_commit(lambda: uploads.delete_all_of(submission))
    return True


@transaction.atomic
def _cancel_run(submission: Submission, by: Actor, why: str, as_organiser: bool) -> None:
    """End the latest run. Its row is locked before the submission's: a host may be reporting on it at this moment."""
    run = lock_run(submission.runs.order_by("-number")[0].pk)
    admission.check_cancel(run.state)
    before = run.state
    drop_batches(run)
    lifecycle.move(run, RunState.CANCELLED, by=lifecycle.display_name(by.user), ended_at=clock.now())
    if not _took_something(submission):
        Submission.objects.filter(pk=submission.pk).update(charged=False)
    _record(by, "cancel", run.submission, before, why)
    if as_organiser:
        decided.note(run.submission, RunDecision.Kind.CANCELLED, why)
    transaction.on_commit(fill_slots)


def _took_something(submission: Submission) -> bool:
    """Whether a container of it had started, or a mask that was handed in was scored."""
    containers = Attempt.objects.filter(batch__run__submission=submission)
    scores = RunCase.objects.filter(run__submission=submission, result__isnull=False)
    return containers.exists() or scores.exists()


def run_again(submission: Submission, *, by: Actor, why: str = "") -> Run:
    """A new run of an accepted submission, by an organiser's decision. The old runs stay readable. Raises Refused."""
    with transaction.atomic():
        phase = lock_phase(submission.phase_id)
        if phase.archived_at:
            raise Refused(f"The {phase.name} is archived: its images are gone, so nothing of it can run again.")
        submission = Submission.objects.select_for_update().get(pk=submission.pk)
        if submission.state != SubmissionState.ACCEPTED or submission.runs.filter(ended_at=None).exists():
            raise Refused("Only a submission whose last run has ended can be run again.")
        before = submission.stage
        name = lifecycle.display_name(by.user)
        if submission.is_of_masks:
            run = score_masks(submission, planning.masks_of(submission), by=name)
        else:
            run = planning.new_run(submission, by=name)
        _record(by, "run again", submission, before, why)
        decided.note(submission, RunDecision.Kind.RUN_AGAIN, why)
        transaction.on_commit(fill_slots)
        return run


@transaction.atomic
def give_back(submission: Submission, *, by: Actor, why: str) -> None:
    """Take a run out of what its team has used, as if it had not been handed in. Raises Refused."""
    if not why.strip():
        raise Refused("Say why: the team reads the reason.")
    row = Submission.objects.select_for_update(no_key=True).get(pk=submission.pk)
    if not row.charged:
        raise Refused("It is not charged: there is nothing to give back.")
    row.charged = False
    row.save(update_fields=["charged"])
    audit.record(by, "give back", row, before={"charged": True}, after={"charged": False}, why=why)
    decided.note(row, RunDecision.Kind.GIVEN_BACK, why)
    events.announce(row.pk)
    submission.refresh_from_db(fields=["charged"])


@transaction.atomic
def resume(submission: Submission, *, by: Actor, why: str = "") -> None:
    """Try again what was interrupted so often that people had to look. Raises Refused when nothing is interrupted."""
    run = submission.runs.order_by("-number").first()
    if run is None:
        resumed = faults.retry_image(submission, by=lifecycle.display_name(by.user))
        Submission.objects.filter(pk=submission.pk).update(failures=0)
    else:
        resumed = faults.resume(run, by=lifecycle.display_name(by.user))
        Run.objects.filter(pk=run.pk).update(faults=0)
    if not resumed:
        raise Refused("Only what is interrupted can go on.")  # and nothing was changed: the transaction ends here
    transaction.on_commit(fill_slots)
    _record(by, "resume", submission, SubmissionState.HALTED, why)


def disqualify(submission: Submission, *, by: Actor, why: str) -> None:
    """Take a submission off the board, with the reason that its team reads. Raises Refused without one."""
    if not why.strip():
        raise Refused("Say why: the team reads the reason.")
    _set_disqualification(submission, "disqualify", reason=why.strip(), by=by, why=why)


def reinstate(submission: Submission, *, by: Actor, why: str = "") -> None:
    """Put a disqualified submission back on the board; its page and the record keep the reason that it had.

    Raises Refused while its whole team is disqualified in the phase.
    """
    if disqualified_teams.current(submission.team_id, submission.phase_id):
        raise Refused("Its whole team is disqualified in this phase. Reinstate the team.")
    _set_disqualification(submission, "reinstate", reason="", by=by, why=why)


def disqualify_team(team: Team, *, phase: Phase, by: Actor, why: str) -> None:
    """Take a team out of a phase, with all its runs there; it hands in nothing new. It reads the reason.

    Its runs that were disqualified before keep their own reason, and stay so when the team is reinstated. What is at
    work goes on: scores of disqualified runs are kept. Raises Refused.
    """
    reason = why.strip()
    if not reason:
        raise Refused("Say why: the team reads the reason.")
    with transaction.atomic():
        team = lock_team(team)  # what is being handed in waits for this, or is among its runs
        if disqualified_teams.current(team.pk, phase.pk):
            raise Refused(f"The team “{team}” is disqualified in the {phase.name} already.")
        row = TeamDisqualification.objects.create(team=team, phase=phase, reason=reason, at=clock.now())
        after = {"phase": phase.slug, "disqualified_reason": reason}
        audit.record(by, "disqualify team", team, before={"phase": phase.slug}, after=after, why=why)
        for one in _runs_of(team, phase).filter(disqualified_at=None):
            _set_disqualification(one, "disqualify", reason=reason, by=by, why=why, of_team=row)


def reinstate_team(team: Team, *, phase: Phase, by: Actor, why: str = "") -> None:
    """Let a team take part in a phase again, with the runs that were disqualified with it. Raises Refused."""
    with transaction.atomic():
        team = lock_team(team)
        row = disqualified_teams.current(team.pk, phase.pk)
        if row is None:
            raise Refused(f"The team “{team}” is not disqualified in the {phase.name}.")
        row.ended_at, row.end_reason = clock.now(), why.strip()
        row.save(update_fields=["ended_at", "end_reason"])
        before = {"phase": phase.slug, "disqualified_reason": row.reason}
        audit.record(by, "reinstate team", team, before=before, after={"phase": phase.slug}, why=why)
        for one in _runs_of(team, phase).exclude(disqualified_at=None):
            if decided.is_out_with(one, row):
                _set_disqualification(one, "reinstate", reason="", by=by, why=why, of_team=row)


def _runs_of(team: Team, phase: Phase) -> QuerySet[Submission]:
    rows: QuerySet[Submission] = phase.submissions.filter(team=team).order_by("pk")
    return rows.defer("method", "external_data")


@transaction.atomic
def _set_disqualification(
    submission: Submission,
    action: str,
    *,
    reason: str,
    by: Actor,
    why: str,
    of_team: TeamDisqualification | None = None,
) -> None:
    fields = ("disqualified_reason", "disqualified_at")
    row = Submission.objects.select_for_update().get(pk=submission.pk)
    if row.disqualified_reason == reason:
        return
    before = audit.state_of(row, fields)
    row.disqualified_reason, row.disqualified_at = reason, clock.now() if reason else None
    row.save(update_fields=fields)
    audit.record(by, action, row, before=before, after=audit.state_of(row, fields), why=why)
    kind = RunDecision.Kind.DISQUALIFIED if reason else RunDecision.Kind.REINSTATED
    decided.note(row, kind, why, of_team=of_team)
    events.announce(row.pk)
    task_queue.enqueue_board(row.phase_id)
    submission.refresh_from_db(fields=fields)


def withdraw(submission: Submission, *, by: Actor) -> None:
    """Let a run not count, by its team's decision until the deadline; it goes on, and its place in the quota is used.

    Raises Refused.
    """
    _set_withdrawal(submission, WITHDRAW, by=by)


def bring_back(submission: Submission, *, by: Actor) -> None:
    """Let a withdrawn run count again, by its team's decision until the deadline. Raises Refused."""
    _set_withdrawal(submission, BRING_BACK, by=by)


def withdraw_for_team(submission: Submission, *, by: Actor, why: str) -> None:
    """Withdraw a run as an organiser, at any time, with a reason. Raises Refused without one."""
    _set_withdrawal(submission, WITHDRAW, by=by, as_organiser=True, why=why)


def bring_back_for_team(submission: Submission, *, by: Actor, why: str) -> None:
    """Bring a withdrawn run back as an organiser, at any time, with a reason. Raises Refused without one."""
    _set_withdrawal(submission, BRING_BACK, by=by, as_organiser=True, why=why)


@transaction.atomic
def _set_withdrawal(
    submission: Submission, action: str, *, by: Actor, as_organiser: bool = False, why: str = ""
) -> None:
    """Of two who decide at once the later one is right; whoever decides what is so already changes nothing."""
    row = Submission.objects.select_for_update(no_key=True).get(pk=submission.pk)
    phase, at = Phase.objects.get(pk=row.phase_id), clock.now()  # both as they are now that nobody else can decide
    if as_organiser and not why.strip():
        raise Refused("Say why: it is kept in the record.")
    if as_organiser:
        admission.check_counts_or_is_shown(row)
        _check_boards_change(phase)
    else:
        admission.check_withdrawal(row, phase, at)
    if (row.withdrawn_at is None) == (action == WITHDRAW):
        fields = ("withdrawn_at", "brought_back_at")
        before = audit.state_of(row, fields)
        row.withdrawn_at, row.brought_back_at = (at, None) if action == WITHDRAW else (None, at)
        row.save(update_fields=fields)
        recorded = f"{action}{AS_ORGANISER}" if as_organiser else action
        audit.record(by, recorded, row, before=before, after=audit.state_of(row, fields), why=why)
        events.announce(row.pk)
        task_queue.enqueue_board(row.phase_id)
    submission.refresh_from_db(fields=["withdrawn_at", "brought_back_at"])


def _check_boards_change(phase: Phase) -> None:
    if phase.archived_at:
        raise Refused(f"The {phase.name} is archived: its boards stay as they are, so nothing would come of it.")


def archive(phase: Phase, *, by: Actor, why: str = "") -> None:
    """Let go of a phase's masks, images and weights; scores, pages and rows stay. There is no way back. Raises Refused.

    Only when nothing of it can come any more: the phase is closed and every run has ended.
    """
    with transaction.atomic():
        phase = lock_phase(phase.pk)
        if phase.archived_at:
            raise Refused(f"The {phase.name} is archived already.")
        if clock.now() < phase.closes_at:
            raise Refused(f"The {phase.name} is still open. Archive it after it closed.")
        check_archive(phase, clock.now())
        submissions = phase.submissions.prefetch_related("runs")
        if any(submission.stage not in ENDED for submission in submissions):
            raise Refused(f"The {phase.name} has runs that have not ended. Let them end, or cancel them.")
        late = Q(state=Rescoring.State.APPLIED, runs__applied_at=None, runs__masks_missing=0, runs__isnull=False)
        if phase.rescorings.filter(Q(state=Rescoring.State.UNDECIDED) | late).exists():
            raise Refused(
                f"Runs of the {phase.name} are being scored anew from their masks. Apply or discard that, or wait for "
                "its last ones."
            )
        phase.archived_at = clock.now()
        phase.save(update_fields=["archived_at"])
        audit.record(
            by, "archive", phase, before={"archived_at": None}, after={"archived_at": phase.archived_at}, why=why
        )


def _record(by: Actor, action: str, submission: Submission, before: str, why: str) -> None:
    """Write down a decision that moved a submission or its run."""
    after = Submission.objects.get(pk=submission.pk).stage
    audit.record(by, action, submission, before={"state": before}, after={"state": after}, why=why)
