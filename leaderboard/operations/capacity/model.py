"""GPU hours foreseen until a deadline: pure arithmetic on what teams did so far.

How many runs are still to come follows from how many there were, and from which share of a season's runs the last rush
had at this point; what is known of few runs leans on what teams did last time. They are dealt out to teams by what
these handed in so far, no team gets more than it has left, and each run takes what its team's runs took. Intervals come
from resampling teams, of this season and of the last rush, and from what differs between whole seasons (`BETWEEN`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

DRAWS, SEED = 400, 14
STEPS = 24
LEAN = 0.05  # how much what teams did last time counts: as much as this share of a season
NOTHING_YET = 0.5  # the weight of a team without a run, in runs
BETWEEN = 0.4  # by how much (sd of the logarithm) seasons differ beyond what teams do
COMMON_RUSH = 0.5  # without an earlier season: the share of its runs in the last part of a season is that part to this


class Verdict(StrEnum):
    """Whether it fits: surely, perhaps, or not."""

    FITS = "fits"
    JUST = "just"
    SHORT = "short"


@dataclass(frozen=True)
class TeamSoFar:
    """A team: its runs so far, how many it has left, and GPU hours of one of its runs; None while nobody knows."""

    runs: int
    left: int
    hours: float | None


@dataclass(frozen=True)
class Season:
    """What is known at an instant, `left` seconds before the deadline of a phase that is `length` seconds long.

    open_hours: of runs that wait or are under way. gpus: how many take work, but for `pauses` (seconds from now).
    rush: of each team of the last season, how many seconds before its deadline it handed runs in.
    """

    left: float
    length: float
    teams: Sequence[TeamSoFar]
    open_hours: float
    gpus: int
    pauses: Sequence[tuple[float, float]] = ()
    rush: Sequence[Sequence[float]] = ()

    def there(self, until: float) -> float:
        """GPU hours that there are from now until so many seconds from now."""
        paused = sum(max(0.0, min(end, until) - max(begin, 0.0)) for begin, end in self.pauses)
        return self.gpus * (until - paused) / 3600


@dataclass(frozen=True)
class Step:
    """GPU hours by an instant, in seconds from now: foreseen with an interval, and there."""

    seconds: float
    hours: float
    low: float
    high: float
    there: float


@dataclass(frozen=True)
class Foreseen:
    """GPU hours until the deadline: foreseen with a 95 % interval, and there; how late the last runs would start."""

    hours: float
    low: float
    high: float
    there: float
    runs: float
    late_hours: float
    steps: Sequence[Step]

    @property
    def verdict(self) -> Verdict:
        """Whether it fits."""
        if self.high <= self.there:
            return Verdict.FITS
        return Verdict.JUST if self.hours <= self.there else Verdict.SHORT


def foresee(season: Season) -> Foreseen | None:
    """What is foreseen of one alone; None while nobody knows what a run takes."""
    return foresee_all([season])[0]


def foresee_all(seasons: Sequence[Season]) -> list[Foreseen | None]:
    """What is foreseen of seasons whose runs the same GPUs do: until the deadline of each, of all of them.

    None while nobody knows what one of its runs takes. The same facts give the same numbers.
    """
    known = [team.hours for season in seasons for team in season.teams if team.hours is not None]
    if not known:
        return [None] * len(seasons)
    middle = float(np.median(known))
    demands = [_Demand(season, middle, SEED + place) for place, season in enumerate(seasons)]
    return [_foreseen(demand, demands) for demand in demands]


def _foreseen(own: "_Demand", demands: Sequence["_Demand"]) -> Foreseen | None:
    season = own.season
    if season.left <= 0 or all(team.hours is None for team in season.teams):
        return None
    steps = _steps(season, demands)
    last = steps[-1]
    late = _late(season, steps)
    return Foreseen(last.hours, last.low, last.high, last.there, float(own.to_come.sum()), late, steps)


class _Demand:
    """GPU hours of the runs of a phase that are still to come: in the middle, and of resampled teams."""

    def __init__(self, season: Season, middle: float, seed: int) -> None:
        runs = np.array([team.runs for team in season.teams], dtype=float)
        left = np.array([team.left for team in season.teams], dtype=float)
        known = [team.hours for team in season.teams if team.hours is not None]
        unknown = float(np.median(known)) if known else middle
        hours = np.array([unknown if team.hours is None else team.hours for team in season.teams])
        self.season, self._rush = season, _Rush(season)
        per_team, share = self._rush.per_team(left), self._rush.share(season.left)
        self.to_come = _to_come(runs, left, per_team, share)
        self.hours = float(self.to_come @ hours)
        self.drawn = _drawn(season, runs, left, hours, self._rush, seed) if len(runs) else np.zeros(DRAWS)

    def share(self, seconds: float) -> float:
        """Which share of it comes within so many seconds from now: all of it until its own deadline."""
        if seconds >= self.season.left:
            return 1.0
        whole = self._rush.share(self.season.left)
        return (whole - self._rush.share(self.season.left - seconds)) / whole


class _Rush:
    """Which share of a season's runs came how long before its deadline, of the last rush or else of a common one."""

    def __init__(self, season: Season) -> None:
        self._length = season.length
        within = (np.array(team, dtype=float) for team in season.rush)
        self._teams = [np.sort(team[team <= season.length]) for team in within]
        self._all = self._of(self._teams)

    @staticmethod
    def _of(teams: Sequence[Numbers]) -> Numbers:
        return np.sort(np.concatenate(teams)) if teams else np.array([])

    def resampled(self, chance: np.random.Generator) -> Numbers:
        """Those of as many teams of the last season, each drawn as often as it is."""
        if not self._teams:
            return self._all
        return self._of([self._teams[at] for at in chance.integers(len(self._teams), size=len(self._teams))])

    def share(self, seconds: float, runs: Numbers | None = None) -> float:
        """Which share came within so many seconds of the deadline."""
        of = self._all if runs is None else runs
        common = math.pow(min(1.0, seconds / self._length), COMMON_RUSH)
        return (float(np.searchsorted(of, seconds, side="right")) + common) / (len(of) + 1)

    def per_team(self, left: Numbers) -> float:
        """How many runs a team had; without an earlier season half of what teams may have."""
        if len(self._all):
            return float(len(self._all)) / len(self._teams)
        return float(np.mean(left)) / 2 if len(left) else 0.0


def _to_come(runs: Numbers, left: Numbers, per_team: float, share: float) -> Numbers:
    """How many runs of each team are still to come."""
    expected = (runs.sum() + LEAN * len(runs) * per_team) / (1 - share + LEAN) * share
    return _dealt_out(expected, runs + NOTHING_YET, left)


def _dealt_out(expected: float, weights: Numbers, left: Numbers) -> Numbers:
    """So many runs by these weights, to no team more than it has left; what is over goes to the others."""
    given = np.zeros_like(weights)
    for _ in range(4):
        room = left - given
        open_ = room > 0
        rest = expected - given.sum()
        if rest <= 1e-9 or not open_.any():
            break
        given = np.minimum(left, given + np.where(open_, weights, 0.0) * rest / weights[open_].sum())
    return given


def _drawn(season: Season, runs: Numbers, left: Numbers, hours: Numbers, rush: _Rush, seed: int) -> Numbers:
    """What each resample of the teams would still need."""
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(DRAWS):
        of = chance.integers(len(runs), size=len(runs))
        share = rush.share(season.left, rush.resampled(chance))
        expected = _to_come(runs[of], left[of], rush.per_team(left), share) * np.exp(chance.normal(0, BETWEEN))
        came = np.minimum(left[of], chance.poisson(expected))
        found.append(float(came @ hours[of]))
    return np.array(found)


def _steps(season: Season, demands: Sequence[_Demand]) -> list[Step]:
    steps = []
    for step in range(STEPS + 1):
        seconds = season.left * step / STEPS
        shares = [one.share(seconds) for one in demands]
        middle = sum(share * one.hours for share, one in zip(shares, demands, strict=True))
        drawn = sum(share * one.drawn for share, one in zip(shares, demands, strict=True))
        low, high = np.percentile(drawn, [2.5, 97.5]).tolist()
        hours, least, most = (season.open_hours + one for one in (middle, min(low, middle), max(high, middle)))
        steps.append(Step(seconds, hours, least, most, season.there(seconds)))
    return steps


def _late(season: Season, steps: Sequence[Step]) -> float:
    """By how many hours the last runs would start after the deadline: what is left then, by all GPUs."""
    waits = steps[0].hours
    for before, after in pairwise(steps):
        waits = max(0.0, waits + after.hours - before.hours - (after.there - before.there))
    return waits / season.gpus if season.gpus else math.inf if waits else 0.0
