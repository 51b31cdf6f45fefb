"""When a run starts and finishes, as its page may say it: ranges of instants, or plainly that there is no estimate."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from leaderboard.board.disclosure import Disclosure
from leaderboard.challenge import maintenance
from leaderboard.core import disk_space
from leaderboard.journey.forecast import Times, Work, forecast
from leaderboard.models import Run, Submission
from leaderboard.progress.line import Line, line_at
from leaderboard.states import ACTIVE_RUN_STATES, UNCHECKED, RunState, Stage, SubmissionState

# The ends of the ranges, as parts of the time estimated: `./dev bench estimates` measures how many come true.
OF_START = 0.4, 2.0
OF_FINISH = 0.6, 1.7
SLACK = timedelta(minutes=1)  # everything is as of the last full minute
# By how far away the end of a range is: its step, of which an end is a multiple; on hidden cases at least COARSE_STEP.
STEPS = (
    (timedelta(minutes=15), timedelta(minutes=1)),
    (timedelta(hours=2), timedelta(minutes=5)),
    (timedelta(hours=6), timedelta(minutes=15)),
    (timedelta.max, timedelta(hours=1)),
)
COARSE_STEP = timedelta(minutes=5)


@dataclass(frozen=True)
class Range:
    """Two instants (UTC), in between which something is expected; the first may have passed.

    likely: what they were made of; it is measured by, and never shown.
    """

    first: datetime
    last: datetime
    likely: datetime = field(repr=False)


@dataclass(frozen=True)
class Estimate:
    """A run's place in the queue, from 1, when it starts and finishes, and what that rests on, in words.

    `start` is only there of a run that did not start; `none` says why what is missing cannot be said.
    """

    place: int | None = None
    start: Range | None = None
    finish: Range | None = None
    basis: str = ""
    none: str = ""


def estimate_of(submission: Submission, run: Run | None, stage: Stage, disclosure: Disclosure) -> Estimate | None:
    """What may be said of a submission that its reader sees in this stage; None once it is over."""
    queued = stage in UNCHECKED or stage == RunState.QUEUED
    if stage in (RunState.HALTED, SubmissionState.HALTED):
        return Estimate(none="No estimate while it is interrupted. It goes on by itself.")
    if not queued and stage not in ACTIVE_RUN_STATES:
        return None
    line = line_at(disclosure.at)
    key = run.pk if run else -submission.pk
    work = line.work(key)
    if work is None:
        return None
    waits = queued and not work.began
    place = (line.queue.index(key) + 1 if waits else 1) if stage == RunState.QUEUED else None
    if why := _nothing_starts(work, line, disclosure.at) if waits else _nothing_goes_on():
        return Estimate(place=place, none=why)
    times = forecast(line.works, line.slots, line.turns)[key]
    return _in_words(line, work, place, times, waits, disclosure)


def _nothing_starts(work: Work, line: Line, at: datetime) -> str:
    if maintenance.is_on(at):
        return "No estimate: nothing starts during the pause for maintenance. It keeps its place."
    if not disk_space.allows_run():
        return "No estimate: nothing starts while the server is short of disk space."
    return "" if _has_machine(work, line) else "No estimate: no machine that fits takes runs at present."


def _nothing_goes_on() -> str:
    return "" if disk_space.allows_mask() else "No estimate: nothing goes on while the server is short of disk space."


def _has_machine(work: Work, line: Line) -> bool:
    return any(state.slot.takes(work) and not state.closing for state in line.slots)


def _in_words(line: Line, work: Work, place: int | None, times: Times, waits: bool, disclosure: Disclosure) -> Estimate:
    start = _range(line.minute, times.start, OF_START, disclosure) if waits else None
    finish = _range(line.minute, times.finish, OF_FINISH, disclosure)
    none = ""
    if waits and start is None:
        none = "No estimate: nobody knows yet how long the runs before it take."
    elif finish is None and not _has_machine(work, line):
        none = "No estimate of its end: no machine that fits takes runs at present."
    elif finish is None:
        none = "No estimate of its end: no run like it was seen yet."
    return Estimate(place, start, finish, line.basis[work.key].value if finish else "", none)


def _range(minute: datetime, seconds: float, parts: tuple[float, float], disclosure: Disclosure) -> Range | None:
    """From when to when something is expected that is estimated for so many seconds after the minute."""
    if seconds == math.inf:
        return None
    first, last = (minute + timedelta(seconds=seconds * part) for part in parts)
    step = next(step for far, step in STEPS if last - minute <= far)
    if not disclosure.shows_cases:
        step = max(step, COARSE_STEP)
    likely = minute + timedelta(seconds=seconds)
    return Range(_multiple(first, step), _multiple(last + SLACK, step) + step, likely)


def _multiple(at: datetime, step: timedelta) -> datetime:
    """The last multiple of a step, in the day by UTC, that is not after `at`."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + (at - day) // step * step
