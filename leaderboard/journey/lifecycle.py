"""The only code that changes a state.

`move()` locks the row, checks the table in leaderboard/states.py, writes the history, and returns False for a repeat:
a message that is delivered twice does nothing the second time.
"""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from leaderboard.core import clock, events
from leaderboard.journey.selectors import with_phase
from leaderboard.models import Batch, PendingNotice, Run, StateChange, Submission, User
from leaderboard.states import (
    BATCH_TRANSITIONS,
    RUN_TRANSITIONS,
    SUBMISSION_TRANSITIONS,
    RunState,
    SubmissionState,
    Transitions,
)

SERVER = "server"
Movable = Submission | Run | Batch
# Of these a team is told by mail (leaderboard/notices/runs.py): of ends that nobody decided, and of our faults.
TOLD = frozenset({SubmissionState.REJECTED, RunState.SCORED, RunState.FAILED, RunState.HALTED})

_TRANSITIONS: dict[type[Movable], Transitions] = {
    Submission: SUBMISSION_TRANSITIONS,
    Run: RUN_TRANSITIONS,
    Batch: BATCH_TRANSITIONS,
}


class IllegalMove(Exception):
    """Somebody asked for a transition that the table does not have: a mistake in our code, never a user's."""


def move(
    thing: Movable,
    to: str,
    *,
    by: str = SERVER,
    why: str = "",
    allowed_from: Iterable[str] | None = None,
    **fields: Any,
) -> bool:
    """Move `thing` to the state `to`, setting `fields` in the same write. True when this call made the move.

    False when it is there already, or when it is in none of `allowed_from`: somebody was faster. Raises IllegalMove
    where the table has no such transition. `thing` holds the present row afterwards, whatever the answer.
    """
    with transaction.atomic():
        model: Any = type(thing)
        model.objects.select_for_update().only("pk").get(pk=thing.pk)
        thing.refresh_from_db(from_queryset=_fresh(model))
        origin = thing.state
        if origin == to or (allowed_from is not None and origin not in allowed_from):
            return False
        if to not in _TRANSITIONS[model][origin]:
            raise IllegalMove(f"{model.__name__} {thing.pk}: {origin} -> {to}")
        thing.state = to
        for name, value in fields.items():
            setattr(thing, name, value)
        thing.save(update_fields=["state", *fields])
        _record(thing, origin, by=by, why=why)
    return True


def _fresh(model: type[Movable]) -> QuerySet[Any]:
    """Rows with what is asked about them next; read when the lock is held, for a join reads what was before it."""
    if model is Submission:
        return Submission.objects.all()
    if model is Run:
        return with_phase(Run.objects.all(), "submission")
    return with_phase(Batch.objects.all(), "run__submission")


def display_name(person: User | None) -> str:
    """How a person stands in a submission's history, which the team reads: never an email address."""
    if person is None:
        return SERVER
    return person.name or ("an organiser" if person.holds_role else "a member of the team")


def record_new_run(run: Run, *, by: str) -> None:
    """Write down that a new run came to be, and through whom."""
    _record(run, "", by=by, why="")


def _record(thing: Movable, origin: str, *, by: str, why: str) -> None:
    batch = thing if isinstance(thing, Batch) else None
    run = batch.run if batch else thing if isinstance(thing, Run) else None
    submission_id = run.submission_id if run else thing.pk
    assert isinstance(submission_id, int)
    change = StateChange.objects.create(
        submission_id=submission_id,
        run=run,
        batch=batch,
        from_state=origin,
        to_state=thing.state,
        at=clock.now(),
        by=by[:80],
        why=why,
    )
    if batch is None and thing.state in TOLD:
        PendingNotice.objects.create(change=change)
    events.announce(submission_id)
