"""Runs that wait for a person."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Q
from django.urls import reverse

from leaderboard.desk.acts.runs import CANCEL, GO_ON
from leaderboard.desk.attention.items import Item, Urgency
from leaderboard.models import Run, Submission
from leaderboard.states import RunState, SubmissionState


def interrupted(_at: datetime) -> Iterator[Item]:
    """What we interrupted so often that nothing is tried any more by itself."""
    of_runs = Run.objects.filter(state=RunState.HALTED, retry_at=None).values("submission")
    waiting = Q(state=SubmissionState.HALTED, retry_at=None) | Q(pk__in=of_runs)
    found = Submission.objects.filter(waiting).select_related("team").prefetch_related("runs").order_by("pk")
    for submission in found.defer("method", "external_data"):
        run = submission.latest_run
        yield _item(submission, run.reason_code if run else "the check of what was sent")


def _item(submission: Submission, of_what: str) -> Item:
    return Item(
        Urgency.NOW,
        "warn",
        "Our fault, stuck",
        f"Run {submission.pk} of {submission.team} was interrupted again and again ({of_what}), and waits for you.",
        "Its team reads that it is our fault, and that it is not charged. Find the cause first: it does not start by "
        "itself any more.",
        acts=[(GO_ON, submission), (CANCEL, submission)],
        links=[("Its story", reverse("desk_run", args=[submission.pk]))],
    )
