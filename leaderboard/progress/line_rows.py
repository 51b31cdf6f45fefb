"""What is read of the runs that are not over, of the machines, and of the last turns, for the line (line.py)."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Count, ExpressionWrapper, Max, Q
from django.db.models.functions import Greatest, TruncMinute

from leaderboard.core.minutes import minute_of
from leaderboard.hosts.slots import Slot, hosts_that_take_work, slots_of
from leaderboard.journey.forecast import Line
from leaderboard.models import Attempt, Run, RunCase, Submission
from leaderboard.progress.paces import FILES, Container, OpenRun, checked_bytes
from leaderboard.progress.shares import Span
from leaderboard.states import ENDED, UNCHECKED, RunState, SubmissionKind

MOST_SPANS = 1000  # of the last runs that started, beside which others were under way
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


def open_runs(minute: datetime, sizes: Mapping[int, int]) -> list[OpenRun]:
    """What was not over at the minute; what somebody cancelled is."""
    open_ = ~Q(state__in=ENDED) | Q(ended_at__gte=minute)
    rows = Run.objects.filter(open_, submission__entry=_OF_AN_IMAGE).exclude(state=RunState.CANCELLED)
    columns = ("pk", "number", "started_at", "put_first_at", *(f"submission__{name}" for name in _COLUMNS))
    found = rows.order_by("submission", "number").values_list(*columns)
    return [
        _of(of, sizes, key=key, number=number, started_at=began, put_first=first is not None)
        for key, number, began, first, *of in found
    ]


def unchecked(sizes: Mapping[int, int]) -> list[OpenRun]:
    """Submissions whose image is being checked."""
    rows = Submission.objects.filter(state__in=UNCHECKED, entry=_OF_AN_IMAGE).order_by("pk")
    return [
        _of(columns[len(FILES) :], sizes, key=-columns[len(FILES)], upload_bytes=checked_bytes(*columns[: len(FILES)]))
        for columns in rows.values_list(*FILES, *_COLUMNS)
    ]


def spans(minute: datetime) -> list[Span]:
    """When the last runs were under way."""
    rows = Run.objects.filter(started_at__lt=minute, submission__entry=_OF_AN_IMAGE).order_by("-started_at")
    rows = rows.exclude(submission__kind=SubmissionKind.TRY_OUT)  # which take what the others leave
    needs = ("submission__phase__gpus", "submission__phase__cases_are_public", "submission__weights")
    found = rows.values_list(*needs, "started_at", "ended_at")[:MOST_SPANS]
    return [
        Span(gpus, public, weights is not None, minute_of(began), minute_of(min(ended or minute, minute)))
        for gpus, public, weights, began, ended in found
    ]


def decided_before(minute: datetime, runs: Set[int]) -> dict[int, int]:
    """How many cases of each run were decided before the minute."""
    rows = RunCase.objects.filter(run__in=runs, decided_at__lt=minute).order_by()
    return dict(rows.values_list("run").annotate(decided=Count("*")))  # no column is named: an index is enough


def decided(runs: Set[int], minute: datetime) -> tuple[dict[int, int], dict[object, int]]:
    """How many cases of each run were decided at the minute; and how many each batch has now."""
    rows = RunCase.objects.filter(run__in=runs).order_by().values_list("run", "batch")
    done = Count("pk", filter=Q(decided_at__lt=minute))
    of_run, in_batch = Counter[int](), {}
    for run, batch, total, decided in rows.annotate(total=Count("pk"), done=done):
        of_run[run] += decided
        in_batch[batch] = total
    return of_run, in_batch


def containers(runs: set[int], minute: datetime, in_batch: Mapping[object, int]) -> dict[int, list[Container]]:
    """The containers of these runs that were claimed before the minute, but for those that had ended by our fault."""
    rows = Attempt.objects.filter(batch__run__in=runs, claimed_at__lt=minute)
    rows = rows.exclude(~Q(fault=""), ended_at__lt=minute)
    columns = ("batch__run", "batch", "batch__is_canary", "claimed_at", "ended_at", "host", "slot")
    found: dict[int, list[Container]] = defaultdict(list)
    for run, batch, canary, claimed_at, ended_at, host, slot in rows.order_by("pk").values_list(*columns):
        ended = ended_at if ended_at and ended_at < minute else None
        found[run].append(Container(canary, claimed_at, ended, in_batch.get(batch, 0), (host, slot)))
    return found


def last_times(minute: datetime) -> list[Line]:
    """The lines of all teams, in the order in which they were served last."""
    started = Max("started_at", filter=Q(started_at__lt=minute))
    ended = Max("ended_at", filter=Q(ended_at__lt=minute))
    rows = Run.objects.filter(submission__entry=_OF_AN_IMAGE).order_by()
    is_scored = Q(submission__kind=SubmissionKind.SCORED)
    lines = rows.annotate(is_scored=ExpressionWrapper(is_scored, BooleanField()))
    last = TruncMinute(Greatest(started, ended))  # the one that is there, if one is
    found = lines.values("submission__team", "is_scored").annotate(last=last).exclude(last=None)
    return list(found.order_by("last", "submission__team", "is_scored").values_list("submission__team", "is_scored"))


def offered(at: datetime) -> dict[tuple[int, str], Slot]:
    """The slots of the hosts that take work, by host and name."""
    return {
        (host.pk, str(said.get("name"))): slot
        for host in hosts_that_take_work(at)
        for slot, said in zip(slots_of(host), host.slots, strict=True)
    }
