"""Which images of a team have passed a try-out: of its cases none was lost (failed, missing or invalid)."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from leaderboard.models import Standing, Submission
from leaderboard.states import RunState, SubmissionKind


def passed() -> QuerySet[Submission]:
    """The try-outs that have passed."""
    complete = Standing.objects.filter(
        run__submission=OuterRef("pk"), run__state=RunState.SCORED, scope=Standing.Scope.ALL, lost_cases=0
    )
    return Submission.objects.filter(Exists(complete), kind=SubmissionKind.TRY_OUT)


def has_passed(submission: Submission) -> bool:
    """Whether the submission's team has passed a try-out for its phase with the same image and the same weights.

    That is with the same archives, or others of the team's in which the check found the same.
    """
    team, upload, weights = submission.team, submission.upload, submission.weights_upload
    own = Submission.objects.filter(team=team).order_by()
    same_image = Q(upload=upload) | Q(image__in=own.filter(upload=upload, image__isnull=False).values("image"))
    same_weights = Q(weights_upload=weights)
    if weights:
        same_weights |= Q(weights__in=own.filter(weights_upload=weights, weights__isnull=False).values("weights"))
    return passed().filter(same_image & same_weights, team=team, phase=submission.phase).exists()
