"""An organiser's decision that a run starts before all others, and the end of that."""

from typing import Any

from django.db import transaction

from leaderboard.core import audit, clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.journey.locking import lock_run
from leaderboard.journey.pipeline import fill_slots
from leaderboard.models import Run, Submission
from leaderboard.states import RunState


def put_first(submission: Submission, *, by: Actor, why: str) -> None:
    """Let the submission's run start before all others; the queue says why. Raises Refused without a reason."""
    if not why.strip():
        raise Refused("Say why: the queue says it.")
    _set(submission, "run next", by, why, put_first_at=clock.now(), put_first_why=why.strip())


def take_turns(submission: Submission, *, by: Actor, why: str = "") -> None:
    """Let the submission's run wait for its team's turn again. Raises Refused."""
    _set(submission, "wait in turn", by, why, put_first_at=None, put_first_why="")


@transaction.atomic
def _set(submission: Submission, action: str, by: Actor, why: str, **fields: Any) -> None:
    latest = submission.runs.order_by("-number").values_list("pk", flat=True).first()
    run = lock_run(latest) if latest else None
    if run is None or run.state != RunState.QUEUED or run.started_at:
        raise Refused("Only a run that waits for its start has a place in the queue.")
    if (run.put_first_at is None) == (fields["put_first_at"] is None):
        return
    before = audit.state_of(run, fields)
    Run.objects.filter(pk=run.pk).update(**fields)
    audit.record(by, action, submission, before=before, after=fields, why=why)
    transaction.on_commit(fill_slots)
