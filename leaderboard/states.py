"""The states of a submission, a run and a batch, and every legal transition, as data.

A submission's states end with its image, or its masks, accepted or not; from then on its run has the say:

    submission   received -> validating -> accepted | rejected        (accepted -> rejected: no engine can unpack it)
    run          queued -> canary -> running -> scoring -> scored | failed        (queued -> scoring: of masks)
    batch        waiting -> leased -> reported -> scored

`halted` is always our fault and always leads back; `cancelled` is somebody's decision. Only
leaderboard/journey/lifecycle.py changes a state.
"""

from collections.abc import Mapping

from django.db.models import TextChoices


class Role(TextChoices):
    """Who runs the challenge: a viewer sees everything, an organiser acts, an owner also says who does either."""

    VIEWER = "viewer", "Viewer"
    ORGANISER = "organiser", "Organiser"
    OWNER = "owner", "Owner"


class SubmissionKind(TextChoices):
    """What a submission is for. Only scored ones are ranked; the others run when no scored run needs the slot."""

    SCORED = "scored", "Run"
    TRY_OUT = "try_out", "Try-out"
    POST_CHALLENGE = "post_challenge", "Post-challenge run"


class SubmissionState(TextChoices):
    """Where the check of a submission stands: of its image and weights, or of its masks."""

    RECEIVED = "received", "Received"
    VALIDATING = "validating", "Checking the image"
    ACCEPTED = "accepted", "Image accepted"
    REJECTED = "rejected", "Rejected"
    CANCELLED = "cancelled", "Cancelled"
    HALTED = "halted", "Interrupted, our fault"


class RunState(TextChoices):
    """Where an execution and scoring of a submission stands."""

    QUEUED = "queued", "In the queue"
    CANARY = "canary", "First case"
    RUNNING = "running", "Running"
    SCORING = "scoring", "Scoring"
    SCORED = "scored", "Scored"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    HALTED = "halted", "Interrupted, our fault"


class BatchState(TextChoices):
    """Where the cases that one container gets stand."""

    WAITING = "waiting", "Waiting"
    LEASED = "leased", "Running"
    REPORTED = "reported", "Scoring"
    SCORED = "scored", "Scored"
    DROPPED = "dropped", "Dropped"


# What matters of a submission: its own state, or that of its run once it has one.
Stage = SubmissionState | RunState


def as_stage(value: str) -> Stage:
    """The state with this value, as history rows hold it; "cancelled" and "halted" mean the same of both."""
    return RunState(value) if value in RunState.values else SubmissionState(value)


Transitions = Mapping[str, frozenset[str]]

SUBMISSION_TRANSITIONS: Transitions = {
    SubmissionState.RECEIVED: frozenset({SubmissionState.VALIDATING, SubmissionState.CANCELLED}),
    SubmissionState.VALIDATING: frozenset(
        {
            SubmissionState.ACCEPTED,
            SubmissionState.REJECTED,
            SubmissionState.CANCELLED,
            SubmissionState.HALTED,
        }
    ),
    SubmissionState.HALTED: frozenset({SubmissionState.VALIDATING, SubmissionState.CANCELLED}),
    # only an engine knows what it can unpack, and no engine had seen the image before its first run
    SubmissionState.ACCEPTED: frozenset({SubmissionState.REJECTED}),
    SubmissionState.REJECTED: frozenset(),
    SubmissionState.CANCELLED: frozenset(),
}

RUN_TRANSITIONS: Transitions = {
    # masks that were handed in need no container, so their run has no canary and takes no slot
    RunState.QUEUED: frozenset(
        {RunState.CANARY, RunState.RUNNING, RunState.SCORING, RunState.HALTED, RunState.CANCELLED}
    ),
    RunState.CANARY: frozenset(
        {RunState.RUNNING, RunState.SCORING, RunState.FAILED, RunState.HALTED, RunState.CANCELLED}
    ),
    RunState.RUNNING: frozenset({RunState.SCORING, RunState.FAILED, RunState.HALTED, RunState.CANCELLED}),
    RunState.SCORING: frozenset({RunState.SCORED, RunState.FAILED, RunState.HALTED, RunState.CANCELLED}),
    RunState.HALTED: frozenset({RunState.QUEUED, RunState.SCORING, RunState.CANCELLED}),
    RunState.SCORED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}

BATCH_TRANSITIONS: Transitions = {
    BatchState.WAITING: frozenset({BatchState.LEASED, BatchState.DROPPED}),
    BatchState.LEASED: frozenset({BatchState.REPORTED, BatchState.WAITING, BatchState.DROPPED}),
    BatchState.REPORTED: frozenset({BatchState.SCORED, BatchState.DROPPED}),
    BatchState.SCORED: frozenset(),
    BatchState.DROPPED: frozenset(),
}

# A run that occupies (or may occupy) a slot, or waits for its scores: what the sweeper looks after.
ACTIVE_RUN_STATES = frozenset({RunState.CANARY, RunState.RUNNING, RunState.SCORING})
# A run whose waiting batches a host may claim.
RUNNABLE = frozenset({RunState.CANARY, RunState.RUNNING})
OPEN_BATCH_STATES = frozenset({BatchState.WAITING, BatchState.LEASED, BatchState.REPORTED})

# A submission whose image is still to be checked.
UNCHECKED = frozenset({SubmissionState.RECEIVED, SubmissionState.VALIDATING})

# Nothing more happens by itself. ("accepted" is no end: from there on the run has the say.)
ENDED: frozenset[Stage] = frozenset(
    {
        *(SubmissionState.REJECTED, SubmissionState.CANCELLED),
        *(RunState.SCORED, RunState.FAILED, RunState.CANCELLED),
    }
)
