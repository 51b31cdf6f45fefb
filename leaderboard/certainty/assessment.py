"""All that is said of how sure a board's order is, in one call.

Of 500 teams and 300 cases it takes 0.9 s of one core anew and 0.24 s after one more run, in 100 MB; of 1,000 teams
3.2 s and 0.8 s (`./dev bench certainty`; with SciPy's test, a pair at a time, it would be minutes).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaderboard.certainty.other_ways import Ranking, by_methods, by_metrics
from leaderboard.certainty.pairs import PairTests, paired_tests
from leaderboard.certainty.stability import Stability, rank_stability


@dataclass(frozen=True, eq=False)
class Certainty:
    """How sure a ranking is; teams are rows of the scores that it was made of, in every part.

    `stability` has the scores, the official ranks and how these vary; `pairs` who is better than whom; `methods` and
    `metrics` what the ranks would be by other methods and by each other metric. Of `pairs` keep `runs` and `p_values`:
    they are the next one's `before`.
    """

    stability: Stability
    pairs: PairTests
    methods: Mapping[str, Ranking]
    metrics: Mapping[str, Ranking]

    @property
    def tied_with_the_top(self) -> list[int]:
        """The teams (rows) of rank 1, and those that can't be told from one of them."""
        return self.pairs.tied_with_the_top(self.stability.ranks)


def assess(
    scores: Any,
    *,
    seed: int,
    runs: Sequence[int] | None = None,
    before: PairTests | None = None,
    metrics: Mapping[str, Any] | None = None,
    decimals: int | None = None,
) -> Certainty:
    """How sure the ranking by mean score of `scores` (teams, cases) is.

    `seed` is `evaluation.seed_from(case_set.digest)`, and cases are in the order of their names. `runs` are the keys of
    what was scored; p-values of pairs that `before` has (same cases, same version of the metrics) are not found again.
    `metrics` are other ones, higher is better: (teams,) numbers or (teams, cases). `decimals`: ranks and ties are those
    of rounded means, medians and metrics; tests look at the exact scores of cases all the same. Raises ValueError on
    NaN, without cases, or if shapes don't fit.
    """
    stability = rank_stability(scores, seed=seed, decimals=decimals)
    pairs = paired_tests(scores, runs, before)
    methods = by_methods(scores, stability.ranks, pairs.better, decimals)
    return Certainty(stability, pairs, methods, by_metrics(metrics or {}, stability.ranks, decimals))
