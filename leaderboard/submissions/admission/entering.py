"""Who may hand in what at which instant, and how often; cancelling and withdrawing likewise."""

from datetime import datetime

from leaderboard.challenge import phases
from leaderboard.core.refusal import Refused
from leaderboard.core.text import instant
from leaderboard.models import Phase, Submission, Team, User
from leaderboard.people import addresses, approvals
from leaderboard.people.rules import has_accepted_rules
from leaderboard.states import ENDED, SubmissionKind
from leaderboard.submissions import disqualified_teams, tried_out
from leaderboard.submissions.admission.files import check_disk_space
from leaderboard.submissions.quota import Quota, quota_of, refused_per_day, refused_today


def check_open_for(user: User, phase: Phase, at: datetime) -> Team:
    """The team for which `user` may submit to `phase` at this instant; Refused with what to do first otherwise."""
    team = user.team
    if team is None:
        raise Refused("Found a team, or join one by its captain's link, before you submit.")
    addresses.check_confirmed(user, "submit")
    if not has_accepted_rules(user):
        raise Refused("Read and accept the rules before you submit.")
    check_takes(team, phase, at)
    check_disk_space()
    return team


def check_approved(team: Team, phase: Phase) -> None:
    """Refuse what a team hands in before organisers have approved it, where the phase asks for that.

    Drafts, with their files, may be prepared meanwhile: this is asked when something is handed in.
    """
    if why_not := why_not_approved(team, phase):
        raise Refused(why_not)


def why_not_approved(team: Team, phase: Phase) -> str:
    """The sentence of that refusal, for the pages on which drafts are prepared; empty where there is none."""
    return approvals.refusal(phase, approvals.of(team, phase) if phase.requires_approval else None)


def check_takes(team: Team, phase: Phase, at: datetime) -> None:
    """Refuse when the team can hand in nothing of any kind in the phase at this instant."""
    try:
        check_phase(team, phase, at, entry_kind(phase, at))
    except Refused:
        if not phases.offers_try_outs(phase):
            raise
        try:
            check_phase(team, phase, at, SubmissionKind.TRY_OUT)
        except Refused:
            pass
        else:
            return
        raise


def entry_kind(phase: Phase, at: datetime) -> SubmissionKind:
    """What is handed in at this instant to be scored: a run, or after the deadline, where that is open, another one."""
    return SubmissionKind.POST_CHALLENGE if phases.takes_post_challenge(phase, at) else SubmissionKind.SCORED


def check_phase(team: Team, phase: Phase, at: datetime, kind: str = SubmissionKind.SCORED) -> None:
    """Refuse when the phase takes none of this kind at this instant, or the team has none left in it."""
    _check_is_taken(phase, at, kind)
    disqualified_teams.check(team, phase)
    used = quota_of(team, phase, at, kind)
    if used.total_used >= used.total_limit:
        raise Refused(f"Your team has used all of its {_runs(kind, used.total_limit)} in the {phase.name}.")
    if used.today_used >= used.today_limit:
        raise Refused(f"Your team has used its {_runs(kind, used.today_limit)} of today. {_next_day(phase, used)}")
    _check_refused_today(team, phase, at, used)


def _check_is_taken(phase: Phase, at: datetime, kind: str) -> None:
    if kind not in SubmissionKind.values:
        raise Refused("Choose whether it is to be scored or tried out.")
    if phase.is_draft:
        raise Refused(f"The {phase.name} is a draft of the organisers, and takes nothing until it is published.")
    if kind == SubmissionKind.TRY_OUT and not phases.offers_try_outs(phase):
        raise Refused(f"The {phase.name} has no try-outs.")
    if at < phase.opens_at:
        raise Refused(f"The {phase.name} opens on {instant(phase.opens_at)}.")
    if phases.takes_post_challenge(phase, at):
        if kind == SubmissionKind.SCORED:
            raise Refused(
                f"The {phase.name} closed on {instant(phase.closes_at)}. Post-challenge runs are taken, which are "
                "scored and never ranked: choose that, if you like."
            )
    elif at >= phase.closes_at or phase.archived_at:
        more = " It takes no post-challenge runs now." if kind == SubmissionKind.POST_CHALLENGE else ""
        raise Refused(f"The {phase.name} closed on {instant(phase.closes_at)}.{more}")
    elif kind == SubmissionKind.POST_CHALLENGE:
        raise Refused(f"The {phase.name} is open until {instant(phase.closes_at)}: submit a run that counts.")


def _check_refused_today(team: Team, phase: Phase, at: datetime, used: Quota) -> None:
    most = refused_per_day(phase, used.kind)
    if refused_today(team, phase, at, used.kind) >= most:
        raise Refused(
            f"{most} uploads of your team came to nothing today: rejected, or cancelled before their first container. "
            f"{_next_day(phase, used)}"
        )


def check_tried_out(submission: Submission) -> None:
    """Refuse a run whose image, with its weights, has not passed a try-out where the phase asks for one."""
    if not submission.is_scored or submission.is_of_masks:
        return
    phase, at = submission.phase, submission.accepted_at
    if phases.requires_try_out(phase, at) and not tried_out.has_passed(submission):
        raise Refused(
            f"Since {instant(phase.try_out_required_from or at)} a run in the {phase.name} needs a passed try-out of "
            "the same image and weights. Try it out first: it has passed when no case failed, and becomes a run at a "
            "press."
        )


def check_cancel(state: str) -> None:
    """Refuse to cancel what has ended."""
    if state in ENDED:
        raise Refused("This run has ended; there is nothing to cancel.")


def check_cancel_by_team(submission: Submission, phase: Phase, at: datetime) -> None:
    """Refuse a team to cancel what may count, once the deadline has passed: another run would count then."""
    if not may_cancel(submission, phase, at):
        raise Refused(
            f"The {phase.name} closed on {instant(phase.closes_at)}: which runs count cannot be changed any more, and "
            "this one goes on. Write to the organisers if it has to be ended."
        )


def may_cancel(submission: Submission, phase: Phase, at: datetime) -> bool:
    """Whether its team may still end it."""
    return at < phase.closes_at or not submission.is_scored


def check_counts_or_is_shown(submission: Submission) -> None:
    """Refuse organisers to withdraw what is on no board anyhow."""
    if submission.is_try_out:
        raise Refused("A try-out is on no board and counts for nothing: there is nothing to withdraw.")


def check_withdrawal(submission: Submission, phase: Phase, at: datetime) -> None:
    """Refuse a team to withdraw a submission, or to bring it back, when that can change nothing or is too late.

    It goes by nothing that happens in a run: on hidden cases that is told as of the last full minute.
    """
    if submission.state in ENDED:
        raise Refused("This submission has no run: there is nothing that could count.")
    if not submission.is_scored:
        raise Refused(f"A {submission.get_kind_display().lower()} counts for nothing: there is nothing to withdraw.")
    if at >= phase.closes_at or phase.archived_at:
        raise Refused(
            f"The {phase.name} closed on {instant(phase.closes_at)}: which runs count cannot be changed any more. "
            "Write to the organisers if it has to be."
        )


def _next_day(phase: Phase, used: Quota) -> str:
    """When more is taken; on the last day it is not."""
    if used.renews_at is None and used.closes_at is not None:
        return f"The {phase.name} closes before the next day begins, on {instant(used.closes_at)}."
    return f"The next day begins on {instant(used.next_day)}."


def _runs(kind: str, number: int) -> str:
    return f"{number} {SubmissionKind(kind).label.lower()}{'' if number == 1 else 's'}"
