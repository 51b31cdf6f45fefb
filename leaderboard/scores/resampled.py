"""The numbers of runs in groups of findings, and over resamples of their cases: of what paired differences are made.

All of it is of `FindingScores` with the same findings, those that a number is over and no others. The numbers are to
the bit those of `evaluation.paired_differences`, which takes the results of cases.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

import evaluation
from evaluation import CATEGORIES, OVERALL, Kind, kind_of
from leaderboard.scores.arrays import Booleans, FindingScores
from leaderboard.scores.layout import NOT_MEASURED, Floats
from leaderboard.scores.sizes import FindingSizes

Number = Floats
"""(1 + resamples,): the number itself, then that of each resample; NaN where there is none."""


def groups_of(scores: FindingScores, sizes: FindingSizes | None = None) -> dict[str, Booleans]:
    """Which findings each group has (findings,): all of them, by kind, category and, given sizes, by size.

    Those that have none are left out.
    """
    codes = [code.decode() for code in scores.findings["category"].tolist()]
    of_kind = np.array([kind_of(code or None) or "" for code in codes])
    of_category = np.array(codes)
    found: dict[str, Booleans] = {OVERALL: np.ones(len(codes), bool)}
    found |= {kind.value: of_kind == kind for kind in Kind}
    found |= {code: of_category == code for code in CATEGORIES}
    found |= sizes.groups if sizes else {}
    return {code: members for code, members in found.items() if members.any()}


def numbers_of(scores: FindingScores, metric: str, groups: Mapping[str, Booleans], *, seed: int) -> dict[str, Number]:
    """One of `evaluation.COMPARED` of a run in each group; `seed` is `seed_from(case_set.digest)`."""
    summands = {name: _summand(scores, name) for name in evaluation.COMPARED[metric]}
    return evaluation.resampled_numbers(metric, summands, scores.case_of, groups, seed=seed)


def _summand(scores: FindingScores, name: str) -> Floats:
    """What each finding adds to one of the sums of which numbers are made (findings,)."""
    found = scores.findings
    is_measured = found["distance_tp"] != NOT_MEASURED
    if name in ("n", "distance_n"):
        return np.ones(len(found)) if name == "n" else is_measured.astype(np.float64)
    if name.startswith("distance_"):
        return np.where(is_measured, found[name], 0.0)
    column: Floats = found["hit" if name == "hits" else name].astype(np.float64)
    return column


class Pair(NamedTuple):
    """A number of one run minus that of another, with its interval; in how many findings their Dice differ."""

    difference: evaluation.Difference
    differing: int


def pairs_of(
    runs: Sequence[FindingScores], numbers: Sequence[Mapping[str, Number]], groups: Mapping[str, Booleans]
) -> list[dict[str, Pair]]:
    """Each later run against the first, in each group; `numbers` has those of each run (`numbers_of`)."""
    base, *others = zip(runs, numbers, strict=True)
    return [_against(base, other, groups) for other in others]


def _against(
    base: tuple[FindingScores, Mapping[str, Number]],
    other: tuple[FindingScores, Mapping[str, Number]],
    groups: Mapping[str, Booleans],
) -> dict[str, Pair]:
    differs = base[0].findings["dice"] != other[0].findings["dice"]
    apart = np.array([other[1][code] - base[1][code] for code in groups])
    values = [None if np.isnan(value) else float(value) for value in apart[:, 0]]
    return {
        code: Pair(evaluation.Difference(value, interval), int(np.count_nonzero(differs & members)))
        for (code, members), value, interval in zip(
            groups.items(), values, evaluation.intervals_of(apart[:, 1:]), strict=True
        )
    }


def are_alike(runs: Sequence[FindingScores]) -> bool:
    """Whether these have the same findings of the same cases, and of the same categories, in the same order."""
    first, *others = runs
    return all(
        one.cases.names == first.cases.names
        and np.array_equal(one.case_of, first.case_of)
        and np.array_equal(one.findings["channel"], first.findings["channel"])
        and np.array_equal(one.findings["category"], first.findings["category"])
        for one in others
    )
