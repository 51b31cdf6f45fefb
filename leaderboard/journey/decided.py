"""What organisers decided about a run, written down for its team: read on the run's page, told by mail.

Called by the decision, in its transaction. The mail follows from the row (notices.decisions), so that a decision that
is only played for a preview tells nobody.
"""

from leaderboard.core import clock
from leaderboard.models import RunDecision, Submission, TeamDisqualification


def note(
    submission: Submission, kind: RunDecision.Kind, reason: str, *, of_team: TeamDisqualification | None = None
) -> RunDecision:
    """Write it down. What is a part of a decision about the team is not told again by itself."""
    at = clock.now()
    told_at = at if of_team else None
    return RunDecision.objects.create(
        submission=submission, kind=kind, reason=reason.strip(), of_team=of_team, at=at, told_at=told_at
    )


def is_out_with(submission: Submission, of_team: TeamDisqualification) -> bool:
    """Whether a run is disqualified because its team is, and not for a reason of its own."""
    kinds = (RunDecision.Kind.DISQUALIFIED, RunDecision.Kind.REINSTATED)
    last = submission.decisions.filter(kind__in=kinds).order_by("-pk").first()
    return last is not None and last.of_team_id == of_team.pk
