"""How fast runs were that are over, and how long checks of their images took.

On public cases by their containers; on hidden ones by when they started and ended, as paces.py says.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, Self

from django.db.models import Count, F, Max, Sum

from leaderboard.core.minutes import minute_of
from leaderboard.journey.forecast import Pace
from leaderboard.models import Attempt, Run, Submission
from leaderboard.progress.paces import (
    CHECK_SECONDS_PER_GB,
    FILES,
    SCORING_SECONDS,
    Earlier,
    OpenRun,
    Seen,
    checked_bytes,
    even,
)
from leaderboard.progress.shares import Shares, Span
from leaderboard.states import RunState, SubmissionKind

MOST_EARLIER = 60  # of the last scored runs, by which the others are judged


@dataclass(frozen=True)
class Wanted:
    """Of what earlier runs are asked: runs of these images by these teams, and in these phases."""

    images: frozenset[int]
    teams: frozenset[int]
    phases: frozenset[int]

    @classmethod
    def by(cls, runs: Sequence[OpenRun]) -> Self:
        """What tells of these runs."""
        images = frozenset(run.image for run in runs if run.image)
        return cls(images, frozenset(run.team for run in runs), frozenset(run.phase for run in runs))


def earlier_runs(wanted: Wanted, sizes: Mapping[int, int], minute: datetime, shares: Shares) -> Earlier:
    """The last scored runs, and how long checks of their images took.

    `sizes` are the numbers of cases of the case sets.
    """
    columns = ("pk", "started_at", "ended_at", "submission__team", "submission__image", *_OF_PHASE, *_OF_CHECK)
    rows = Run.objects.filter(pk__in=_chosen(wanted, minute)).order_by("-ended_at").values_list(*columns, named=True)
    spent = _spent([row.pk for row in rows if row.submission__phase__cases_are_public])
    seen, checks = [], []
    for row in rows:
        if row.submission__phase__cases_are_public:
            of_run = spent.get((row.pk, True)), spent.get((row.pk, False))
            pace = _pace_of_ended(*of_run, sizes[row.submission__phase__case_set], row.ended_at)
        else:
            pace = _pace_by_minutes(row, sizes, shares)
        if pace is not None:
            seen.append(Seen(row.submission__team, row.submission__phase, row.submission__image, pace))
        checks += _check_seconds_per_gb(row)
    return Earlier(seen, median(checks) if checks else CHECK_SECONDS_PER_GB)


_OF_PHASE = (
    "submission__phase",
    *(f"submission__phase__{name}" for name in ("cases_are_public", "gpus", "batch_size", "case_set")),
    "submission__weights",
)
_OF_CHECK = (
    "number",
    "created_at",
    "submission__accepted_at",
    *(f"submission__{name}" for name in FILES),
)


def _chosen(wanted: Wanted, minute: datetime) -> list[int]:
    scored = Run.objects.filter(state=RunState.SCORED, ended_at__lt=minute, submission__entry=Submission.Entry.IMAGE)
    scored = scored.exclude(submission__kind=SubmissionKind.TRY_OUT)  # which are on few cases, of another phase
    by = ("submission__team_id", "submission__image_id", "submission__phase_id")
    same = scored.filter(submission__image__in=wanted.images, submission__team__in=wanted.teams)
    here = scored.filter(submission__phase__in=wanted.phases).order_by("-ended_at")
    return [
        *same.order_by(*by, "-ended_at").distinct(*by).values_list("pk", flat=True),
        *here.values_list("pk", flat=True)[:MOST_EARLIER],
    ]


_Spent = tuple[float, int, datetime]  # seconds in containers, how many there were, the last one's end


def _spent(runs: Sequence[int]) -> dict[tuple[int, bool], _Spent]:
    """What these runs spent in canaries, and in batches."""
    ended = Attempt.objects.filter(batch__run__in=runs, fault="", ended_at__isnull=False).order_by()
    total = Sum(F("ended_at") - F("claimed_at"))
    rows = ended.values_list("batch__run", "batch__is_canary").annotate(
        spent=total, count=Count("pk"), last=Max("ended_at")
    )
    return {(run, canary): (spent.total_seconds(), count, last) for run, canary, spent, count, last in rows}


def _pace_of_ended(canaries: _Spent | None, batches: _Spent | None, cases: int, ended_at: datetime) -> Pace | None:
    """On public cases: by what was spent."""
    known = [spent for spent in (canaries, batches) if spent]
    if not known:
        return None
    rest = cases - (canaries[1] if canaries else 0)
    alone = canaries[0] / canaries[1] if canaries else None
    case = batches[0] / rest if batches and rest > 0 else None
    scoring = max(0.0, (ended_at - max(last for _, _, last in known)).total_seconds())
    return Pace(alone or case or 0.0, case or alone or 0.0, scoring)


def _pace_by_minutes(row: Any, sizes: Mapping[int, int], shares: Shares) -> Pace | None:
    """On hidden cases: by when it started and ended."""
    if row.started_at is None:
        return None
    needs = row.submission__phase__gpus, row.submission__phase__cases_are_public, row.submission__weights is not None
    span = Span(*needs, minute_of(row.started_at), minute_of(row.ended_at))
    cases = sizes[row.submission__phase__case_set]
    had = shares.of(span, math.ceil(cases / row.submission__phase__batch_size))
    return even(span.seconds * had / cases, SCORING_SECONDS)


def _check_seconds_per_gb(row: Any) -> list[float]:
    """How long a check took, from the upload's end to the run, if there was one."""
    size = checked_bytes(*(getattr(row, f"submission__{name}") for name in FILES))
    seconds = (row.created_at - row.submission__accepted_at).total_seconds()
    return [seconds / size * 1e9] if row.number == 1 and size else []
