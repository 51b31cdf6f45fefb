"""How fast runs are, as estimates need it, and what says so.

How fast others are on hidden cases nobody may learn, and a team of its own runs only as well as their pages tell. So of
a run on hidden cases nothing is asked but what its page shows at the minute: when it started and ended, in whole
minutes, and its progress, in steps of 5 %; never what its containers did. The slots that it had meanwhile are guessed
(shares.py), and the speed is rounded to steps of a half more. Only a team's own runs of an image speak for it: that
others handed in the same is not told.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from statistics import median
from typing import Any, Self

from django.db.models import Count, F, Max, Sum

from leaderboard.board.disclosure import COARSE_PERCENT
from leaderboard.journey.forecast import UNKNOWN, Pace
from leaderboard.models import Attempt, Phase, Run
from leaderboard.progress.shares import Shares, Span, minute_of
from leaderboard.states import RunState

MOST_EARLIER = 60  # of the last scored runs, by which the others are judged
FEWEST_TEAMS = 3  # whose runs on hidden cases may be summed up for others
STEP = 1.5  # between the speeds that runs on hidden cases are said to have
EARLY_PERCENT = 25  # until so much of a run on hidden cases is done, earlier runs of its team say more of its speed
CHECK_SECONDS_PER_GB = 20.0  # while no check has been seen
SCORING_SECONDS = 30.0  # likewise, from the last container's end to the score


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
    cases_are_public: bool
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
        policies = {"cases_are_public": public, "gpus": gpus, "batch_size": batch_size, "case_set": case_set}
        return cls(submission=submission, team=team, image=image, phase=phase, **policies, **more)

    @property
    def hidden(self) -> bool:
        """Whether nothing may be told of its cases."""
        return not self.cases_are_public

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

    @property
    def seconds(self) -> float:
        """How long it took."""
        assert self.ended_at is not None
        return (self.ended_at - self.claimed_at).total_seconds()


@dataclass(frozen=True)
class Progress:
    """How far a run on hidden cases is, as its page tells: in per cent, which is from `least` to `most` cases.

    slot_seconds: what it was under way for so far, times the slots that it had.
    """

    percent: int
    least: int
    most: int
    slot_seconds: float = 0.0

    @classmethod
    def of(cls, decided: int, total: int, slot_seconds: float = 0.0) -> Self:
        """Of so many decided cases, told in steps."""
        percent = 100 * decided // total // COARSE_PERCENT * COARSE_PERCENT
        most = min(total, math.ceil(total * (percent + COARSE_PERCENT) / 100) - 1)
        return cls(percent, math.ceil(total * percent / 100), max(0, most), slot_seconds)

    @property
    def done(self) -> float:
        """How many cases are done, as far as one can say; none while it is not told that any are."""
        return (self.least + self.most) / 2 if self.least else 0.0


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


Told = Sequence[Container] | Progress  # of a run on public cases, or on hidden ones


def paces_of(runs: Sequence[OpenRun], told: Mapping[int, Told], earlier: Earlier) -> dict[int, tuple[Pace, Basis]]:
    """How fast each run is, and what says so; by its key."""
    known = {run.key: _pace_of(run, told.get(run.key, ()), earlier) for run in runs}
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


def _pace_of(run: OpenRun, told: Told, earlier: Earlier) -> tuple[Pace, Basis]:
    """By what is told of itself, else by earlier runs: of its image, of its team, of others."""
    prior, basis = _prior(run, earlier.runs)
    if isinstance(told, Progress):
        return _by_progress(told, prior, basis)
    return _by_containers(told, prior, basis)


def _by_containers(containers: Sequence[Container], prior: Pace, basis: Basis) -> tuple[Pace, Basis]:
    """By its own batches, else by earlier runs of its image, else by its canary, else by earlier runs of others."""
    ended = [one for one in containers if one.ended_at is not None]
    canary = next((one.seconds for one in ended if one.canary), None)
    batches = [one for one in ended if not one.canary]
    scoring = prior.scoring if basis else SCORING_SECONDS
    if cases := sum(one.cases for one in batches):
        case = sum(one.seconds for one in batches) / cases
        return Pace(canary or (prior.canary if basis else case), case, scoring), Basis.OWN
    if canary is not None and basis != Basis.IMAGE:
        share = prior.case / prior.canary if basis and prior.canary else 1.0  # the rest of a canary is its start
        return Pace(canary, canary * share, scoring), Basis.OWN
    return prior, basis


def _by_progress(progress: Progress, prior: Pace, basis: Basis) -> tuple[Pace, Basis]:
    """By its own progress, once that tells more than earlier runs do; by these, as long as it can be as fast."""
    is_early = progress.percent < EARLY_PERCENT and basis in (Basis.IMAGE, Basis.TEAM)
    if progress.done and not is_early:
        case = coarse(progress.slot_seconds / progress.done)
        return Pace(case, case, prior.scoring if basis else SCORING_SECONDS), Basis.OWN
    at_least = progress.slot_seconds / (progress.most + 1)
    if basis and at_least > prior.case:
        return Pace(prior.canary, coarse(at_least), prior.scoring), basis
    return prior, basis


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


def earlier_runs(runs: Sequence[OpenRun], sizes: Mapping[int, int], minute: datetime, shares: Shares) -> Earlier:
    """What tells of these runs: the last scored ones of their images, and of their phases.

    `sizes` are the numbers of cases of the case sets.
    """
    columns = ("pk", "started_at", "ended_at", "submission__team", "submission__image", "submission__phase", *_CHECKED)
    rows = Run.objects.filter(pk__in=_chosen(runs, minute)).order_by("-ended_at").values_list(*columns)
    phases = Phase.objects.in_bulk({phase for *_, phase, _, _, _, _ in rows})
    spent = _spent([pk for pk, *_, phase, _, _, _, _ in rows if phases[phase].cases_are_public])
    seen, checks = [], []
    for pk, began, ended, team, image, phase_id, *check in rows:
        phase = phases[phase_id]
        cases = sizes[phase.case_set_id]
        if not phase.cases_are_public:
            pace = _pace_by_minutes(began, ended, cases, phase, shares)
        else:
            pace = _pace_of_ended(spent.get((pk, True)), spent.get((pk, False)), cases, ended)
        if pace is not None:
            seen.append(Seen(team, phase_id, image, pace))
        checks += _check_seconds_per_gb(*check)
    return Earlier(seen, median(checks) if checks else CHECK_SECONDS_PER_GB)


_CHECKED = ("number", "created_at", "submission__accepted_at", "submission__upload_bytes")


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


def _pace_by_minutes(began: datetime | None, ended: datetime, cases: int, phase: Phase, shares: Shares) -> Pace | None:
    """On hidden cases: by when it started and ended."""
    if began is None:
        return None
    span = Span(phase.gpus, phase.cases_are_public, minute_of(began), minute_of(ended))
    case = coarse(span.seconds * shares.of(span, math.ceil(cases / phase.batch_size)) / cases)
    return Pace(case, case, SCORING_SECONDS)


def _check_seconds_per_gb(number: int, created_at: datetime, accepted_at: datetime, upload_bytes: int) -> list[float]:
    """How long a check took, from the upload's end to the run, if there was one."""
    seconds = (created_at - accepted_at).total_seconds()
    return [seconds / upload_bytes * 1e9] if number == 1 and upload_bytes else []
