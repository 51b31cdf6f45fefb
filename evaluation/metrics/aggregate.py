"""From case results to the numbers of a leaderboard row: pure functions, no I/O.

Every aggregate, also each bootstrap resample of it, is a ratio of sums over cases. So a population of findings (all of
them, a category, a size group) is first condensed to one sum per case and number; a resample adds these up, each case
as often as it was drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from evaluation.categories import Kind, kind_of
from evaluation.errors import EvaluationError
from evaluation.masks.run_lengths import Floats, Integers
from evaluation.metrics.matching import precision_recall_f1, ratio
from evaluation.results import Aggregates, CaseResult, FindingResult, Group, Interval, SizeGroup, Summary

RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)

Sizes = Mapping[tuple[str, str], float]
Limits = tuple[float, float]
Booleans = NDArray[np.bool_]
Findings = Sequence[Sequence[FindingResult]]  # per case

# The numbers by which two results are compared, with the sums that each is made of.
COMPARED: Mapping[str, Sequence[str]] = {
    "dice": ("n", "dice"),
    "hit_rate": ("n", "hits"),
    "instance_f1": ("n", "tp", "fp", "fn"),
    "distance_f1": ("distance_n", "distance_tp", "distance_fp", "distance_fn"),
}
OVERALL = "all"

DISTANCE_SUMS = ("distance_n", "distance_tp", "distance_fp", "distance_fn")
SUMS = ("n", "dice", "dice_raw", "hits", "hits_05", "tp", "fp", "fn", *DISTANCE_SUMS)


def seed_from(digest: str) -> int:
    """A bootstrap seed from a case set's digest (any text), the same for all runs on that case set.

    >>> import evaluation
    >>> evaluation.seed_from("case_0001.nii.gz")
    7502778948002162415
    """
    return int.from_bytes(hashlib.sha256(digest.encode()).digest()[:8], "big")


def size_limits(fractions: Sequence[float]) -> Limits:
    """The 50th and 75th percentile of a case set's finding sizes (reference voxels / voxels of the volume).

    >>> import evaluation
    >>> evaluation.size_limits([0.125, 0.25, 0.5, 0.75, 1.0])
    (0.5, 0.75)
    """
    if len(fractions) == 0:
        raise EvaluationError("there are no findings to take size limits from")
    p50, p75 = np.percentile(np.asarray(fractions, np.float64), [50, 75])
    return float(p50), float(p75)


def size_group(fraction: float, limits: Limits) -> SizeGroup:
    """Small <= p50 < medium <= p75 < large.

    >>> import evaluation
    >>> [str(evaluation.size_group(fraction, (0.5, 0.75))) for fraction in (0.5, 0.75, 1.0)]
    ['small', 'medium', 'large']
    """
    if fraction <= limits[0]:
        return SizeGroup.SMALL
    return SizeGroup.MEDIUM if fraction <= limits[1] else SizeGroup.LARGE


def aggregate(
    cases: Sequence[CaseResult],
    *,
    seed: int,
    sizes: Sizes | None = None,
    limits: Limits | None = None,
    resamples: int = RESAMPLES,
) -> Aggregates:
    """The summary and the groups of the native form, over results of `score_case` and `lost_case`.

    Groups are focal, non_focal, each category that occurs, and, given `sizes` (per case name and finding key, as a
    fraction of the volume) and `limits`, small, medium and large. The order of `cases` does not matter.
    Raises `EvaluationError` without any case, or with two results for one.

    >>> import evaluation
    >>> case = evaluation.Case("case_0001.nii.gz", ("0",), {"0": "2d"}, (512, 512, 300))
    >>> lost = evaluation.lost_case(case, [3], evaluation.CaseStatus.MISSING, "no file of this name was found")
    >>> found = evaluation.aggregate([lost], seed=1)
    >>> found["summary"]["dice"], found["summary"]["fn"], list(found["groups"])
    (0.0, 3, ['focal', '2d'])
    """
    if not cases:
        raise EvaluationError("there are no cases to summarise")
    ordered = sorted(cases, key=lambda case: case["name"])
    if len({case["name"] for case in ordered}) < len(ordered):
        raise EvaluationError("two results are for the same case")
    drawn = _drawn(len(ordered), seed, resamples)
    groups = _groups(ordered, sizes, limits)
    return {
        "summary": _summary([case["findings"] for case in ordered], drawn),
        "groups": {code: _group(findings, drawn) for code, findings in groups.items()},
    }


def resample_counts(cases: int, *, seed: int, resamples: int = RESAMPLES) -> Floats:
    """How often each case, in the order of their names, counts in each resample: (resamples, cases) whole numbers.

    Behind every interval that `aggregate` gives for this seed. Raises `EvaluationError` without any case.
    """
    if not cases:
        raise EvaluationError("there are no cases to resample")
    return _drawn(cases, seed, resamples)[1:]


def resampled_means(values: Floats, *, seed: int, resamples: int = RESAMPLES) -> Floats:
    """The means over cases of `values` (..., cases), as (..., 1 + resamples).

    The first is that of the cases themselves, each further one that of a resample of them: the same resamples, to the
    bit, as behind every interval that `aggregate` gives for this seed, if the cases are in the order of their names.
    Raises `EvaluationError` without any case.
    """
    cases = values.shape[-1]
    if not cases:
        raise EvaluationError("there are no cases to resample")
    means: Floats = _added(_drawn(cases, seed, resamples), values) / cases
    return means


class Difference(NamedTuple):
    """By how much a number is higher than another one, and the 95 % interval of that over resamples of the cases.

    None where one of the two is not defined, or in no resample.
    """

    value: float | None
    interval: tuple[float, float] | None


def paired_differences(
    base: Sequence[CaseResult],
    others: Sequence[Sequence[CaseResult]],
    metric: str,
    *,
    seed: int,
    sizes: Sizes | None = None,
    limits: Limits | None = None,
    resamples: int = RESAMPLES,
) -> list[dict[str, Difference]]:
    """Each of `others` minus `base` in one of `COMPARED`: over all cases (`OVERALL`), and in the groups of `aggregate`.

    All are results of the same cases. Each resample is drawn once and counts for both, so that a case is compared with
    itself: such an interval is narrower than those of the two numbers let expect. Dice over all cases is the one that
    ranks, the mean over cases; in a group it is the mean over its findings. Raises `EvaluationError` without any case,
    or if the cases are not the same.
    """
    ordered = [sorted(cases, key=lambda case: case["name"]) for cases in (base, *others)]
    names = [case["name"] for case in ordered[0]]
    if not names or any([case["name"] for case in cases] != names for cases in ordered):
        raise EvaluationError("results can be compared on the same cases only")
    ours, *theirs = (_compared(cases, metric, sizes, limits, seed, resamples) for cases in ordered)
    return [_differences({code: one[code] - ours[code] for code in ours if code in one}) for one in theirs]


def resampled_numbers(
    metric: str,
    summands: Mapping[str, Floats],
    case_of: Integers,
    groups: Mapping[str, Booleans],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, Floats]:
    """A number of `COMPARED` in each group of a run's findings, as (1 + resamples,).

    `summands` (findings,) are what each finding adds to the sums of which the number is made; `case_of` (findings,) is
    the place of its case in the order of their names, of which none is left out; `groups` are (findings,). Of each
    number the first is that of the cases themselves, then come those of the resamples of `resampled_means`; NaN where
    one lacks the group. Dice in `OVERALL` is the mean over cases, elsewhere that over findings. Raises
    `EvaluationError` without any finding.
    """
    if not len(case_of):
        raise EvaluationError("there are no cases to resample")
    cases = int(case_of.max()) + 1
    drawn = _drawn(cases, seed, resamples)

    def per_case(name: str) -> Floats:
        column = summands[name]
        return np.array([np.bincount(case_of[these], column[these], cases) for these in groups.values()])

    of_cases = {name: per_case(name) for name in COMPARED[metric]}
    counted, *sums = (_added(drawn, one) for one in of_cases.values())
    numbers = _f1(sums, counted) if len(sums) > 1 else ratio(sums[0], counted, otherwise=np.nan)
    found = dict(zip(groups, numbers, strict=True))
    if metric == "dice" and OVERALL in found:
        place = list(groups).index(OVERALL)
        found[OVERALL] = _added(drawn, of_cases["dice"][place] / of_cases["n"][place]) / cases
    return found


def _compared(
    cases: Sequence[CaseResult], metric: str, sizes: Sizes | None, limits: Limits | None, seed: int, resamples: int
) -> dict[str, Floats]:
    """The number over all cases and in each group: of the cases themselves, then of each resample."""
    findings = [(case["name"], finding) for case in cases for finding in case["findings"]]
    case_of = np.repeat(np.arange(len(cases)), [len(case["findings"]) for case in cases])
    table = np.array([_summands(finding) for _, finding in findings], np.float64).reshape(-1, len(SUMS))
    codes = [_group_codes(name, finding, sizes, limits) for name, finding in findings]
    groups = {
        code: np.array([code == OVERALL or code in its for its in codes]) for code in (OVERALL, *_in_order(codes))
    }
    summands = dict(zip(SUMS, table.T, strict=True))
    return resampled_numbers(metric, summands, case_of, groups, seed=seed, resamples=resamples)


def _differences(of_groups: Mapping[str, Floats]) -> dict[str, Difference]:
    """Differences with their intervals, of (1 + resamples,) each."""
    intervals = intervals_of(np.array([values[1:] for values in of_groups.values()]))
    return {
        code: Difference(_number(values[0]), interval)
        for (code, values), interval in zip(of_groups.items(), intervals, strict=True)
    }


def _f1(sums: Sequence[Floats], counted: Floats) -> Floats:
    """F1 of pooled sums of tp, fp, fn; NaN where there is nothing that they are counted of."""
    return np.where(counted > 0, precision_recall_f1(*sums)[2], np.nan)


def _groups(cases: Sequence[CaseResult], sizes: Sizes | None, limits: Limits | None) -> dict[str, Findings]:
    """The findings of each group that has any, per case."""
    codes = [[_group_codes(case["name"], finding, sizes, limits) for finding in case["findings"]] for case in cases]
    return {
        group: [
            [finding for finding, its in zip(case["findings"], of_case, strict=True) if group in its]
            for case, of_case in zip(cases, codes, strict=True)
        ]
        for group in _in_order(its for of_case in codes for its in of_case)
    }


def _in_order(codes: Iterable[set[str]]) -> list[str]:
    """The groups of findings with these codes, in the order in which they are told."""
    present = set[str]().union(*codes)
    categories = sorted(present - {*Kind, *SizeGroup})
    ordered = (Kind.FOCAL.value, Kind.NON_FOCAL.value, *categories, *(size.value for size in SizeGroup))
    return [group for group in ordered if group in present]


def _group_codes(case: str, finding: FindingResult, sizes: Sizes | None, limits: Limits | None) -> set[str]:
    category = finding["category"]
    size = size_group(sizes[case, finding["finding"]], limits) if sizes is not None and limits is not None else None
    return {code for code in (category, kind_of(category), size) if code is not None}


@lru_cache(maxsize=2)  # the same cases come again and again
def _drawn(n_cases: int, seed: int, resamples: int) -> Floats:
    """How often each case counts: row 0 is the set itself, each further row a bootstrap resample of it."""
    indices = np.random.default_rng(seed).integers(0, n_cases, (resamples, n_cases))
    cells = indices + np.arange(1, resamples + 1)[:, None] * n_cases
    drawn = np.bincount(cells.ravel(), minlength=(resamples + 1) * n_cases).reshape(-1, n_cases).astype(np.float64)
    drawn[0] = 1.0
    drawn.flags.writeable = False
    return drawn


def _summary(findings: Findings, drawn: Floats) -> Summary:
    per_case = _sums_per_case(findings)
    sums = {name: _added(drawn, column) for name, column in per_case.items()}
    dice, dice_raw = (_added(drawn, per_case[name] / per_case["n"]) / len(findings) for name in ("dice", "dice_raw"))
    numbers = {"dice": dice, "dice_per_finding": _per_finding("dice", sums), "dice_raw": dice_raw, **_rates(sums)}
    totals = {"total_cases": len(findings), "total_findings": int(sums["n"][0])}
    return cast("Summary", totals | _described(numbers, sums))


def _group(findings: Findings, drawn: Floats) -> Group:
    sums = {name: _added(drawn, column) for name, column in _sums_per_case(findings).items()}
    numbers = {name: _per_finding(name, sums) for name in ("dice", "dice_raw")} | _rates(sums)
    return cast("Group", {"n": int(sums["n"][0])} | _described(numbers, sums))


def _sums_per_case(findings: Findings) -> dict[str, Floats]:
    """For each of `SUMS`, the sum over a case's findings: an array with one element per case."""
    sums = np.zeros((len(SUMS), len(findings)))
    for column, of_case in enumerate(findings):
        for finding in of_case:
            sums[:, column] += _summands(finding)
    return dict(zip(SUMS, sums, strict=True))


def _summands(finding: FindingResult) -> list[float]:
    """What a finding adds to each of `SUMS`."""
    known = [1, finding["dice"], finding["dice_raw"], finding["hit"], finding["hit_05"]]
    known += [finding["tp"], finding["fp"], finding["fn"]]
    if finding["distance_tp"] is None or finding["distance_fp"] is None or finding["distance_fn"] is None:
        return known + [0] * len(DISTANCE_SUMS)
    return [*known, 1, finding["distance_tp"], finding["distance_fp"], finding["distance_fn"]]


def _added(drawn: Floats, per_case: Floats) -> Floats:
    """The sum over all cases, one for each row of `drawn`; of each row of `per_case`, if it has several."""
    # Not a matrix product: the order in which BLAS adds, so the last bit, may depend on its number of threads. And
    # einsum's depends on how the numbers lie in memory, which a selection of cases changes.
    total: Floats = np.einsum("...c,rc->...r", np.ascontiguousarray(per_case), drawn)
    return total


def _per_finding(name: str, sums: Mapping[str, Floats]) -> Floats:
    return ratio(sums[name], sums["n"], otherwise=np.nan)


def _rates(sums: Mapping[str, Floats]) -> dict[str, Floats]:
    """Hit rates and pooled ratios for each row of sums; NaN where a resample lacks what the number is about."""
    numbers = {"hit_rate": _per_finding("hits", sums), "hit_rate_05": _per_finding("hits_05", sums)}
    for prefix, kind, present in (("", "instance", sums["n"]), ("distance_", "distance", sums["distance_n"])):
        ratios = precision_recall_f1(*(sums[prefix + name] for name in ("tp", "fp", "fn")))
        for name, values in zip(("precision", "recall", "f1"), ratios, strict=True):
            numbers[f"{kind}_{name}"] = np.where(present > 0, values, np.nan)
    return numbers


def _described(numbers: Mapping[str, Floats], sums: Mapping[str, Floats]) -> dict[str, Any]:
    """What a summary and a group have in common: the numbers, pooled counts, and how the numbers vary.

    `Any`, because mypy cannot follow a loop over the keys of a TypedDict; a test holds the result against the types.
    """
    result: dict[str, Any] = {name: _number(values[0]) for name, values in numbers.items()}
    for name in ("tp", "fp", "fn"):
        result[name] = int(sums[name][0])
        result[f"distance_{name}"] = int(sums[f"distance_{name}"][0]) if sums["distance_n"][0] else None
    result["confidence_intervals"] = {name: _interval(values[1:]) for name, values in numbers.items()}
    result["resamples_skipped"] = {name: int(np.isnan(values[1:]).sum()) for name, values in numbers.items()}
    return result


def intervals_of(values: Floats) -> list[tuple[float, float] | None]:
    """The 95 % interval of each of several numbers, of (numbers, resamples); NaN is not defined in that resample.

    None of a number that is defined in none.
    """
    found: list[tuple[float, float] | None] = [None] * len(values)
    defined = ~np.isnan(values)
    somewhere = defined.any(axis=1)  # nowhere without resamples
    everywhere = somewhere & defined.all(axis=1)
    ends = np.percentile(values[everywhere], PERCENTILES, axis=1).T.tolist() if everywhere.any() else []
    for place, (low, high) in zip(np.flatnonzero(everywhere).tolist(), ends, strict=True):
        found[place] = low, high
    for place in np.flatnonzero(somewhere & ~everywhere).tolist():
        low, high = np.percentile(values[place, defined[place]], PERCENTILES).tolist()
        found[place] = low, high
    return found


def _interval(values: Floats) -> Interval | None:
    [found] = intervals_of(values[None])
    return list(found) if found else None


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
