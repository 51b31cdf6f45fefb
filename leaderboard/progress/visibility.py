"""What a team may see of its own submission, and what an organiser may.

On hidden cases a team reads the state, coarse progress (steps of 5 %), and reasons in our words, all of it as it was at
the beginning of the present minute; exact counts and times would be a channel out of the hidden set. That holds for the
start of a run, too: with one machine it is the end of the run before. Per-case results and logs are shown only where
the phase's cases are public, and to organisers.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q

from leaderboard.board import standings
from leaderboard.core import clock, disk_space
from leaderboard.journey import lifecycle, reasons, scheduling
from leaderboard.models import Phase, Run, RunCase, Standing, StateChange, Submission
from leaderboard.progress import details
from leaderboard.states import ENDED, BatchState, RunState, SubmissionState

COARSE_PERCENT = 5

KINDS: dict[str, str] = {
    SubmissionState.RECEIVED: "idle",
    SubmissionState.VALIDATING: "run",
    SubmissionState.REJECTED: "bad",
    SubmissionState.CANCELLED: "idle",
    SubmissionState.HALTED: "warn",
    RunState.QUEUED: "idle",
    RunState.CANARY: "run",
    RunState.RUNNING: "run",
    RunState.SCORING: "run",
    RunState.SCORED: "ok",
    RunState.FAILED: "bad",
}
# Decisions of people, and what was found before anything ran: shown at once, also on hidden cases.
_AT_ONCE = frozenset({RunState.CANCELLED, SubmissionState.REJECTED})
STEPS = ("Received", "Image checked", "Queue", "First case", "All cases", "Scored")


@dataclass(frozen=True)
class Step:
    """A step of the journey: `state` is "done", "cur", "todo" or "bad"."""

    name: str
    state: str
    detail: str = ""


@dataclass(frozen=True)
class Event:
    """A line of the history."""

    at: datetime
    text: str
    by: str


@dataclass(frozen=True)
class SubmissionView:
    """Everything a page shows about a submission. Empty lists and None mean "not shown to this reader"."""

    state: str
    word: str
    kind: str
    headline: str
    reason: str
    advice: str
    done: int | None
    total: int
    percent: int | None
    exact: bool
    failed: int | None
    now: str
    steps: list[Step]
    finished: bool
    can_cancel: bool
    queue_position: int | None
    history: list[Event]
    figures: dict[str, Any] | None
    image: dict[str, Any] | None
    cells: list[str] = field(default_factory=list)
    batches: list[details.BatchLine] = field(default_factory=list)
    cases: list[details.CaseLine] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    log: str = ""


def submission_view(submission: Submission, *, organiser: bool = False) -> SubmissionView:
    """The submission and its latest run, as a member of its team or an organiser may see them."""
    run, state = submission.latest_run, shown_state(submission, organiser=organiser)
    exact = organiser or submission.phase.cases_are_public
    cases = list(run.cases.select_related("case", "batch")) if run else []
    total = len(cases) or submission.phase.case_set.cases.count()
    done, percent = _progress(run, state, cases, total, exact=exact)
    explanation = _explanation(submission, run, state, cases, exact=exact)
    return SubmissionView(
        state=state,
        word=_word(state),
        kind=KINDS.get(state, "idle"),
        headline=explanation[0],
        reason=explanation[1],
        advice=explanation[2],
        done=done,
        total=total,
        percent=percent,
        exact=exact,
        failed=_lost(cases) if exact else None,
        now=_now(run, state, done, total),
        steps=_steps(submission, run, state, exact=exact),
        finished=state in ENDED,
        can_cancel=state not in ENDED,
        queue_position=_queue_position(run, state, exact=exact) if run else None,
        history=_history(submission, exact=exact),
        figures=_figures(submission, run, organiser=organiser) if state == RunState.SCORED else None,
        image=_image(submission),
        cells=details.cells_of(cases) if exact else [],
        batches=details.batches_of(run) if run and exact else [],
        cases=[details.case_line(case) for case in cases] if exact else [],
        warnings=details.warnings_of(run) if run and exact else [],
        log=details.last_log(run) if run and exact else "",
    )


def progress(submission: Submission) -> tuple[str, str, int | None]:
    """The word and the kind of the state, and the percentage, as a team reads them in a list; few questions asked."""
    run, state = submission.latest_run, shown_state(submission)
    cases = list(run.cases.all()) if run else []
    _, percent = _progress(run, state, cases, len(cases), exact=submission.phase.cases_are_public)
    return _word(state), KINDS.get(state, "idle"), percent


def shown_state(submission: Submission, *, organiser: bool = False) -> str:
    """The state that matters now; on hidden cases the one of the run at the beginning of this minute.

    When a case or a run ends depends on what is in the cases; so may a fault of ours, and the start of the next run.
    """
    run, state = submission.latest_run, submission.stage
    exact = organiser or submission.phase.cases_are_public
    never_left_the_queue = run and run.state == RunState.QUEUED and run.started_at is None
    if exact or run is None or state in _AT_ONCE or never_left_the_queue:
        return state
    minute = clock.minute()
    if run.ended_at and run.ended_at < minute:
        return state
    settled = StateChange.objects.filter(run=run, batch=None, at__lt=minute).order_by("at", "pk").last()
    return settled.to_state if settled else RunState.QUEUED


def _word(state: str) -> str:
    return str((SubmissionState(state) if state in SubmissionState.values else RunState(state)).label)


def _progress(
    run: Run | None, state: str, cases: list[RunCase], total: int, *, exact: bool
) -> tuple[int | None, int | None]:
    if run is None or not total:
        return None, None
    decided = [case for case in cases if case.decided_at]
    if state in ENDED:
        return (len(decided) if exact else None), 100 if state == RunState.SCORED else None
    if exact:
        running = sum(batch.done for batch in run.batches.filter(state=BatchState.LEASED))
        done = min(len(decided) + running, total)
        return done, 100 * done // total
    if state == RunState.SCORING:
        return None, 100
    if not decided:
        return None, 0
    minute = clock.minute()
    known = sum(case.decided_at < minute for case in decided if case.decided_at)
    return None, (100 * known // total) // COARSE_PERCENT * COARSE_PERCENT


def _queue_position(run: Run, state: str, *, exact: bool) -> int | None:
    """The run's place in the queue; on hidden cases as if no run had left it in this minute."""
    if exact:
        return scheduling.position(run)
    if state != RunState.QUEUED:
        return None
    left = Run.objects.filter(started_at__gte=clock.minute())
    return (scheduling.position(run) or 0) + left.count() or None


def _lost(cases: list[RunCase]) -> int:
    return sum(case.result is not None and case.result["status"] != "scored" for case in cases)


def _now(run: Run | None, state: str, done: int | None, total: int) -> str:
    if state == SubmissionState.RECEIVED:
        return "Waits for the check of its image."
    if state == SubmissionState.VALIDATING:
        return "The image is read, verified and rebuilt before any of it runs."
    if run and state == RunState.QUEUED:
        if not disk_space.for_run():
            return "The server is short of disk space. Your run is safe and waits; the organisers have been told."
        if not scheduling.can_run_somewhere(run):
            return "No machine that fits is connected at present. The organisers have to connect one; your run is safe."
        return "Waits for a free machine."
    if state == RunState.CANARY:
        return "The first case runs alone: it shows that the image starts, ends and writes a readable mask."
    if state == RunState.RUNNING:
        return (
            f"Case {min((done or 0) + 1, total)} of {total} is being processed."
            if done is not None
            else "The cases are being processed."
        )
    if state == RunState.SCORING:
        return "The last masks are being scored."
    return ""


def _explanation(
    submission: Submission, run: Run | None, state: str, cases: list[RunCase], *, exact: bool
) -> tuple[str, str, str]:
    """Headline, what it means, what to do: whose fault, at which cost."""
    if submission.state == SubmissionState.REJECTED:
        return (
            "The image cannot be used",
            submission.reason,
            "Change the image and submit again. This was not charged.",
        )
    if submission.disqualified_at:
        return (
            "Disqualified by the organisers",
            submission.disqualified_reason,
            "Write to the organisers if you object.",
        )
    if state in {SubmissionState.HALTED, RunState.HALTED}:
        return (
            reasons.INTERRUPTED.title,
            (run.reason if run and run.state == state else "") or reasons.INTERRUPTED.means,
            reasons.INTERRUPTED.advice,
        )
    if run and state == RunState.FAILED:
        why = reasons.FAILURES["failures_in_row"]
        causes = _causes(cases, exact=exact)
        return (
            why.title,
            f"{run.reason} {causes[0]}. {why.means}" if causes else why.means,
            causes[1] if causes else why.advice,
        )
    known = cases if exact else _published(submission.phase, state, cases)
    if causes := _causes(known, exact=exact):
        lost = _lost(known)
        return (
            f"{lost} {'case' if lost == 1 else 'cases'} lost",
            f"{causes[0]}. Each counts with Dice 0.",
            causes[1],
        )
    return "", "", ""


def _published(phase: Phase, state: str, cases: list[RunCase]) -> list[RunCase]:
    """The hidden cases whose losses are counted on the board, and may be explained to the team: none before the end."""
    scope = standings.published_scope(phase) if state == RunState.SCORED else None
    if scope == Standing.Scope.HALF:
        return [case for case in cases if case.case.in_public_half]
    return cases if scope else []


def _causes(cases: list[RunCase], *, exact: bool) -> tuple[str, str] | None:
    """The reasons of the lost cases in one sentence, and the advice for the first one.

    On hidden cases without their counts, and in an order of ours: an image could write bits of a case into them.
    """
    counts = Counter(case.reason_code for case in cases if case.reason_code in reasons.FAILURES)
    if not counts:
        return None
    if not exact:
        codes = [code for code in reasons.FAILURES if code in counts]
        return "; ".join(reasons.FAILURES[code].title for code in codes), reasons.FAILURES[codes[0]].advice
    shown = [f"{reasons.FAILURES[code].title} ({count}×)" for code, count in counts.most_common()]
    return "; ".join(shown), reasons.FAILURES[counts.most_common(1)[0][0]].advice


def _steps(submission: Submission, run: Run | None, state: str, *, exact: bool) -> list[Step]:
    reached: dict[str, int] = {
        SubmissionState.RECEIVED: 1,
        SubmissionState.VALIDATING: 1,
        SubmissionState.REJECTED: 1,
        RunState.QUEUED: 2,
        RunState.CANARY: 3,
        RunState.RUNNING: 4,
        RunState.SCORING: 5,
        RunState.SCORED: 6,
    }
    at = reached.get(state) or _step_before(run, clock.now() if exact else clock.minute())
    stopped = state in {SubmissionState.REJECTED, RunState.FAILED, RunState.CANCELLED}
    notes = {1: _layers(submission)}
    return [
        Step(
            name,
            "done" if number < at else "todo" if number > at else "bad" if stopped else "cur",
            notes.get(number, "") if number < at else "",
        )
        for number, name in enumerate(STEPS)
    ]


def _step_before(run: Run | None, until: datetime) -> int:
    """How far a run had come that was interrupted or cancelled."""
    if run is None:
        return 1
    if run.started_at is None or run.started_at >= until:
        return 2
    return 4 if run.cases.filter(scored_at__lt=until).exists() else 3


def _layers(submission: Submission) -> str:
    return f"{submission.image.layers} layers" if submission.image else ""


def _history(submission: Submission, *, exact: bool) -> list[Event]:
    by = lifecycle.signature(submission.submitted_by) if submission.submitted_by else "a member of the team"
    changes = StateChange.objects.filter(submission=submission, batch=None)
    if not exact:
        changes = changes.exclude(~Q(to_state__in=_AT_ONCE), run__isnull=False, at__gte=clock.minute())
    events = [Event(submission.accepted_at, f"Submitted for the {submission.get_track_display()} track", by)]
    for change in changes:
        text = _word(change.to_state)
        # Exact times are a channel out of the hidden cases; the minute is not.
        at = change.at if exact else change.at.replace(second=0, microsecond=0)
        events.append(Event(at, f"{text}: {change.why}" if change.why and exact else text, change.by))
    if submission.disqualified_at:
        events.append(Event(submission.disqualified_at, "Disqualified", "the organisers"))
    return events[::-1]


def _figures(submission: Submission, run: Run | None, *, organiser: bool) -> dict[str, Any] | None:
    if run is None or run.state != RunState.SCORED:
        return None
    scope = Standing.Scope.ALL if organiser else standings.published_scope(submission.phase)
    standing = run.standings.filter(scope=scope).first() if scope else None
    if standing is None:
        return None
    return standings.figures(standing, exact=organiser or standings.is_revealed(submission.phase))


def _image(submission: Submission) -> dict[str, Any] | None:
    image = submission.image
    if image is None:
        return None
    return {
        "id": image.image_id,
        "bytes": image.unpacked_bytes,
        "layers": image.layers,
        "warnings": image.warnings,
    }
