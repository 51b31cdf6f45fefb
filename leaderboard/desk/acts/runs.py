"""What organisers do about runs (submissions, in the code)."""

from leaderboard.desk.acting import Act
from leaderboard.desk.kinds import RUN
from leaderboard.journey import decisions
from leaderboard.models import Submission
from leaderboard.states import ENDED, RunState, SubmissionState


def _is_under_way(submission: Submission) -> bool:
    return submission.stage not in ENDED


def _waits_for_people(submission: Submission) -> bool:
    return submission.stage in (RunState.HALTED, SubmissionState.HALTED)


def _may_run_again(submission: Submission) -> bool:
    return submission.state == SubmissionState.ACCEPTED and submission.stage in ENDED


CANCEL = Act(
    "cancel-run",
    "Cancel",
    RUN,
    "It ends now. Its team sees that organisers ended it; it is not charged if nothing of it had run.",
    decisions.cancel_for_team,
    is_offered=_is_under_way,
    is_grave=True,
    tells_team=True,
)
RUN_AGAIN = Act(
    "run-again",
    "Run again",
    RUN,
    "A new run of the same image is queued. It is not charged; runs of before stay readable.",
    decisions.run_again,
    is_offered=_may_run_again,
    tells_team=True,
)
GO_ON = Act(
    "go-on",
    "Go on",
    RUN,
    "What we interrupted is tried again from where it was, with a fresh count of faults.",
    decisions.resume,
    is_offered=_waits_for_people,
)
DISQUALIFY = Act(
    "disqualify-run",
    "Disqualify",
    RUN,
    "It leaves the board, and another run of its team may count. The team reads the reason. The boards of an archived "
    "phase stay as they are.",
    decisions.disqualify,
    needs_reason=True,
    is_offered=lambda submission: submission.disqualified_at is None,
    is_grave=True,
    tells_team=True,
)
REINSTATE = Act(
    "reinstate-run",
    "Reinstate",
    RUN,
    "It may count again. Its page and the record keep the reason for which it was disqualified.",
    decisions.reinstate,
    needs_reason=True,
    is_offered=lambda submission: submission.disqualified_at is not None,
    tells_team=True,
)
WITHDRAW = Act(
    "withdraw-run",
    "Withdraw for the team",
    RUN,
    "At its team's wish it leaves the board and does not count, as if its team had withdrawn it; also after the "
    "deadline.",
    decisions.withdraw_for_team,
    needs_reason=True,
    is_offered=lambda submission: submission.withdrawn_at is None and submission.phase.archived_at is None,
)
BRING_BACK = Act(
    "bring-back-run",
    "Bring back",
    RUN,
    "What was withdrawn may count again.",
    decisions.bring_back_for_team,
    needs_reason=True,
    is_offered=lambda submission: submission.withdrawn_at is not None and submission.phase.archived_at is None,
)
GIVE_BACK = Act(
    "give-back",
    "Give back",
    RUN,
    "It is not charged: its team may hand in another one in its place. Its scores stay.",
    decisions.give_back,
    needs_reason=True,
    is_offered=lambda submission: submission.charged,
    tells_team=True,
)
ACTS = (CANCEL, RUN_AGAIN, GO_ON, DISQUALIFY, REINSTATE, WITHDRAW, BRING_BACK, GIVE_BACK)
