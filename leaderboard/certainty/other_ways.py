"""What the ranks would be by other ways: if they are very different, the order is a matter of taste."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaderboard.certainty.arrays import Booleans, Floats, Integers, finite, scores_of_cases
from leaderboard.certainty.correlation import kendall_tau_b
from leaderboard.certainty.ranking import ranks


@dataclass(frozen=True, eq=False)
class Ranking:
    """Ranks (teams,), and Kendall's tau-b with the official ones; None where that is not defined."""

    ranks: Integers
    tau: float | None


def by_methods(scores: Any, official: Integers, better: Booleans, decimals: int | None = None) -> dict[str, Ranking]:
    """The ranking metric, ranked by other methods.

    `rank_then_mean`: the mean of each case's ranks (challengeR's rank-then-aggregate). `test_then_rank`: how many teams
    each is significantly better than, by the matrix `better`. `median`: of the cases' scores, rounded to `decimals`.
    `scores` are (teams, cases), `official` (teams,) ranks. Raises ValueError on NaN, or without cases.
    """
    found = scores_of_cases(scores)
    medians = np.median(found, axis=1) if len(found) else np.empty(0)
    return {
        "rank_then_mean": _held_against(official, ranks(-_sums_of_ranks(found))),
        "test_then_rank": _held_against(official, ranks(np.count_nonzero(better, axis=1).astype(np.float64))),
        "median": _held_against(official, ranks(medians, decimals)),
    }


def by_metrics(metrics: Mapping[str, Any], official: Integers, decimals: int | None = None) -> dict[str, Ranking]:
    """The ranking by each other metric, higher is better, rounded to `decimals`.

    A metric is a number for each team (teams,), as pooled ones are, or (teams, cases), of which the means count. Raises
    ValueError on NaN or other shapes.
    """
    return {
        name: _held_against(official, ranks(_numbers(name, values, len(official)), decimals))
        for name, values in metrics.items()
    }


def _sums_of_ranks(scores: Floats) -> Floats:
    """In the order of their means; whole numbers, so that equal means are equal."""
    sums: Floats = ranks(scores.T).sum(axis=0, dtype=np.float64)
    return sums


def _numbers(name: str, values: Any, teams: int) -> Floats:
    found = finite(values)
    if found.ndim not in (1, 2) or len(found) != teams:
        raise ValueError(f"{name} must be (teams,) or (teams, cases) of {teams} teams, not {found.shape}")
    numbers: Floats = found if found.ndim == 1 else scores_of_cases(found).mean(axis=1)
    return numbers


def _held_against(official: Integers, found: Integers) -> Ranking:
    tau = float(kendall_tau_b(official, found[None, :])[0])
    return Ranking(found, None if np.isnan(tau) else tau)
