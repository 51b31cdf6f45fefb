"""What is known of the runs that are not over and of the machines, as estimates need it: the same for every reader.

All of it is as of the last full minute, but for what people do (hand in, cancel), which hosts are there, and runs on
public cases. What is taken from a run on hidden cases is what its progress tells, in steps of 5 %, and its speed as
leaderboard/progress/paces.py blurs it.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Q

from leaderboard.board.disclosure import COARSE_PERCENT
from leaderboard.hosts.slots import hosts_that_take_work
from leaderboard.journey.forecast import Pace, Slot, Work
from leaderboard.models import Attempt, Case, Run, RunCase, Submission
from leaderboard.progress.paces import Basis, Container, Earlier, OpenRun, earlier_runs, paces_of
from leaderboard.states import ENDED, UNCHECKED, RunState


@dataclass(frozen=True)
class Line:
    """The runs that are not over, what the slots do, and the order of the teams' last turns.

    `basis` is by run; runs that are still to be made, of images that are being checked, are named by the negative of
    their submission.
    """

    minute: datetime
    works: tuple[Work, ...]
    slots: tuple[Slot, ...]
    turns: tuple[tuple[int, int], ...]
    basis: Mapping[int, Basis]

    def work(self, key: int) -> Work | None:
        """The run of this key."""
        return next((work for work in self.works if work.key == key), None)


@dataclass(frozen=True)
class _Known:
    """What was read of the runs that are not over."""

    minute: datetime
    runs: Sequence[OpenRun]
    sizes: Mapping[int, int]
    decided: Mapping[int, int]
    containers: Mapping[int, Sequence[Container]]
    earlier: Earlier

    def done(self, run: OpenRun) -> int:
        """How many of its cases are decided, as its progress tells."""
        total, done = self.sizes[run.case_set], self.decided.get(run.key, 0)
        if not run.hidden:
            return done
        return math.ceil(total * (100 * done // total // COARSE_PERCENT * COARSE_PERCENT) / 100)


def line_at(at: datetime) -> Line:
    """The line as it may be told at this instant; ten questions to the database, however long it is."""
    minute = at.replace(second=0, microsecond=0)
    runs = [*_open_runs(minute), *_unchecked()]
    began = {run.key for run in runs if run.began(minute)}
    decided, in_batch = _decided(began, minute)
    sizes = dict(Case.objects.order_by().values_list("case_set").annotate(Count("pk")))
    containers = _containers(began, minute, in_batch)
    known = _Known(minute, runs, sizes, decided, containers, earlier_runs(runs, sizes, minute))
    paces = paces_of(runs, containers, known.earlier)
    works = tuple(_work(known, run, paces[run.key][0]) for run in runs)
    slots = _slots(known, at, {key: pace for key, (pace, _) in paces.items()})
    turns = _last_served({run.team for run in runs}, minute)
    return Line(minute, works, slots, turns, {key: basis for key, (_, basis) in paces.items()})


# --- rows -------------------------------------------------------------------------------------------------------------

_OF_SUBMISSION = ("pk", "team", "image", "phase", "phase__cases_are_public", "phase__gpus")
_OF_PHASE = ("phase__batch_size", "phase__case_set")
_COLUMNS = (*_OF_SUBMISSION, *_OF_PHASE)


def _open_runs(minute: datetime) -> list[OpenRun]:
    """What was not over at the minute; what somebody cancelled is."""
    rows = Run.objects.filter(~Q(state__in=ENDED) | Q(ended_at__gte=minute)).exclude(state=RunState.CANCELLED)
    columns = ("pk", "number", "started_at", *(f"submission__{name}" for name in _COLUMNS))
    found = rows.order_by("submission", "number").values_list(*columns)
    return [OpenRun.of(of, key=key, number=number, started_at=began) for key, number, began, *of in found]


def _unchecked() -> list[OpenRun]:
    """Submissions whose image is being checked."""
    rows = Submission.objects.filter(state__in=UNCHECKED).order_by("pk").values_list("upload_bytes", *_COLUMNS)
    return [OpenRun.of(of, key=-of[0], upload_bytes=bytes_) for bytes_, *of in rows]


def _decided(runs: set[int], minute: datetime) -> tuple[dict[int, int], dict[object, int]]:
    """How many cases of each run were decided at the minute; and how many each batch has now."""
    rows = RunCase.objects.filter(run__in=runs).order_by().values_list("run", "batch")
    done = Count("pk", filter=Q(decided_at__lt=minute))
    of_run, in_batch = Counter[int](), {}
    for run, batch, total, decided in rows.annotate(total=Count("pk"), done=done):
        of_run[run] += decided
        in_batch[batch] = total
    return of_run, in_batch


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


def _last_served(teams: set[int], minute: datetime) -> tuple[tuple[int, int], ...]:
    """The teams with the number of their last turn, as starts and ends of their runs tell it."""
    started = Max("started_at", filter=Q(started_at__lt=minute))
    ended = Max("ended_at", filter=Q(ended_at__lt=minute))
    rows = Run.objects.filter(submission__team__in=teams).order_by().values_list("submission__team")
    times = [
        (max(filter(None, found)), team) for team, *found in rows.annotate(began=started, over=ended) if any(found)
    ]
    return tuple((team, number) for number, (_, team) in enumerate(sorted(times), start=1))


# --- what the replay begins with --------------------------------------------------------------------------------------


def _work(known: _Known, run: OpenRun, pace: Pace) -> Work:
    containers = known.containers.get(run.key, ())
    left = known.sizes[run.case_set] - known.done(run)
    held = sum(_cases_of(run, one) for one in containers if one.ended_at is None)
    return Work(
        key=run.key,
        team=run.team,
        order=(run.submission, run.number),
        gpus=run.gpus,
        cases=max(0, left - held),
        batch_size=run.batch_size,
        pace=pace,
        began=run.began(known.minute),
        needs_canary=not any(one.ended_at or not one.canary for one in containers),
        ready_in=known.earlier.check_seconds_per_gb * run.upload_bytes / 1e9,
    )


def _cases_of(run: OpenRun, one: Container) -> int:
    """How many cases a container has; on hidden cases as planned, since those that a crash leaves are fewer at once."""
    return 1 if one.canary else run.batch_size if run.hidden else one.cases


def _slots(known: _Known, at: datetime, paces: Mapping[int, Pace]) -> tuple[Slot, ...]:
    """The slots of hosts that take work, and those that are busy on others; what each does, and until when."""
    offered = {
        (host.pk, str(slot.get("name"))): len(slot.get("gpus", []))
        for host in hosts_that_take_work(at)
        for slot in host.slots
    }
    busy = []
    for run in known.runs:
        for one in known.containers.get(run.key, ()):
            if one.ended_at is None:
                gpus = offered.pop(one.place, None)
                left = _seconds_left(run, one, paces[run.key], known.minute)
                busy.append(Slot(gpus or 0, run.key, left, closing=gpus is None))
    return (*busy, *(Slot(gpus) for _, gpus in sorted(offered.items())))


def _seconds_left(run: OpenRun, one: Container, pace: Pace, minute: datetime) -> float:
    """Until a container ends. One that takes longer than expected is expected to go on for a tenth of its time."""
    whole = pace.canary if one.canary else pace.case * _cases_of(run, one)
    claimed = one.claimed_at.replace(second=0, microsecond=0) if run.hidden else one.claimed_at
    return max(whole - (minute - claimed).total_seconds(), whole / 10)
