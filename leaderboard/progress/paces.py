"""How fast runs are, as estimates need it, and what says so.

How fast others are on hidden cases nobody may learn, and a team of its own runs only as well as their progress tells.
So of a run on hidden cases durations are in whole minutes, at least one, its canary's is not looked at while it runs,
and its speed is rounded to steps of a half more. Only a team's own runs of an image speak for it: that others handed in
the same is not told.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from statistics import median
from typing import Any, Self

from django.db.models import Count, F, Max, Sum

from leaderboard.journey.forecast import UNKNOWN, Pace
from leaderboard.models import Attempt, Run
from leaderboard.states import RunState

MOST_EARLIER = 60  # of the last scored runs, by which the others are judged
FEWEST_TEAMS = 3  # whose runs on hidden cases may be summed up for others
STEP = 1.5  # between the speeds that runs on hidden cases are said to have
CHECK_SECONDS_PER_GB = 20.0  # while no check has been seen
SCORING_SECONDS = 30.0  # likewise, from the last container's end to the score
MINUTE = 60.0


class Basis(StrEnum):
    """What an estimate of a run's speed rests on, the best first, in the words of the page."""

    OWN = "this run’s own cases so far"
    IMAGE = "an earlier run of this image"
    TEAM = "your team’s earlier runs in this phase"
    PHASE = "other runs in this phase"
    NONE = ""


@dataclass(frozen=True)
class OpenRun:
    """A run that is not over, or what a submission will become once its image is checked."""

    key: int
    submission: int
    team: int
    image: int | None
    phase: int
    hidden: bool
    gpus: int
    batch_size: int
    case_set: int
    number: int = 1
    started_at: datetime | None = None
    upload_bytes: int = 0

    @classmethod
    def of(cls, columns: Sequence[Any], **more: Any) -> Self:
        """Of the columns of a submission and its phase."""
        submission, team, image, phase, public, gpus, batch_size, case_set = columns
        policies = {"hidden": not public, "gpus": gpus, "batch_size": batch_size, "case_set": case_set}
        return cls(submission=submission, team=team, image=image, phase=phase, **policies, **more)

    def began(self, minute: datetime) -> bool:
        """Whether it had left the queue."""
        return self.started_at is not None and self.started_at < minute


@dataclass(frozen=True)
class Container:
    """A container of a run: with so many cases, at this slot of a host; without an end it was at work at the minute."""

    canary: bool
    claimed_at: datetime
    ended_at: datetime | None
    cases: int
    place: tuple[int, str]

    def seconds(self, *, hidden: bool) -> float:
        """How long it took; of hidden cases in whole minutes."""
        assert self.ended_at is not None
        if not hidden:
            return (self.ended_at - self.claimed_at).total_seconds()
        began, ended = (at.replace(second=0, microsecond=0) for at in (self.claimed_at, self.ended_at))
        return max(MINUTE, (ended - began).total_seconds())


@dataclass(frozen=True)
class Seen:
    """How fast a run was that is over."""

    team: int
    phase: int
    image: int | None
    pace: Pace


@dataclass(frozen=True)
class Earlier:
    """What the last scored runs tell, the newest first; and how long checks of their images took."""

    runs: Sequence[Seen]
    check_seconds_per_gb: float


def coarse(seconds: float) -> float:
    """A duration as it may be told of hidden cases: in steps of a half more."""
    return float(STEP ** round(math.log(seconds, STEP))) if 0 < seconds < math.inf else seconds


def paces_of(
    runs: Sequence[OpenRun], containers: Mapping[int, Sequence[Container]], earlier: Earlier
) -> dict[int, tuple[Pace, Basis]]:
    """How fast each run is, and what says so; by its key."""
    known = {run.key: _pace_of(run, containers.get(run.key, ()), earlier) for run in runs}
    of_phase = {run.phase: _so_far(run, runs, known) for run in runs}
    return {run.key: known[run.key] if known[run.key][1] else of_phase[run.phase] for run in runs}


def _so_far(run: OpenRun, runs: Sequence[OpenRun], known: Mapping[int, tuple[Pace, Basis]]) -> tuple[Pace, Basis]:
    """What the runs that go on in the same phase tell of one of which nothing is known."""
    by_team = {one.team: known[one.key][0] for one in runs if one.phase == run.phase and known[one.key][1]}
    return _of_teams(by_team, run)


def _of_teams(by_team: Mapping[int, Pace], run: OpenRun) -> tuple[Pace, Basis]:
    """The middle of all teams in the run's phase; on hidden cases that of a few alone would tell of each."""
    if by_team and (not run.hidden or len(by_team) >= FEWEST_TEAMS):
        return _middle([*by_team.values()]), Basis.PHASE
    return UNKNOWN, Basis.NONE


def _pace_of(run: OpenRun, containers: Iterable[Container], earlier: Earlier) -> tuple[Pace, Basis]:
    """By its own batches, else by earlier runs of its image, else by its canary, else by earlier runs of others."""
    prior, basis = _prior(run, earlier.runs)
    ended = [one for one in containers if one.ended_at is not None]
    canary = next((one.seconds(hidden=False) for one in ended if one.canary and not run.hidden), None)
    case = _case_seconds(run, [one for one in ended if not one.canary])
    scoring = prior.scoring if basis else SCORING_SECONDS
    if case is not None:
        return Pace(canary or (prior.canary if basis else case), case, scoring), Basis.OWN
    if canary is not None and basis != Basis.IMAGE:
        share = prior.case / prior.canary if basis and prior.canary else 1.0  # the rest of a canary is its start
        return Pace(canary, canary * share, scoring), Basis.OWN
    return prior, basis


def _case_seconds(run: OpenRun, batches: Sequence[Container]) -> float | None:
    """Seconds for a case by the run's own batches."""
    cases = sum(one.cases for one in batches)
    if not cases:
        return None
    seconds = sum(one.seconds(hidden=run.hidden) for one in batches) / cases
    return coarse(seconds) if run.hidden else seconds


def _prior(run: OpenRun, earlier: Sequence[Seen]) -> tuple[Pace, Basis]:
    """What earlier runs say of this one: of its image, else of its team, else of all teams in its phase."""
    own = [one for one in earlier if one.team == run.team]
    if same := [one for one in own if run.image and one.image == run.image]:
        return next((one for one in same if one.phase == run.phase), same[0]).pace, Basis.IMAGE
    if here := [one.pace for one in own if one.phase == run.phase]:
        return _middle(here[:3]), Basis.TEAM
    return _of_teams({one.team: one.pace for one in reversed(earlier) if one.phase == run.phase}, run)


def _middle(paces: Sequence[Pace]) -> Pace:
    return Pace(*(median(getattr(one, name) for one in paces) for name in ("canary", "case", "scoring")))


# --- runs that are over -----------------------------------------------------------------------------------------------


def earlier_runs(runs: Sequence[OpenRun], sizes: Mapping[int, int], minute: datetime) -> Earlier:
    """What tells of these runs: the last scored ones of their images, and of their phases.

    `sizes` are the numbers of cases of the case sets.
    """
    chosen = _chosen(runs, minute)
    spent = _spent(chosen)
    of_phase = ("submission__phase", "submission__phase__cases_are_public", "submission__phase__case_set")
    of_check = ("number", "created_at", "submission__accepted_at", "submission__upload_bytes")
    rows = Run.objects.filter(pk__in=chosen).order_by("-ended_at")
    seen, checks = [], []
    columns = ("pk", "submission__team", "submission__image", "ended_at", *of_phase, *of_check)
    for pk, team, image, ended_at, phase, public, case_set, *check in rows.values_list(*columns):
        of_run, least = (spent.get((pk, True)), spent.get((pk, False))), 0.0 if public else MINUTE
        pace = _pace_of_ended(*of_run, sizes[case_set], ended_at, least=least)
        if pace is not None:
            seen.append(Seen(team, phase, image, pace if public else _blurred(pace)))
        checks += _check_seconds_per_gb(*check)
    return Earlier(seen, median(checks) if checks else CHECK_SECONDS_PER_GB)


def _chosen(runs: Sequence[OpenRun], minute: datetime) -> list[int]:
    scored = Run.objects.filter(state=RunState.SCORED, ended_at__lt=minute)
    images, teams = {run.image for run in runs if run.image}, {run.team for run in runs}
    by = ("submission__team_id", "submission__image_id", "submission__phase_id")
    same = scored.filter(submission__image__in=images, submission__team__in=teams).order_by(*by, "-ended_at")
    here = scored.filter(submission__phase__in={run.phase for run in runs}).order_by("-ended_at")
    return [*same.distinct(*by).values_list("pk", flat=True), *here.values_list("pk", flat=True)[:MOST_EARLIER]]


_Spent = tuple[float, int, datetime]  # seconds in containers, how many there were, the last one's end


def _spent(runs: Sequence[int]) -> dict[tuple[int, bool], _Spent]:
    """What these runs spent in canaries, and in batches."""
    ended = Attempt.objects.filter(batch__run__in=runs, fault="", ended_at__isnull=False).order_by()
    total = Sum(F("ended_at") - F("claimed_at"))
    rows = ended.values_list("batch__run", "batch__is_canary").annotate(
        spent=total, count=Count("pk"), last=Max("ended_at")
    )
    return {(run, canary): (spent.total_seconds(), count, last) for run, canary, spent, count, last in rows}


def _pace_of_ended(
    canaries: _Spent | None, batches: _Spent | None, cases: int, ended_at: datetime, *, least: float
) -> Pace | None:
    """By what was spent; each part counts at least so many seconds."""
    known = [spent for spent in (canaries, batches) if spent]
    if not known:
        return None
    rest = cases - (canaries[1] if canaries else 0)
    alone = max(least, canaries[0] / canaries[1]) if canaries else None
    case = max(least, batches[0]) / rest if batches and rest > 0 else None
    scoring = max(least, (ended_at - max(last for _, _, last in known)).total_seconds())
    return Pace(alone or case or 0.0, case or alone or 0.0, scoring)


def _blurred(pace: Pace) -> Pace:
    """A pace on hidden cases, as it may be used."""
    return Pace(coarse(pace.canary), coarse(pace.case), coarse(pace.scoring))


def _check_seconds_per_gb(number: int, created_at: datetime, accepted_at: datetime, upload_bytes: int) -> list[float]:
    """How long a check took, from the upload's end to the run, if there was one."""
    seconds = (created_at - accepted_at).total_seconds()
    return [seconds / upload_bytes * 1e9] if number == 1 and upload_bytes else []
