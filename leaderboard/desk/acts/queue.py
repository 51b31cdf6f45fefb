"""What organisers decide about the order of the queue."""

from leaderboard.desk.acting import Act
from leaderboard.desk.kinds import RUN
from leaderboard.journey import precedence
from leaderboard.models import Run, Submission
from leaderboard.states import RunState


def _waits(submission: Submission) -> Run | None:
    run = submission.latest_run
    return run if run and run.state == RunState.QUEUED and run.started_at is None else None


def _may_go_first(submission: Submission) -> bool:
    run = _waits(submission)
    return run is not None and run.put_first_at is None


def _goes_first(submission: Submission) -> bool:
    run = _waits(submission)
    return run is not None and run.put_first_at is not None


RUN_NEXT = Act(
    "run-next",
    "Run next",
    RUN,
    "It starts before all others, at the next slot that fits, and takes its team's turn. The queue at the desk says "
    "why; other teams see only that their own estimates change.",
    precedence.put_first,
    needs_reason=True,
    is_offered=_may_go_first,
)
IN_TURN = Act(
    "wait-in-turn",
    "Wait in turn",
    RUN,
    "It waits for its team's turn again.",
    precedence.take_turns,
    is_offered=_goes_first,
)
ACTS = (RUN_NEXT, IN_TURN)
