"""Every team against every other: who is better, and who can't be told from whom.

As challengeR's significance map does it (`decision.challenge`): a one-sided Wilcoxon signed-rank test on cases of each
ordered pair, so of n teams n (n - 1) tests; Holm's correction over all of them together; better where the corrected
p-value is 0.05 or less. (By default challengeR leaves the correction out of its test-then-rank; its map has it.)

"Can't be told from" is symmetric and not transitive, so it makes no bands: each team has a list of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboard.certainty.arrays import Booleans, Floats, Integers, scores_of_cases
from leaderboard.certainty.wilcoxon import signed_rank

ALPHA = 0.05
BLOCK = 128  # pairs whose differences a processor's own memory holds: larger blocks take longer


@dataclass(frozen=True, eq=False)
class PairTests:
    """The tests of every ordered pair of teams.

    `runs` names each team's run. `p_values` (teams, teams): at [i, j], of "i is better than j", uncorrected; 1 on the
    diagonal.
    """

    runs: tuple[int, ...]
    p_values: Floats

    @cached_property
    def corrected(self) -> Floats:
        """The p-values after Holm's correction over all ordered pairs; 1 on the diagonal."""
        found = np.ones_like(self.p_values)
        pairs = ~np.eye(len(self.runs), dtype=bool)
        found[pairs] = holm(self.p_values[pairs])
        return found

    @cached_property
    def better(self) -> Booleans:
        """(teams, teams): at [i, j] whether i is significantly better than j."""
        return self.corrected <= ALPHA

    @cached_property
    def alike(self) -> Booleans:
        """(teams, teams): at [i, j] whether i can't be told from j, neither being better; no team from itself."""
        return neither_better(self.better)

    def not_told_from(self, team: int) -> list[int]:
        """The teams (rows) that a team can't be told from."""
        return np.flatnonzero(self.alike[team]).tolist()

    def tied_with_the_top(self, ranks: Integers) -> list[int]:
        """The teams (rows) of rank 1, and those that can't be told from one of them."""
        top = ranks == 1
        return np.flatnonzero(top | self.alike[top].any(axis=0)).tolist()


def neither_better(better: Booleans) -> Booleans:
    """Who can't be told from whom, (teams, teams), of who is `better` than whom; no team from itself."""
    return ~(better | better.T | np.eye(len(better), dtype=bool))


def can_tell(teams: int, cases: int) -> bool:
    """Whether so many cases without ties can tell any of so many teams from another: if one is better in each."""
    return teams * (teams - 1) * 0.5**cases <= ALPHA


def paired_tests(scores: Any, runs: Sequence[int] | None = None, before: PairTests | None = None) -> PairTests:
    """Test every pair of teams on their `scores` (teams, cases).

    `runs` are keys of what was scored (by default 0, 1, ...), one a team; p-values of pairs that `before` has are taken
    from there, to the bit what they would be now. That holds for the same cases and version of the metrics only.
    Raises ValueError on NaN, without cases, or if `runs` does not name each team once.
    """
    found = scores_of_cases(scores)
    names = tuple(range(len(found)) if runs is None else runs)
    if len(names) != len(found) or len(set(names)) < len(names):
        raise ValueError(f"{len(found)} teams must have as many different runs, not {names}")
    p_values = np.ones((len(found), len(found)))
    is_known = _take_over(p_values, names, before)
    first, second = np.nonzero(np.triu(~is_known, 1))
    for start in range(0, len(first), BLOCK):
        i, j = first[start : start + BLOCK], second[start : start + BLOCK]
        p_values[i, j], p_values[j, i] = signed_rank(found[i] - found[j])
    return PairTests(names, p_values)


def _take_over(p_values: Floats, names: Sequence[int], before: PairTests | None) -> Booleans:
    """Fill in the p-values that are known; (teams, teams) whether they are."""
    places = {run: place for place, run in enumerate(before.runs)} if before else {}
    known = [here for here, run in enumerate(names) if run in places]
    there = [places[names[here]] for here in known]
    is_known = np.zeros(p_values.shape, bool)
    is_known[np.ix_(known, known)] = True
    if before:
        p_values[np.ix_(known, known)] = before.p_values[np.ix_(there, there)]
    return is_known


def holm(p_values: Floats | NDArray[Any]) -> Floats:
    """Holm's step-down correction of (tests,) p-values, as R's p.adjust(method="holm")."""
    order = np.argsort(p_values, kind="stable")
    steps = np.arange(len(p_values), 0, -1) * p_values[order]
    found = np.empty(len(p_values))
    found[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return found
