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
from functools import cached_property
from statistics import median
from typing import Self

from leaderboard.board.disclosure import COARSE_PERCENT
from leaderboard.journey.forecast import UNKNOWN, Pace

FEWEST_TEAMS = 3  # whose runs on hidden cases may be summed up for others
STEP = 1.5  # between the speeds that runs on hidden cases are said to have
CERTAIN_PERCENT = 50  # of a run on hidden cases: from there on its progress alone says how fast it is
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
    """A run that is not over, or what a submission will become once its image is checked.

    `phase` is the one on whose cases it runs: of a try-out another one than its own.
    """

    key: int
    submission: int
    team: int
    image: int | None
    phase: int
    cases_are_public: bool
    has_weights: bool
    gpus: int
    batch_size: int
    cases: int
    kind: str
    number: int = 1
    started_at: datetime | None = None
    upload_bytes: int = 0
    put_first: bool = False

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

    seconds: for how long it was under way; slots: how many it had meanwhile, on average; at_work: how many cases these
    hold, none of which is told before all are done.
    """

    percent: int
    least: int
    most: int
    seconds: float
    slots: float
    at_work: float

    @classmethod
    def of(cls, decided: int, total: int, batch_size: int, seconds: float, slots: float) -> Self:
        """Of so many decided cases, told in steps."""
        percent = 100 * decided // total // COARSE_PERCENT * COARSE_PERCENT
        most = max(0, min(total, math.ceil(total * (percent + COARSE_PERCENT) / 100) - 1))
        least = math.ceil(total * percent / 100)
        return cls(percent, least, most, seconds, slots, min(total - least, slots * batch_size))

    @property
    def done(self) -> float:
        """How many cases are decided, as far as one can say; none while it is not told that any are."""
        return (self.least + self.most) / 2 if self.least else 0.0

    @property
    def case_seconds(self) -> float:
        """How long a case took: half of those at work are done, on average."""
        return self.seconds * self.slots / (self.done + self.at_work / 2)

    @property
    def least_case_seconds(self) -> float:
        """How long a case takes at least: at most so many can be done, and not all of those at work."""
        return self.seconds * self.slots / (self.most + 1 + self.at_work)


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

    @cached_property
    def of_teams(self) -> Mapping[int, Sequence[Seen]]:
        """The runs of each team, the newest first."""
        found: dict[int, list[Seen]] = {}
        for one in self.runs:
            found.setdefault(one.team, []).append(one)
        return found

    @cached_property
    def in_phases(self) -> Mapping[int, "Teams"]:
        """What the last run of each team tells, by phase."""
        found: dict[int, dict[int, Pace]] = {}
        for one in reversed(self.runs):
            found.setdefault(one.phase, {})[one.team] = one.pace
        return {phase: Teams(by_team) for phase, by_team in found.items()}


@dataclass(frozen=True)
class Teams:
    """How fast runs of several teams in one phase are."""

    paces: Mapping[int, Pace]

    @cached_property
    def middle(self) -> Pace:
        """The middle of all teams."""
        return _middle([*self.paces.values()])


FILES = ("upload_file", "upload_bytes", "weights_file", "weights_bytes")
"""Columns of a submission, as `checked_bytes` asks for them."""


def checked_bytes(image: str, image_bytes: int, weights: str, weights_bytes: int) -> int:
    """How much a check had to read: what was used again, and so has no file, is not checked again."""
    return bool(image) * image_bytes + bool(weights) * weights_bytes


def coarse(seconds: float) -> float:
    """A duration as it may be told of hidden cases: in steps of a half more."""
    return float(STEP ** round(math.log(seconds, STEP))) if 0 < seconds < math.inf else seconds


Told = Sequence[Container] | Progress  # of a run on public cases, or on hidden ones


def paces_of(runs: Sequence[OpenRun], told: Mapping[int, Told], earlier: Earlier) -> dict[int, tuple[Pace, Basis]]:
    """How fast each run is, and what says so; by its key."""
    known = {run.key: _pace_of(run, told.get(run.key, ()), earlier) for run in runs}
    one_of_each = {run.phase: run for run in runs}
    of_phase = {phase: _so_far(run, runs, known) for phase, run in one_of_each.items()}
    return {run.key: known[run.key] if known[run.key][1] else of_phase[run.phase] for run in runs}


def _so_far(run: OpenRun, runs: Sequence[OpenRun], known: Mapping[int, tuple[Pace, Basis]]) -> tuple[Pace, Basis]:
    """What the runs that go on in the same phase tell of one of which nothing is known."""
    by_team = {one.team: known[one.key][0] for one in runs if one.phase == run.phase and known[one.key][1]}
    return _of_teams(Teams(by_team), run)


def _of_teams(teams: Teams, run: OpenRun) -> tuple[Pace, Basis]:
    """The middle of all teams in the run's phase; on hidden cases that of a few alone would tell of each."""
    if teams.paces and (not run.hidden or len(teams.paces) >= FEWEST_TEAMS):
        return teams.middle, Basis.PHASE
    return UNKNOWN, Basis.NONE


def _pace_of(run: OpenRun, told: Told, earlier: Earlier) -> tuple[Pace, Basis]:
    """By what is told of itself, else by earlier runs: of its image, of its team, of others."""
    prior, basis = _prior(run, earlier)
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
    """By its own progress, which tells more the further it is, and by earlier runs, as long as it can be so fast."""
    if not basis:
        return (even(progress.case_seconds, SCORING_SECONDS), Basis.OWN) if progress.done else (prior, basis)
    before = max(prior.case, progress.least_case_seconds)
    if not progress.done:
        return even(before, prior.scoring), basis
    weight = min(1.0, progress.percent / CERTAIN_PERCENT)
    return even(progress.case_seconds**weight * before ** (1 - weight), prior.scoring), Basis.OWN


def even(case: float, scoring: float) -> Pace:
    """The pace of a run on hidden cases, whose canary is a case as any other."""
    return Pace(coarse(case), coarse(case), scoring)


def _prior(run: OpenRun, earlier: Earlier) -> tuple[Pace, Basis]:
    """What earlier runs say of this one: of its image, else of its team, else of all teams in its phase."""
    own = earlier.of_teams.get(run.team, ())
    if same := [one for one in own if run.image and one.image == run.image]:
        return next((one for one in same if one.phase == run.phase), same[0]).pace, Basis.IMAGE
    if here := [one.pace for one in own if one.phase == run.phase]:
        return _middle(here[:3]), Basis.TEAM
    return _of_teams(earlier.in_phases.get(run.phase, Teams({})), run)


def _middle(paces: Sequence[Pace]) -> Pace:
    return Pace(*(median(getattr(one, name) for one in paces) for name in ("canary", "case", "scoring")))
