"""What is known of the runs that are not over and of the machines, as estimates need it: the same for every reader.

All of it is as of the last full minute, but for what people do (hand in, cancel), which hosts are there, and runs on
public cases. Of a run on hidden cases it is what its page shows: when it started and ended, and its progress, in steps
of 5 %. Which slots such runs have is not asked, but guessed: what is offered and not used on public cases is theirs.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Count, ExpressionWrapper, Max, Q

from leaderboard.hosts.slots import Slot, fitting, hosts_that_take_work, slots_of, usefulness
from leaderboard.journey.forecast import Pace, SlotState, Turns, Work
from leaderboard.models import Attempt, Case, Run, RunCase, Submission
from leaderboard.progress.earlier import earlier_runs
from leaderboard.progress.paces import FILES, Basis, Container, Earlier, OpenRun, Progress, checked_bytes, paces_of
from leaderboard.progress.shares import Shares, Span, minute_of
from leaderboard.states import ENDED, UNCHECKED, RunState, SubmissionKind

MOST_SPANS = 1000  # of the last runs that started, beside which others were under way


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
    """The line as it may be told at this instant; a dozen questions to the database, however long it is."""
    minute = minute_of(at)
    sizes = dict(Case.objects.order_by().values_list("case_set").annotate(Count("pk")))
    runs = [*_open_runs(minute, sizes), *_unchecked(sizes)]
    began = {run.key: run for run in runs if run.began(minute)}
    decided, in_batch = _decided(set(began), minute)
    offered = _offered(at)
    shares = Shares([*offered.values()], _spans(minute))
    hidden = [run for run in began.values() if run.hidden]
    progress = {run.key: _progress(run, decided.get(run.key, 0), minute, shares) for run in hidden}
    containers = _containers(began.keys() - progress.keys(), minute, in_batch)
    known = _Known(minute, runs, decided, containers, progress, earlier_runs(runs, sizes, minute, shares))
    found = paces_of(runs, {**containers, **progress}, known.earlier)
    paces = {key: pace for key, (pace, _) in found.items()}
    at_work = _at_work(known, offered, paces)
    works = tuple(_work(known, run, paces[run.key], at_work.cases[run.key]) for run in runs)
    turns = _last_served({run.team for run in runs}, minute)
    return Line(minute, works, tuple(at_work.slots), turns, {key: basis for key, (_, basis) in found.items()})


# --- rows -------------------------------------------------------------------------------------------------------------

_OF_SUBMISSION = ("pk", "team", "image", "weights", "kind", "phase__gpus", "phase__batch_size")
_OF_PHASE = ("pk", "cases_are_public", "case_set")
_COLUMNS = (
    *_OF_SUBMISSION,
    "phase__try_out_cases",
    *(f"{phase}__{name}" for phase in ("phase", "cases_of") for name in _OF_PHASE),
)
_OF_AN_IMAGE = Submission.Entry.IMAGE  # masks that were handed in wait for no machine


def _of(columns: Sequence[Any], sizes: Mapping[int, int], **more: Any) -> OpenRun:
    """Of the columns of a submission; a try-out runs on the first few cases of another phase."""
    pk, team, image, weights, kind, gpus, batch_size, few, *phases = columns
    own, other = phases[: len(_OF_PHASE)], phases[len(_OF_PHASE) :]
    phase, public, case_set = other if other[0] is not None else own
    cases = min(few, sizes[case_set]) if other[0] is not None else sizes[case_set]
    needs = {"cases_are_public": public, "has_weights": weights is not None, "gpus": gpus}
    size = {"batch_size": batch_size, "cases": cases}
    return OpenRun(submission=pk, team=team, image=image, phase=phase, kind=kind, **needs, **size, **more)


def _open_runs(minute: datetime, sizes: Mapping[int, int]) -> list[OpenRun]:
    """What was not over at the minute; what somebody cancelled is."""
    open_ = ~Q(state__in=ENDED) | Q(ended_at__gte=minute)
    rows = Run.objects.filter(open_, submission__entry=_OF_AN_IMAGE).exclude(state=RunState.CANCELLED)
    columns = ("pk", "number", "started_at", *(f"submission__{name}" for name in _COLUMNS))
    found = rows.order_by("submission", "number").values_list(*columns)
    return [_of(of, sizes, key=key, number=number, started_at=began) for key, number, began, *of in found]


def _unchecked(sizes: Mapping[int, int]) -> list[OpenRun]:
    """Submissions whose image is being checked."""
    rows = Submission.objects.filter(state__in=UNCHECKED, entry=_OF_AN_IMAGE).order_by("pk")
    return [
        _of(columns[len(FILES) :], sizes, key=-columns[len(FILES)], upload_bytes=checked_bytes(*columns[: len(FILES)]))
        for columns in rows.values_list(*FILES, *_COLUMNS)
    ]


def _spans(minute: datetime) -> list[Span]:
    """When the last runs were under way."""
    rows = Run.objects.filter(started_at__lt=minute, submission__entry=_OF_AN_IMAGE).order_by("-started_at")
    rows = rows.exclude(submission__kind=SubmissionKind.TRY_OUT)  # which take what the others leave
    needs = ("submission__phase__gpus", "submission__phase__cases_are_public", "submission__weights")
    found = rows.values_list(*needs, "started_at", "ended_at")[:MOST_SPANS]
    return [
        Span(gpus, public, weights is not None, minute_of(began), minute_of(min(ended or minute, minute)))
        for gpus, public, weights, began, ended in found
    ]


def _decided(runs: set[int], minute: datetime) -> tuple[dict[int, int], dict[object, int]]:
    """How many cases of each run were decided at the minute; and how many each batch has now."""
    rows = RunCase.objects.filter(run__in=runs).order_by().values_list("run", "batch")
    done = Count("pk", filter=Q(decided_at__lt=minute))
    of_run, in_batch = Counter[int](), {}
    for run, batch, total, decided in rows.annotate(total=Count("pk"), done=done):
        of_run[run] += decided
        in_batch[batch] = total
    return of_run, in_batch


def _progress(run: OpenRun, decided: int, minute: datetime, shares: Shares) -> Progress:
    """How far a run on hidden cases is, by its page."""
    assert run.started_at is not None
    span = Span(run.gpus, run.cases_are_public, run.has_weights, minute_of(run.started_at), minute)
    had = shares.of(span, math.ceil(run.cases / run.batch_size))
    return Progress.of(decided, run.cases, run.batch_size, span.seconds, had)


def _containers(runs: set[int], minute: datetime, in_batch: Mapping[object, int]) -> dict[int, list[Container]]:
    """The containers of these runs that were claimed before the minute, but for those that had ended by our fault."""
    rows = Attempt.objects.filter(batch__run__in=runs, claimed_at__lt=minute)
    rows = rows.exclude(~Q(fault=""), ended_at__lt=minute)
    columns = ("batch__run", "batch", "batch__is_canary", "claimed_at", "ended_at", "host", "slot")
    found: dict[int, list[Container]] = defaultdict(list)
    for run, batch, canary, claimed_at, ended_at, host, slot in rows.order_by("pk").values_list(*columns):
        ended = ended_at if ended_at and ended_at < minute else None
        found[run].append(Container(canary, claimed_at, ended, in_batch.get(batch, 0), (host, slot)))
    return found


def _last_served(teams: set[int], minute: datetime) -> Turns:
    """The teams' lines with the number of their last turn, as starts and ends of their runs tell it."""
    started = Max("started_at", filter=Q(started_at__lt=minute))
    ended = Max("ended_at", filter=Q(ended_at__lt=minute))
    rows = Run.objects.filter(submission__team__in=teams, submission__entry=_OF_AN_IMAGE).order_by()
    is_scored = Q(submission__kind=SubmissionKind.SCORED)
    lines = rows.annotate(is_scored=ExpressionWrapper(is_scored, BooleanField()))
    found = lines.values_list("submission__team", "is_scored").annotate(began=started, over=ended)
    times = [(minute_of(max(filter(None, at))), (team, scored)) for team, scored, *at in found if any(at)]
    return tuple((line, number) for number, (_, line) in enumerate(sorted(times), start=1))


def _offered(at: datetime) -> dict[tuple[int, str], Slot]:
    """The slots of the hosts that take work, by host and name."""
    return {
        (host.pk, str(said.get("name"))): slot
        for host in hosts_that_take_work(at)
        for slot, said in zip(slots_of(host), host.slots, strict=True)
    }


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
