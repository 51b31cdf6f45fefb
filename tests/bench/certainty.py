"""What it costs to say how sure a ranking is, by the number of teams, all anew and after one more run.

Each size is a process of its own on one core: 1,000 resamples, all pairs in both directions, every other way to rank.
Printed are CPU seconds, the median of some rounds, and the peak memory of the process; beside them what SciPy's own
test takes for all pairs, one at a time, extrapolated from some of them.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tests.leaderboard.certainty.boards import board

SIZES = (10, 100, 500, 1000)
SAMPLE = 200  # pairs that SciPy tests


class Cost(NamedTuple):
    """CPU seconds, and MB."""

    stability: float
    pairs: float
    all_anew: float
    one_more: float
    peak: float
    one_by_one: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench certainty", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--teams", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    print(f"\nCPU seconds for {options.cases} cases, on one core")
    print(f"{'teams':>6}{'ranks':>9}{'pairs':>9}{'all anew':>10}{'one more':>10}{'peak MB':>9}{'SciPy, by pair':>16}")
    for teams in options.teams:
        with multiprocessing.get_context("spawn").Pool(1) as process:
            cost = process.apply(measure, (teams, options.cases, options.rounds))
        print(
            f"{teams:6}{cost.stability:9.3f}{cost.pairs:9.3f}{cost.all_anew:10.3f}{cost.one_more:10.3f}"
            f"{cost.peak:9.0f}{cost.one_by_one:16.1f}"
        )


def measure(teams: int, cases: int, rounds: int) -> Cost:
    """What a board of so many teams costs: in this process, which should have done nothing else."""
    from leaderboard.certainty.assessment import assess
    from leaderboard.certainty.pairs import paired_tests
    from leaderboard.certainty.stability import rank_stability

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    scores = board(teams, cases)
    metrics = {name: board(teams, cases, seed=seed) for seed, name in enumerate(("hits", "f1", "distance"), start=1)}
    before = paired_tests(scores[1:], range(1, teams))

    def all_anew() -> None:
        assess(scores, seed=1, metrics=metrics)

    def one_more() -> None:
        assess(scores, seed=1, metrics=metrics, runs=range(teams), before=before)

    return Cost(
        stability=_median(lambda: rank_stability(scores, seed=1), rounds),
        pairs=_median(lambda: paired_tests(scores), rounds),
        all_anew=_median(all_anew, rounds),
        one_more=_median(one_more, rounds),
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,  # before SciPy's statistics are there
        one_by_one=_one_by_one(scores),
    )


def _median(run: Callable[[], object], rounds: int) -> float:
    """CPU seconds; the first round does not count."""
    found = []
    for _ in range(1 + rounds):
        began = time.process_time()
        run()
        found.append(time.process_time() - began)
    return statistics.median(found[1:])


def _one_by_one(scores: np.ndarray) -> float:
    """What scipy.stats.wilcoxon takes for every ordered pair."""
    from scipy.stats import wilcoxon

    pairs = [(i, j) for i in range(len(scores)) for j in range(len(scores)) if i != j]
    some = [pairs[place] for place in np.random.default_rng(0).permutation(len(pairs))[:SAMPLE]]

    def run() -> None:
        for i, j in some:
            wilcoxon(scores[i], scores[j], alternative="greater", correction=True)

    return _median(run, 1) * len(pairs) / len(some)
