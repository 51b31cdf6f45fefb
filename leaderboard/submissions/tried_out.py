"""Which images of a team have passed a try-out: of its cases none was lost (failed, missing or invalid)."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from leaderboard.models import Phase, Standing, Submission, Team
from leaderboard.states import RunState, SubmissionKind


def passed() -> QuerySet[Submission]:
    """The try-outs that have passed."""
    complete = Standing.objects.filter(
        run__submission=OuterRef("pk"), run__state=RunState.SCORED, scope=Standing.Scope.ALL, lost_cases=0
    )
    return Submission.objects.filter(Exists(complete), kind=SubmissionKind.TRY_OUT)


def has_passed(team: Team, phase: Phase, upload: str) -> bool:
    """Whether the team has passed a try-out for the phase with the image of this archive.

    That is the archive itself, or another one of the team's in which the check found the same image.
    """
    same = Submission.objects.filter(team=team, upload=upload, image__isnull=False).order_by().values("image")
    return passed().filter(Q(upload=upload) | Q(image__in=same), team=team, phase=phase).exists()
