"""How ranks vary over resamples of the cases: the same resamples for all teams, and those of every other interval.

A resample draws as many cases as there are, with replacement; each team's mean over it is ranked. It tells about these
cases and cases like them; that another hospital's differ more is beyond it. (challengeR: `bootstrap`, `stability`.)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation import RESAMPLES, resampled_means
from leaderboard.certainty.arrays import Floats, Integers, scores_of_cases
from leaderboard.certainty.correlation import kendall_tau_b
from leaderboard.certainty.ranking import ranks

LEFT_OUT = 40  # one in so many resamples is left out at each end of an interval: 2.5 %
VARIES = 2  # over so many cases a rank can vary
TAU_PERCENTILES = (2.5, 25, 50, 75, 97.5)


@dataclass(frozen=True, eq=False)
class RankFrequencies:
    """In how many resamples each team takes each rank, without what never happens.

    Three arrays of one length, ordered by team (its row), then rank.
    """

    teams: Integers
    ranks: Integers
    counts: Integers

    def of(self, team: int) -> list[tuple[int, int]]:
        """The ranks that a team takes, each with how often: a row of a blob plot."""
        first, stop = np.searchsorted(self.teams, (team, team + 1))
        return list(zip(self.ranks[first:stop].tolist(), self.counts[first:stop].tolist(), strict=True))

    def at(self, rank: int) -> list[tuple[int, int]]:
        """The teams that take a rank, each with how often, most often first: a place of the podium."""
        here = np.flatnonzero(self.ranks == rank)
        found = zip(self.teams[here].tolist(), self.counts[here].tolist(), strict=True)
        return sorted(found, key=lambda one: (-one[1], one[0]))


@dataclass(frozen=True, eq=False)
class Stability:
    """Ranks of teams, and how they vary over resamples of the cases.

    `means` (teams,) are the scores and `ranks` (teams,) what they give. `intervals` (teams, 2) are the lowest and the
    highest rank of the middle 95 % of resamples: of 1,000 ranks in order, the 26th and the 975th, which are the linear
    percentiles rounded to whole ranks; None for fewer than two cases, which say nothing about how a rank would vary.
    `medians` (teams,) are the 501st of these 1,000 ranks.
    `first` (teams,) is the share of resamples in which a team is first, alone or not. `taus` (resamples,) is Kendall's
    tau-b between the ranking and that of each resample; NaN where it is not defined.
    """

    means: Floats
    ranks: Integers
    intervals: Integers | None
    medians: Integers
    first: Floats
    frequencies: RankFrequencies
    taus: Floats
    resamples: int

    @property
    def may_be_first(self) -> list[int]:
        """The teams (rows) whose interval begins at rank 1; without intervals, none."""
        return [] if self.intervals is None else np.flatnonzero(self.intervals[:, 0] == 1).tolist()

    @property
    def tau_percentiles(self) -> list[float] | None:
        """TAU_PERCENTILES of `taus`, where they are defined; None where they never are."""
        defined = self.taus[~np.isnan(self.taus)]
        return np.percentile(defined, TAU_PERCENTILES).tolist() if len(defined) else None


def rank_stability(scores: Any, *, seed: int, decimals: int | None = None, resamples: int = RESAMPLES) -> Stability:
    """How the ranks by mean score vary. `scores` are (teams, cases), `seed` is `seed_from(case_set.digest)`.

    With `decimals`, means are rounded before they are ranked, those of resamples too: a rank is then that of what is
    shown. Raises ValueError on NaN, or without cases.
    """
    found = scores_of_cases(scores)
    means = _means(found, seed, resamples)
    ranked = ranks(means.T, decimals)
    official, drawn = ranked[0], ranked[1:]
    ordered = np.sort(drawn, axis=0)
    return Stability(
        means=means[:, 0],
        ranks=official,
        intervals=_intervals(ordered) if found.shape[1] >= VARIES else None,
        medians=ordered[len(ordered) // 2],
        first=np.count_nonzero(drawn == 1, axis=0) / resamples,
        frequencies=_frequencies(drawn),
        taus=kendall_tau_b(official, drawn),
        resamples=resamples,
    )


def _means(scores: Floats, seed: int, resamples: int) -> Floats:
    return resampled_means(scores, seed=seed, resamples=resamples) if len(scores) else np.empty((0, 1 + resamples))


def _intervals(ordered: Integers) -> Integers:
    """The first and the last rank of the middle 95 % of each column."""
    left_out = len(ordered) // LEFT_OUT
    return np.stack([ordered[left_out], ordered[len(ordered) - 1 - left_out]], axis=1)


def _frequencies(drawn: Integers) -> RankFrequencies:
    teams = drawn.shape[1]
    cells = drawn + np.arange(teams, dtype=np.int64) * (teams + 1)
    counted = np.bincount(cells.ravel(), minlength=teams * (teams + 1)).reshape(teams, teams + 1)
    team, rank = np.nonzero(counted)
    return RankFrequencies(team.astype(np.int32), rank.astype(np.int32), counted[team, rank].astype(np.int32))
