"""The state of a submission as its reader may know it, and what is said about it."""

from collections.abc import Mapping, Sequence

from leaderboard.board.disclosure import SHOWN_AT_ONCE, Disclosure, Viewer
from leaderboard.models import Run, StateChange, Submission
from leaderboard.progress.case_facts import CaseCounts
from leaderboard.states import ENDED, RunState, Stage, SubmissionState

# The look of each state on a page.
KINDS: Mapping[Stage, str] = {
    SubmissionState.RECEIVED: "idle",
    SubmissionState.VALIDATING: "run",
    SubmissionState.ACCEPTED: "idle",
    SubmissionState.REJECTED: "bad",
    SubmissionState.CANCELLED: "off",
    SubmissionState.HALTED: "warn",
    RunState.QUEUED: "idle",
    RunState.CANARY: "run",
    RunState.RUNNING: "run",
    RunState.SCORING: "run",
    RunState.SCORED: "ok",
    RunState.FAILED: "bad",
}


# What is said otherwise of masks that were handed in.
_OF_MASKS: Mapping[Stage, str] = {
    SubmissionState.VALIDATING: "Checking the masks",
    SubmissionState.ACCEPTED: "Masks accepted",
    RunState.QUEUED: "Waiting for scores",
}


def word_of(stage: Stage, *, is_of_masks: bool) -> str:
    """The state as people read it."""
    return (_OF_MASKS if is_of_masks else {}).get(stage, str(stage.label))


class Staged:
    """What is shown with its state in words and in its look."""

    state: Stage

    @property
    def is_of_masks(self) -> bool:
        """Whether masks were handed in, and no image."""
        return False

    @property
    def word(self) -> str:
        """The state as people read it."""
        return word_of(self.state, is_of_masks=self.is_of_masks)

    @property
    def kind(self) -> str:
        """The look of the state."""
        return KINDS[self.state]


def shown_stage(submission: Submission, disclosure: Disclosure) -> Stage:
    """The state that matters now; on hidden cases the one of the run at the beginning of this minute."""
    return shown_stages([submission], disclosure.viewer)[submission.pk]


def shown_stages(submissions: Sequence[Submission], viewer: Viewer) -> dict[int, Stage]:
    """The same for several submissions, whose runs and phases are at hand; one question for all.

    When a case or a run ends depends on what is in the cases; so may a fault of ours, and the start of the next run.
    """
    shown: dict[int, Stage] = {}
    unsettled: dict[int, int] = {}
    for submission in submissions:
        run = submission.latest_run
        shown[submission.pk] = submission.stage
        if run and not _is_settled(run, submission.stage, viewer.of_submission(submission)):
            unsettled[run.pk] = submission.pk
            shown[submission.pk] = RunState.QUEUED
    if unsettled:
        changes = StateChange.objects.filter(run__in=unsettled, batch=None, at__lt=viewer.minute).order_by("pk")
        passed = set()
        for run_id, state in changes.values_list("run_id", "to_state"):
            if state == RunState.RUNNING:
                passed.add(run_id)
            # While no case has passed, masks to score say of the last case alone that it had a file.
            hides = state == RunState.SCORING and run_id not in passed
            shown[unsettled[run_id]] = RunState.CANARY if hides else RunState(state)
    return shown


def has_ended(submission: Submission, disclosure: Disclosure) -> bool:
    """Whether, as far as the reader may know, nothing more will happen by itself; asks the database anew."""
    return shown_stage(Submission.objects.select_related("phase").get(pk=submission.pk), disclosure) in ENDED


def _is_settled(run: Run, stage: Stage, disclosure: Disclosure) -> bool:
    """Whether the present state may be shown as it is."""
    never_left_the_queue = run.state == RunState.QUEUED and run.started_at is None
    at_once = disclosure.shows_cases or stage in SHOWN_AT_ONCE or never_left_the_queue
    return at_once or disclosure.is_visible(run.ended_at)


def progress_of(stage: Stage, counts: CaseCounts | None, disclosure: Disclosure) -> tuple[int | None, int | None]:
    """How many cases are done, where that is shown, and the percentage; None where there is nothing to say."""
    if counts is None:
        return None, None
    if stage in ENDED:
        return (counts.decided if disclosure.shows_cases else None), 100 if stage == RunState.SCORED else None
    if disclosure.shows_cases:
        return counts.known, disclosure.percent(counts.known, counts.total)
    if stage == RunState.SCORING:
        return None, 100
    return None, disclosure.percent(counts.known, counts.total)
