"""What the page of a submission shows to its reader.

On hidden cases a team reads the state, coarse progress and reasons in our words, as they were at the beginning of the
present minute. Per-case results and logs are shown only where the phase's cases are public, and to organisers. Which of
this a reader gets, `Disclosure` says.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import Q

from leaderboard.board.board import figures
from leaderboard.board.disclosure import SHOWN_AT_ONCE, Disclosure
from leaderboard.board.rows import Figures
from leaderboard.core import disk_space
from leaderboard.hosts import slots
from leaderboard.journey import lifecycle, scheduling
from leaderboard.models import ImageProvenance, Run, StateChange, Submission
from leaderboard.progress.case_facts import counts_of, facts_of
from leaderboard.progress.details import RunDetails, details_of
from leaderboard.progress.explanations import explain
from leaderboard.progress.stages import Staged, progress_of, shown_stage
from leaderboard.states import ENDED, RunState, Stage, SubmissionState, as_stage

STEPS = ("Received", "Image checked", "Queue", "First case", "All cases", "Scored")
_REACHED: dict[Stage, int] = {
    SubmissionState.RECEIVED: 1,
    SubmissionState.VALIDATING: 1,
    SubmissionState.REJECTED: 1,
    RunState.QUEUED: 2,
    RunState.CANARY: 3,
    RunState.RUNNING: 4,
    RunState.SCORING: 5,
    RunState.SCORED: 6,
}
_IMAGE_CHECKED = STEPS.index("Image checked")
_EXPLAINED: frozenset[Stage] = frozenset({RunState.FAILED, RunState.SCORED})  # of which lost cases are explained
_STOPPED: frozenset[Stage] = frozenset({SubmissionState.REJECTED, RunState.FAILED, RunState.CANCELLED})


class StepState(StrEnum):
    """How far a step of the journey is: behind, under way, ahead, or where it stopped; by the names of its looks."""

    DONE = "done"
    CURRENT = "cur"
    TO_DO = "todo"
    STOPPED = "bad"


@dataclass(frozen=True)
class Step:
    """A step of the journey."""

    name: str
    state: StepState
    detail: str = ""


@dataclass(frozen=True)
class Event:
    """A line of the history."""

    at: datetime
    text: str
    by: str


@dataclass(frozen=True)
class ImageFacts:
    """The submission's image: its id here and at the team's, its size unpacked, and what its check noticed."""

    id: str
    original_id: str
    bytes: int
    layers: int
    warnings: list[str]


@dataclass(frozen=True, kw_only=True)
class SubmissionView(Staged, RunDetails):
    """Everything a page shows about a submission. What is empty or None is not shown to this reader."""

    state: Stage
    headline: str
    reason: str
    advice: str
    done: int | None
    total: int
    percent: int | None
    failed: int | None
    now: str
    steps: list[Step]
    queue_position: int | None
    history: list[Event]
    figures: Figures | None
    image: ImageFacts | None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.state in ENDED

    @property
    def can_cancel(self) -> bool:
        """Whether there is something to cancel."""
        return not self.finished


def submission_view(submission: Submission, disclosure: Disclosure) -> SubmissionView:
    """The submission and its latest run, as its reader may see them."""
    run, stage = submission.latest_run, shown_stage(submission, disclosure)
    facts = facts_of(run) if disclosure.shows_cases or stage in _EXPLAINED else []
    counts = counts_of([run], disclosure.viewer).get(run.pk) if run else None
    done, percent = progress_of(stage, counts, disclosure)
    total = counts.total if counts else submission.phase.case_set.cases.count()
    explanation = explain(submission, run, stage, facts, disclosure)
    return SubmissionView(
        state=stage,
        headline=explanation.headline,
        reason=explanation.means,
        advice=explanation.advice,
        done=done,
        total=total,
        percent=percent,
        failed=sum(case.is_lost for case in facts) if disclosure.shows_cases else None,
        now=_now(submission, run, stage, done, total, disclosure.at),
        steps=_steps(submission, run, stage, disclosure),
        queue_position=_queue_position(run, stage, disclosure) if run else None,
        history=_history(submission, disclosure),
        figures=_figures(run, stage, disclosure),
        image=_image(submission),
        **vars(details_of(run, stage, facts, disclosure)),
    )


def _figures(run: Run | None, stage: Stage, disclosure: Disclosure) -> Figures | None:
    if run is None or stage != RunState.SCORED or run.state != RunState.SCORED:
        return None
    return figures(run.standings.defer("groups"), disclosure)


def _image(submission: Submission) -> ImageFacts | None:
    image = submission.image
    if image is None:
        return None
    original: ImageProvenance | None = getattr(submission, "provenance", None)
    return ImageFacts(
        id=image.image_id,
        original_id=original.image_id if original else "",
        bytes=image.unpacked_bytes,
        layers=image.layers,
        warnings=original.warnings if original else image.warnings,
    )


def _queue_position(run: Run, stage: Stage, disclosure: Disclosure) -> int | None:
    """The run's place in the queue; on hidden cases as if no run had left it in this minute."""
    if disclosure.shows_cases:
        return scheduling.position(run) if run.state == RunState.QUEUED else None
    if stage != RunState.QUEUED:
        return None
    left = Run.objects.filter(started_at__gte=disclosure.visible_until)
    return (scheduling.position(run) or 0) + left.count() or None


def _now(submission: Submission, run: Run | None, stage: Stage, done: int | None, total: int, at: datetime) -> str:
    if stage == RunState.QUEUED and run:
        return _why_it_waits(submission.phase.gpus, at)
    if stage == RunState.RUNNING and done is not None:
        return f"Case {min(done + 1, total)} of {total} is being processed."
    return _NOW.get(stage, "")


_NOW: dict[Stage, str] = {
    SubmissionState.RECEIVED: "Waits for the check of its image.",
    SubmissionState.VALIDATING: "The image is read, verified and rebuilt before any of it runs.",
    RunState.CANARY: "The first case runs alone: it shows that the image starts, ends and writes a readable mask.",
    RunState.RUNNING: "The cases are being processed.",
    RunState.SCORING: "The last masks are being scored.",
}


def _why_it_waits(gpus: int, at: datetime) -> str:
    if not disk_space.allows_run():
        return "The server is short of disk space. Your run is safe and waits; the organisers have been told."
    if not slots.fits_some_host(gpus, at):
        return "No machine that fits is connected at present. The organisers have to connect one; your run is safe."
    return "Waits for a free machine."


def _steps(submission: Submission, run: Run | None, stage: Stage, disclosure: Disclosure) -> list[Step]:
    at = _REACHED.get(stage) or _step_before(run, disclosure)
    layers = f"{submission.image.layers} layers" if submission.image else ""
    return [
        Step(name, _step_state(number, at, stage), layers if number == _IMAGE_CHECKED < at else "")
        for number, name in enumerate(STEPS)
    ]


def _step_state(number: int, at: int, stage: Stage) -> StepState:
    if number != at:
        return StepState.DONE if number < at else StepState.TO_DO
    return StepState.STOPPED if stage in _STOPPED else StepState.CURRENT


def _step_before(run: Run | None, disclosure: Disclosure) -> int:
    """How far a run had come that was interrupted or cancelled."""
    if run is None:
        return 1
    if not disclosure.is_visible(run.started_at):
        return 2
    return 4 if run.cases.filter(disclosure.visible("scored_at")).exists() else 3


def _history(submission: Submission, disclosure: Disclosure) -> list[Event]:
    by = lifecycle.display_name(submission.submitted_by) if submission.submitted_by else "a member of the team"
    changes = StateChange.objects.filter(submission=submission, batch=None)
    if not disclosure.shows_cases:
        changes = changes.exclude(~Q(to_state__in=SHOWN_AT_ONCE), run__isnull=False, at__gte=disclosure.visible_until)
    events = [Event(submission.accepted_at, f"Submitted for the {submission.get_track_display()} track", by)]
    for change in changes:
        text = str(as_stage(change.to_state).label)
        why = f"{text}: {change.why}" if change.why and disclosure.shows_cases else text
        events.append(Event(disclosure.shown_instant(change.at), why, change.by))
    if submission.disqualified_at:
        events.append(Event(submission.disqualified_at, "Disqualified", "the organisers"))
    return events[::-1]
