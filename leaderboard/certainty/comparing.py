"""Two or more entries side by side: each pair's paired difference, with its interval and its test."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from evaluation import PERCENTILES, RESAMPLES, resampled_means
from leaderboard.certainty.arrays import scores_of_cases
from leaderboard.certainty.pairs import ALPHA, paired_tests


@dataclass(frozen=True)
class PairedDifference:
    """By how much the mean score of the entry `first` (its row) is above that of `second`, on the same cases.

    `interval` is the 95 % one over resamples of the cases, drawn once for both; None of one case. `p_better` and
    `p_worse` are of the one-sided Wilcoxon tests that `first` is better, or worse, corrected by Holm over both tests of
    all pairs that were looked at.
    """

    first: int
    second: int
    value: float
    interval: tuple[float, float] | None
    p_better: float
    p_worse: float

    @property
    def is_better(self) -> bool:
        """Whether the first is significantly better."""
        return self.p_better <= ALPHA

    @property
    def is_worse(self) -> bool:
        """Whether the first is significantly worse."""
        return self.p_worse <= ALPHA


def paired_differences(scores: Any, *, seed: int, resamples: int = RESAMPLES) -> list[PairedDifference]:
    """All pairs of entries, of `scores` (entries, cases); `seed` is `seed_from(case_set.digest)`.

    Values and intervals are to the bit those of `evaluation.paired_differences`, which has the findings' groups and the
    pooled metrics too. Raises ValueError on NaN, or without cases.
    """
    found = scores_of_cases(scores)
    if not len(found):
        return []
    means = resampled_means(found, seed=seed, resamples=resamples)
    corrected = paired_tests(found).corrected
    differences = []
    for first, second in combinations(range(len(found)), 2):
        apart = means[first] - means[second]
        low, high = np.percentile(apart[1:], PERCENTILES).tolist()
        interval = (low, high) if found.shape[1] > 1 else None
        p_better, p_worse = float(corrected[first, second]), float(corrected[second, first])
        differences.append(PairedDifference(first, second, float(apart[0]), interval, p_better, p_worse))
    return differences
