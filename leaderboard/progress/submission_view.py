"""What the page of a submission shows to its reader.

On hidden cases a team reads the state, coarse progress and reasons in our words, as they were at the beginning of the
present minute. Per-case results and logs are shown only where the phase's cases are public, and to organisers. Which of
this a reader gets, `Disclosure` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import Q

from leaderboard.board.disclosure import SHOWN_AT_ONCE, Disclosure, Reader
from leaderboard.board.numbers import figures
from leaderboard.board.rows import Figures
from leaderboard.challenge import phases
from leaderboard.core import disk_space
from leaderboard.hosts import slots
from leaderboard.journey import failure_kinds, lifecycle, reasons
from leaderboard.models import AlgorithmImage, ImageProvenance, Run, StateChange, Submission
from leaderboard.progress.case_facts import CaseFacts, counts_of, facts_of
from leaderboard.progress.details import RunDetails, details_of
from leaderboard.progress.estimates import Estimate, estimate_of
from leaderboard.progress.explanations import explain
from leaderboard.progress.stages import Staged, progress_of, shown_stage, word_of
from leaderboard.progress.withdrawal import Withdrawal, decided, decided_by_organisers, withdrawal_of
from leaderboard.states import ENDED, UNCHECKED, RunState, Stage, SubmissionState, as_stage
from leaderboard.submissions import admission

STEPS = ("Received", "Image checked", "Queue", "First case", "All cases", "Scored")
_REACHED: dict[Stage, int] = {
    SubmissionState.RECEIVED: 1,
    SubmissionState.VALIDATING: 1,
    SubmissionState.REJECTED: 1,
    RunState.QUEUED: 2,
    RunState.CANARY: 3,
    RunState.RUNNING: 4,
    RunState.SCORED: 6,
}
_STEPS_OF_MASKS = ("Received", "Masks checked", "Scored")
_IMAGE_CHECKED = STEPS.index("Image checked")
_FIRST_CASE, _ALL_CASES, _SCORED = (STEPS.index(name) for name in ("First case", "All cases", "Scored"))
_EXPLAINED: frozenset[Stage] = frozenset({RunState.FAILED, RunState.SCORED})  # of which lost cases are explained
_STOPPED: frozenset[Stage] = frozenset({SubmissionState.REJECTED, RunState.FAILED, RunState.CANCELLED})


class StepState(StrEnum):
    """How far a step of the journey is, by the names of its looks.

    Behind, under way, ahead; where the journey stopped, and what it never reached.
    """

    DONE = "done"
    CURRENT = "cur"
    TO_DO = "todo"
    STOPPED = "bad"
    NEVER = "never"


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
    """The submission's image: its size unpacked, and what its check noticed.

    id, original_id: the digests of its configuration as it is run and as it was uploaded.
    """

    id: str
    original_id: str
    bytes: int
    layers: int
    warnings: list[str]


@dataclass(frozen=True, kw_only=True)
class SubmissionView(Staged, RunDetails):
    """Everything a page shows about a submission. What is empty or None is not shown to this reader."""

    state: Stage
    entry: str
    headline: str
    reason: str
    advice: str
    fault: str
    section: str
    problems: Sequence[str]
    done: int | None
    total: int
    percent: int | None
    failed: int | None
    now: str
    steps: list[Step]
    estimate: Estimate | None
    history: list[Event]
    figures: Figures | None
    image: ImageFacts | None
    withdrawal: Withdrawal
    may_cancel: bool

    @property
    def is_of_masks(self) -> bool:
        """Whether masks were handed in, and no image."""
        return self.entry == Submission.Entry.MASKS

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.state in ENDED

    @property
    def ended_badly(self) -> bool:
        """Whether it is over without a score: then one story tells why."""
        return self.finished and self.state != RunState.SCORED

    @property
    def can_cancel(self) -> bool:
        """Whether there is something to cancel, by whom it may be cancelled."""
        return not self.finished and self.may_cancel


def submission_view(submission: Submission, disclosure: Disclosure) -> SubmissionView:
    """The submission and its latest run, as its reader may see them."""
    run, stage = submission.latest_run, shown_stage(submission, disclosure)
    facts = facts_of(run) if disclosure.shows_cases or stage in _EXPLAINED else []
    counts = counts_of([run], disclosure.viewer).get(run.pk) if run else None
    done, percent = progress_of(stage, counts, disclosure)
    if submission.is_of_masks and stage == RunState.SCORING:
        done = sum(case.status is not None for case in facts)
        percent = disclosure.percent(done, len(facts))
    total = counts.total if counts else phases.cases_for(submission).count()
    explanation = explain(submission, run, stage, facts, disclosure)
    changes = _changes(submission, disclosure)
    return SubmissionView(
        state=stage,
        entry=submission.entry,
        headline=explanation.headline,
        reason=explanation.means,
        advice=explanation.advice,
        fault=explanation.fault,
        section=explanation.section,
        problems=explanation.problems,
        done=done,
        total=total,
        percent=percent,
        failed=sum(case.is_lost for case in facts) if disclosure.shows_cases else None,
        now=_now(submission, run, stage, done, total, disclosure.at),
        steps=_steps_of_masks(run, stage)
        if submission.is_of_masks
        else _steps(submission, _reached(run, stage, changes, disclosure), stage, facts, disclosure),
        estimate=estimate_of(submission, run, stage, disclosure),
        history=_history(submission, changes, disclosure),
        figures=_figures(run, stage, disclosure),
        image=_image(submission),
        withdrawal=withdrawal_of(submission, stage, disclosure),
        may_cancel=disclosure.reader is Reader.ORGANISER
        or admission.may_cancel(submission, submission.phase, disclosure.at),
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


def _now(submission: Submission, run: Run | None, stage: Stage, done: int | None, total: int, at: datetime) -> str:
    if stage == RunState.QUEUED and run:
        return _why_it_waits(submission, at)
    if stage == RunState.RUNNING and done is not None:
        return f"Case {min(done + 1, total)} of {total} is being processed."
    return (_NOW_OF_MASKS if submission.is_of_masks else _NOW).get(stage, "")


_NOW: dict[Stage, str] = {
    SubmissionState.RECEIVED: "Waits for the check of its image.",
    SubmissionState.VALIDATING: "The image is read, verified and rebuilt before any of it runs.",
    RunState.CANARY: "The first case runs alone: it shows that the image starts, ends and writes a readable mask.",
    RunState.RUNNING: "The cases are being processed.",
    RunState.SCORING: "The last masks are being scored.",
}


_NOW_OF_MASKS: dict[Stage, str] = {
    SubmissionState.RECEIVED: "Waits for the check of its masks.",
    SubmissionState.VALIDATING: "The archive is unpacked and each mask read. Nothing counts before all of them can be.",
    RunState.SCORING: "The masks are being scored, in turn with those of other teams.",
}


def _why_it_waits(submission: Submission, at: datetime) -> str:
    if not disk_space.allows_run():
        return "The server is short of disk space. Your run is safe and waits; the organisers have been told."
    if not slots.fits_some_host(submission, at):
        return "No machine that fits is connected at present. The organisers have to connect one; your run is safe."
    return "Waits for a free machine."


# --- how far it came --------------------------------------------------------------------------------------------------


def _steps(
    submission: Submission, at: int, stage: Stage, facts: Sequence[CaseFacts], disclosure: Disclosure
) -> list[Step]:
    details = {_IMAGE_CHECKED: _layers(submission.image)} if submission.image and at > _IMAGE_CHECKED else {}
    if disclosure.shows_cases:
        details |= _details_of_cases(stage, facts)
    return [Step(name, _step_state(number, at, stage), details.get(number, "")) for number, name in enumerate(STEPS)]


def _steps_of_masks(run: Run | None, stage: Stage) -> list[Step]:
    """Masks that were handed in wait for no machine, and have no first case."""
    at = 1 if run is None else len(_STEPS_OF_MASKS) - (stage != RunState.SCORED)
    return [Step(name, _step_state(number, at, stage)) for number, name in enumerate(_STEPS_OF_MASKS)]


def _layers(image: AlgorithmImage) -> str:
    return f"{image.layers} {'layer' if image.layers == 1 else 'layers'}"


def _step_state(number: int, at: int, stage: Stage) -> StepState:
    if number < at:
        return StepState.DONE
    if number > at:
        return StepState.NEVER if stage in ENDED else StepState.TO_DO
    return StepState.STOPPED if stage in _STOPPED else StepState.CURRENT


def _details_of_cases(stage: Stage, facts: Sequence[CaseFacts]) -> dict[int, str]:
    """Which case passed for the first one, and how many were left out in the end; where cases are shown."""
    details = {}
    usable = next((case.position for case in facts if case.is_usable), None)
    tried = sum(bool(case.outcome) for case in facts)
    if usable:
        details[_FIRST_CASE] = f"passed by case {usable + 1}"
    elif usable is None and tried and stage == RunState.FAILED:
        details[_FIRST_CASE] = "failed" if tried == 1 else f"{tried} tried, none passed"
    if stage == RunState.FAILED and tried < len(facts):
        details[_ALL_CASES] = f"{len(facts) - tried} not run"
    return details


def _reached(run: Run | None, stage: Stage, changes: Sequence[StateChange], disclosure: Disclosure) -> int:
    """The number of the step at which it stands, or stopped. The first case is behind once a mask of it has passed."""
    if stage in _REACHED:
        return _REACHED[stage]
    if run is None:
        return _IMAGE_CHECKED
    if stage == RunState.FAILED:
        return _ALL_CASES if failure_kinds.of_failed(run) == failure_kinds.AFTER_A_MASK else _FIRST_CASE
    if not disclosure.is_visible(run.started_at):
        return STEPS.index("Queue")
    passed = {change.to_state for change in changes if change.run_id == run.pk}
    if RunState.RUNNING not in passed:
        return _FIRST_CASE
    return _SCORED if RunState.SCORING in passed else _ALL_CASES


# --- what happened ----------------------------------------------------------------------------------------------------


def _changes(submission: Submission, disclosure: Disclosure) -> list[StateChange]:
    """The changes of state of the submission and its runs that the reader may know of."""
    changes = StateChange.objects.filter(submission=submission, batch=None)
    if not disclosure.shows_cases:
        changes = changes.exclude(~Q(to_state__in=SHOWN_AT_ONCE), run__isnull=False, at__gte=disclosure.visible_until)
    return _without_newer(submission, list(changes))


def _without_newer(submission: Submission, changes: Sequence[StateChange]) -> list[StateChange]:
    """Of one that is not checked yet, without what came after it was read: a page tells one story, as of one instant.

    What changes later than that is not told here: on hidden cases its number would tell something.
    """
    if submission.state not in UNCHECKED:
        return list(changes)
    own = [change for change in changes if change.run_id is None]
    last = max((change.pk for change in own if change.to_state == submission.state), default=0)
    return [change for change in own if change.pk <= last]


def _history(submission: Submission, changes: Sequence[StateChange], disclosure: Disclosure) -> list[Event]:
    by = lifecycle.display_name(submission.submitted_by) if submission.submitted_by else "a member of the team"
    what = "as masks " if submission.is_of_masks else ""
    events = [Event(submission.accepted_at, f"Submitted {what}for the {submission.get_track_display()} track", by)]
    told = changes if disclosure.shows_cases else _without_last_scores(changes)
    events += [_event(change, disclosure, is_of_masks=submission.is_of_masks) for change in told]
    if decisions := [
        Event(one.at, one.text, one.by) for one in (*decided_by_organisers(submission), *decided(submission))
    ]:
        events = sorted([*events, *decisions], key=lambda event: event.at)
    return events[::-1]


def _without_last_scores(changes: Sequence[StateChange]) -> list[StateChange]:
    """Without the scoring of runs that failed, or may: that there was any says that the last case had a file."""
    failed = {change.run_id for change in changes if change.to_state == RunState.FAILED}
    passed = {change.run_id for change in changes if change.to_state == RunState.RUNNING} - failed
    return [change for change in changes if change.to_state != RunState.SCORING or change.run_id in passed]


def _event(change: StateChange, disclosure: Disclosure, *, is_of_masks: bool) -> Event:
    """A change in words; on hidden cases with no more of a reason than what was found before anything ran."""
    text = word_of(as_stage(change.to_state), is_of_masks=is_of_masks)
    tells_why = disclosure.shows_cases or change.to_state == SubmissionState.REJECTED
    if change.why and tells_why:
        text = f"{text}: {reasons.in_words(change.why)}"
    return Event(disclosure.shown_instant(change.at), text, change.by)
