"""Runs that wait for a person."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse

from leaderboard.desk.acts.runs import CANCEL, GO_ON
from leaderboard.desk.attention.items import Item, Urgency
from leaderboard.desk.run_search import WAITS
from leaderboard.journey.reasons import in_words
from leaderboard.models import Run, Submission
from leaderboard.states import RunState, SubmissionState

APART = 3  # more of one cause are one thing
_CHECK = "the check of what was sent broke down"
_WHY = (
    "Its team reads that it is our fault, and that it is not charged. Find the cause first: it does not start by "
    "itself any more."
)
_WHY_MANY = (
    "Their teams read that it is our fault, and that nothing is charged. Find the cause first, then choose them all "
    "and let them go on."
)


def interrupted(_at: datetime) -> Iterator[Item]:
    """What we interrupted so often that nothing is tried any more by itself."""
    of_runs = Run.objects.filter(state=RunState.HALTED, retry_at=None).values("submission")
    waiting = Q(state=SubmissionState.HALTED, retry_at=None) | Q(pk__in=of_runs)
    found = Submission.objects.filter(waiting).select_related("team").prefetch_related("runs").order_by("pk")
    by_cause: dict[str, list[Submission]] = {}
    for submission in found.defer("method", "external_data"):
        run = submission.latest_run
        by_cause.setdefault(run.reason_code if run else "", []).append(submission)
    for cause, some in by_cause.items():
        if len(some) > APART:
            yield _many(some, cause)
        else:
            yield from (_one(submission, cause) for submission in some)


def _cause_told(cause: str) -> str:
    return in_words(cause) if cause else _CHECK


def _one(submission: Submission, cause: str) -> Item:
    return Item(
        Urgency.NOW,
        "warn",
        "Our fault, stuck",
        f"Run {submission.pk} of {submission.team} was interrupted again and again ({_cause_told(cause)}), and waits "
        "for you.",
        _WHY,
        acts=[(GO_ON, submission), (CANCEL, submission)],
        links=[("Its story", reverse("desk_run", args=[submission.pk]))],
    )


def _many(some: Sequence[Submission], cause: str) -> Item:
    teams = len({one.team_id for one in some})
    asked = {"state": WAITS, **({"code": cause} if cause else {})}
    return Item(
        Urgency.NOW,
        "warn",
        "Our fault, stuck",
        f"{len(some)} runs of {teams} {'team' if teams == 1 else 'teams'} were interrupted again and again "
        f"({_cause_told(cause)}), and wait for you.",
        _WHY_MANY,
        links=[("These runs", f"{reverse('desk_runs')}?{urlencode(asked)}")],
    )
