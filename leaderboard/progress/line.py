"""What is known of the runs that are not over and of the machines, as estimates need it: the same for every reader.

All of it is as of the last full minute, but for what people do (hand in, cancel), which hosts are there, and runs on
public cases. Of a run on hidden cases it is what its page shows: when it started and ended, and its progress, in steps
of 5 %. Which slots such runs have is not asked, but guessed: what is offered and not used on public cases is theirs.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from django.db.models import Count

from leaderboard.core.minutes import found_once, minute_of
from leaderboard.hosts.slots import Slot, fitting, usefulness
from leaderboard.journey.forecast import Pace, SlotState, Turns, Work, line_up
from leaderboard.models import Case
from leaderboard.progress import line_rows as rows
from leaderboard.progress.earlier import Wanted, earlier_runs
from leaderboard.progress.paces import Basis, Container, Earlier, OpenRun, Progress, paces_of
from leaderboard.progress.shares import Shares, Span
from leaderboard.states import SubmissionKind


@dataclass(frozen=True)
class Line:
    """The runs that are not over, what the slots do, and the order of the teams' last turns.

    `basis` is by run; runs that are still to be made, of images that are being checked, are named by the negative of
    their submission.
    """

    minute: datetime
    works: tuple[Work, ...]
    slots: tuple[SlotState, ...]
    turns: Turns
    basis: Mapping[int, Basis]

    def work(self, key: int) -> Work | None:
        """The run of this key."""
        return next((work for work in self.works if work.key == key), None)

    @cached_property
    def queue(self) -> list[int]:
        """The keys of the runs that did not begin, of those whose images are checked, as they will."""
        return line_up([work for work in self.works if work.key > 0], self.turns)


@dataclass(frozen=True)
class _Present:
    """What may change at any moment, as it is now; all else is as of the minute.

    sizes: the numbers of cases of the case sets; offered: the slots of the hosts that take work, each with its place.
    """

    minute: datetime
    sizes: tuple[tuple[int, int], ...]
    runs: tuple[OpenRun, ...]
    offered: tuple[tuple[tuple[int, str], Slot], ...]
    decided: tuple[tuple[int, int], ...]
    containers: tuple[tuple[int, tuple[Container, ...]], ...]

    @property
    def slots(self) -> tuple[Slot, ...]:
        """What hosts offer."""
        return tuple(slot for _, slot in self.offered)


@dataclass(frozen=True)
class _Known:
    """What was read of the runs that are not over: of those that began the containers, or what their pages tell."""

    minute: datetime
    runs: Sequence[OpenRun]
    decided: Mapping[int, int]
    containers: Mapping[int, Sequence[Container]]
    progress: Mapping[int, Progress]
    earlier: Earlier

    def left(self, run: OpenRun) -> int:
        """How many of its cases are not decided, as far as its progress tells."""
        told = self.progress.get(run.key)
        return run.cases - (int(told.done) if told else self.decided.get(run.key, 0))

    def needs_canary(self, run: OpenRun) -> bool:
        """Whether its canary was not scored, as far as one can say."""
        if told := self.progress.get(run.key):
            return not told.done
        return not any(one.ended_at or not one.canary for one in self.containers.get(run.key, ()))


def line_at(at: datetime) -> Line:
    """The line as it may be told at this instant; a dozen questions to the database, however long it is.

    Half of them are asked once in a minute, as long as what may change at any moment does not.
    """
    present = _present(at)
    return found_once(at, present, lambda: _line(present, at))


def _present(at: datetime) -> _Present:
    minute = minute_of(at)
    sizes = dict(Case.objects.order_by().values_list("case_set").annotate(Count("pk")))
    runs = [*rows.open_runs(minute, sizes), *rows.unchecked(sizes)]
    public = {run.key for run in runs if run.began(minute) and not run.hidden}
    decided, in_batch = rows.decided(public, minute)
    containers = rows.containers(public, minute, in_batch)
    return _Present(
        minute,
        tuple(sorted(sizes.items())),
        tuple(runs),
        tuple(rows.offered(at).items()),
        tuple(decided.items()),
        tuple((run, tuple(of_run)) for run, of_run in containers.items()),
    )


def _line(present: _Present, at: datetime) -> Line:
    minute, runs, sizes, slots = present.minute, present.runs, dict(present.sizes), present.slots
    shares = found_once(at, ("shares", slots), lambda: Shares(slots, rows.spans(minute)))
    hidden = [run for run in runs if run.began(minute) and run.hidden]
    progress = _progress_of(hidden, at, shares)
    containers = dict(present.containers)
    wanted = Wanted.by(runs)
    asked = wanted, present.sizes, slots
    earlier = found_once(at, asked, lambda: earlier_runs(wanted, sizes, minute, shares))
    known = _Known(minute, runs, dict(present.decided), containers, progress, earlier)
    found = paces_of(runs, {**containers, **progress}, known.earlier)
    paces = {key: pace for key, (pace, _) in found.items()}
    at_work = _at_work(known, dict(present.offered), paces)
    works = tuple(_work(known, run, paces[run.key], at_work.cases[run.key]) for run in runs)
    turns = _last_served({run.team for run in runs}, at)
    return Line(minute, works, tuple(at_work.slots), turns, {key: basis for key, (_, basis) in found.items()})


def _progress_of(hidden: Sequence[OpenRun], at: datetime, shares: Shares) -> dict[int, Progress]:
    """How far the runs on hidden cases are, by their pages."""
    minute, keys = minute_of(at), frozenset(run.key for run in hidden)
    decided = found_once(at, ("decided", keys), lambda: rows.decided_before(minute, keys))
    return {run.key: _progress(run, decided.get(run.key, 0), minute, shares) for run in hidden}


def _progress(run: OpenRun, decided: int, minute: datetime, shares: Shares) -> Progress:
    """How far a run on hidden cases is, by its page."""
    assert run.started_at is not None
    span = Span(run.gpus, run.cases_are_public, run.has_weights, minute_of(run.started_at), minute)
    had = shares.of(span, math.ceil(run.cases / run.batch_size))
    return Progress.of(decided, run.cases, run.batch_size, span.seconds, had)


def _last_served(teams: Set[int], at: datetime) -> Turns:
    """The teams' lines with the number of their last turn, as starts and ends of their runs tell it."""
    times = found_once(at, "last served", lambda: rows.last_times(minute_of(at)))
    return tuple((line, number) for number, line in enumerate((line for line in times if line[0] in teams), start=1))


# --- what the replay begins with --------------------------------------------------------------------------------------


def _work(known: _Known, run: OpenRun, pace: Pace, at_work: int) -> Work:
    return Work(
        key=run.key,
        team=run.team,
        order=(run.submission, run.number),
        gpus=run.gpus,
        cases_are_public=run.cases_are_public,
        has_weights=run.has_weights,
        kind=run.kind,
        cases=max(0, known.left(run) - at_work),
        batch_size=run.batch_size,
        pace=pace,
        began=run.began(known.minute),
        put_first=run.put_first,
        needs_canary=known.needs_canary(run),
        ready_in=known.earlier.check_seconds_per_gb * run.upload_bytes / 1e9,
    )


@dataclass
class _AtWork:
    """What the slots do, and how many cases of each run are in containers."""

    slots: list[SlotState] = field(default_factory=list)
    cases: Counter[int] = field(default_factory=Counter)

    def add(self, slot: Slot, run: OpenRun, cases: int, seconds: float, *, closing: bool = False) -> None:
        """A container of the run is at work in the slot, for so long."""
        self.slots.append(SlotState(slot, run.key, seconds, closing))
        self.cases[run.key] += cases


def _at_work(known: _Known, offered: Mapping[tuple[int, str], Slot], paces: Mapping[int, Pace]) -> _AtWork:
    """What the slots of hosts that take work do, and those of other hosts that are busy on public cases."""
    at_work, free = _AtWork(), dict(offered)
    for run in known.runs:
        for one in known.containers.get(run.key, ()):
            if one.ended_at is None:
                slot = free.pop(one.place, None)
                cases = 1 if one.canary else one.cases
                left = _seconds_left(one, cases, paces[run.key], known.minute)
                at_work.add(slot or Slot(0, ""), run, cases, left, closing=slot is None)
    left_over = sorted(free.values(), key=usefulness)
    _give_to_hidden(known, left_over, paces, at_work)
    at_work.slots += [SlotState(slot) for slot in left_over]
    return at_work


def _seconds_left(one: Container, cases: int, pace: Pace, minute: datetime) -> float:
    """Until a container ends. One that takes longer than expected is expected to go on for a tenth of its time."""
    whole = pace.canary if one.canary else pace.case * cases
    return max(whole - (minute - one.claimed_at).total_seconds(), whole / 10)


def _give_to_hidden(known: _Known, free: list[Slot], paces: Mapping[int, Pace], at_work: _AtWork) -> None:
    """Runs on hidden cases are taken to have a slot each, and more while nobody waits; half of their time is over."""
    runs = [run for run in known.runs if run.key in known.progress]
    runs.sort(key=lambda run: run.kind != SubmissionKind.SCORED)
    somebody_waits = any(run.key > 0 and not run.began(known.minute) for run in known.runs)
    for _ in range(1 if somebody_waits else len(free)):
        for run in runs:
            canary, pace = known.needs_canary(run), paces[run.key]
            cases = min(1 if canary else run.batch_size, known.left(run) - at_work.cases[run.key])
            is_alone = canary and at_work.cases[run.key]
            if cases > 0 and not is_alone and (slot := fitting(free, run)):
                free.remove(slot)
                at_work.add(slot, run, cases, (pace.canary if canary else pace.case * cases) / 2)
