"""From case results to the numbers of a leaderboard row: pure functions, no I/O.

Every aggregate, also each bootstrap resample of it, is a ratio of sums over cases. So a population of findings (all of
them, a category, a size group) is first condensed to one sum per case and number; a resample adds these up, each case
as often as it was drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.errors import EvaluationError
from evaluation.masks.runs import Floats
from evaluation.metrics.matching import precision_recall_f1, ratio
from evaluation.metrics.scoring import CaseResult, FindingResult, is_focal, is_non_focal

RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)

Sizes = Mapping[tuple[str, str], float]
Limits = tuple[float, float]
Findings = Sequence[Sequence[FindingResult]]  # per case

COUNTS = ("n", "hits", "hits_05", "tp", "fp", "fn", "distance_n", "distance_tp", "distance_fp", "distance_fn")


def seed_from(digest: str) -> int:
    """A bootstrap seed from a case set's digest (any text), the same for all runs on that case set."""
    return int.from_bytes(hashlib.sha256(digest.encode()).digest()[:8], "big")


def size_limits(fractions: Sequence[float]) -> Limits:
    """The 50th and 75th percentile of a case set's finding sizes (reference voxels / voxels of the volume)."""
    if len(fractions) == 0:
        raise EvaluationError("there are no findings to take size limits from")
    p50, p75 = np.percentile(np.asarray(fractions, np.float64), [50, 75])
    return float(p50), float(p75)


def size_group(fraction: float, limits: Limits) -> str:
    """The size of a lesion: small <= p50 < medium <= p75 < large."""
    if fraction <= limits[0]:
        return "small"
    return "medium" if fraction <= limits[1] else "large"


def summarise(
    cases: Sequence[CaseResult],
    *,
    seed: int,
    sizes: Sizes | None = None,
    limits: Limits | None = None,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """{"summary": ..., "groups": ...} of the native form, over results of `score_case` and `lost_case`.

    Groups are focal, non_focal, each category that occurs, and, given `sizes` (per case name and finding key, as a
    fraction of the volume) and `limits`, small, medium and large. The summary and every group carry
    "confidence_intervals", {"dice": [low, high], ...}, and "resamples_skipped", for each of these numbers how many
    resamples lacked it. Numbers that do not exist (no distances) are None. The order of `cases` does not matter.
    """
    if not cases:
        raise EvaluationError("there are no cases to summarise")
    ordered = sorted(cases, key=lambda case: str(case["name"]))
    if len({case["name"] for case in ordered}) < len(ordered):
        raise EvaluationError("two results are for the same case")
    drawn = _drawn(len(ordered), seed, resamples)
    everything = [case["findings"] for case in ordered]
    summary = {
        "total_cases": len(ordered),
        "total_findings": sum(len(findings) for findings in everything),
        **_population(everything, drawn, by_case=True),
    }
    groups = {
        name: _population(members, drawn, by_case=False) for name, members in _groups(ordered, sizes, limits).items()
    }
    return {"summary": summary, "groups": groups}


def _groups(cases: Sequence[CaseResult], sizes: Sizes | None, limits: Limits | None) -> dict[str, Findings]:
    """The findings of each group that has any, per case."""
    names: list[list[list[str]]] = [
        [_group_names(case["name"], finding, sizes, limits) for finding in case["findings"]] for case in cases
    ]
    present = {name for case in names for finding in case for name in finding}
    categories = sorted(present - {"focal", "non_focal", "small", "medium", "large"})
    order = ["focal", "non_focal", *categories, "small", "medium", "large"]
    return {
        group: [
            [finding for finding, its in zip(case["findings"], of_case, strict=True) if group in its]
            for case, of_case in zip(cases, names, strict=True)
        ]
        for group in order
        if group in present
    }


def _group_names(case: str, finding: FindingResult, sizes: Sizes | None, limits: Limits | None) -> list[str]:
    names = []
    category = finding["category"]
    if category is not None:
        names.append(category)
    if is_focal(category):
        names.append("focal")
    if is_non_focal(category):
        names.append("non_focal")
    if sizes is not None and limits is not None:
        names.append(size_group(sizes[case, finding["finding"]], limits))
    return names


def _drawn(n_cases: int, seed: int, resamples: int) -> Floats:
    """How often each case counts: row 0 is the set itself, each further row a bootstrap resample of it."""
    indices = np.random.default_rng(seed).integers(0, n_cases, (resamples, n_cases))
    cells = indices + np.arange(1, resamples + 1)[:, None] * n_cases
    drawn = np.bincount(cells.ravel(), minlength=(resamples + 1) * n_cases).reshape(-1, n_cases).astype(np.float64)
    drawn[0] = 1.0
    return drawn


def _population(findings: Findings, drawn: Floats, *, by_case: bool) -> dict[str, Any]:
    """All numbers of one set of findings. Dice is a mean over cases of the case's mean, or else one over findings."""
    counts, dice, dice_raw = _per_case(findings)
    pooled = {name: _added(drawn, column) for name, column in zip(COUNTS, counts, strict=True)}
    totals = {name: int(values[0]) for name, values in pooled.items()}
    per_finding, raw_per_finding = (
        ratio(_added(drawn, sums), pooled["n"], otherwise=np.nan) for sums in (dice, dice_raw)
    )
    result: dict[str, Any] = {}
    if by_case:
        per_case, raw_per_case = (_added(drawn, sums / counts[0]) / len(findings) for sums in (dice, dice_raw))
        numbers = {"dice": per_case, "dice_per_finding": per_finding, "dice_raw": raw_per_case}
    else:
        result["n"] = totals["n"]
        numbers = {"dice": per_finding, "dice_raw": raw_per_finding}
    numbers |= _rates(pooled)
    for name, values in numbers.items():
        result[name] = _number(values[0])
    for name in ("tp", "fp", "fn"):
        result[name] = totals[name]
        result[f"distance_{name}"] = totals[f"distance_{name}"] if totals["distance_n"] else None
    result["confidence_intervals"] = {name: _interval(values[1:]) for name, values in numbers.items()}
    result["resamples_skipped"] = {name: int(np.isnan(values[1:]).sum()) for name, values in numbers.items()}
    return result


def _per_case(findings: Findings) -> tuple[Floats, Floats, Floats]:
    """Per case: counts (one row for each of `COUNTS`), sum of dice, sum of dice_raw."""
    counts = np.zeros((len(COUNTS), len(findings)))
    dice, dice_raw = np.zeros(len(findings)), np.zeros(len(findings))
    for row, of_case in enumerate(findings):
        for finding in of_case:
            measured = finding["distance_tp"] is not None
            distance = [finding[f"distance_{name}"] if measured else 0 for name in ("tp", "fp", "fn")]
            known = [finding[name] for name in ("hit", "hit_05", "tp", "fp", "fn")]
            counts[:, row] += [1, *known, measured, *distance]
            dice[row] += finding["dice"]
            dice_raw[row] += finding["dice_raw"]
    return counts, dice, dice_raw


def _added(drawn: Floats, per_case: Floats) -> Floats:
    # Not a matrix product: the order in which BLAS adds, so the last bit, may depend on its number of threads.
    total: Floats = np.einsum("rc,c->r", drawn, per_case)
    return total


def _rates(pooled: Mapping[str, Floats]) -> dict[str, Floats]:
    """Hit rates and pooled ratios for each row of sums; NaN where a resample lacks what the number is about."""
    n = pooled["n"]
    numbers = {
        "hit_rate": ratio(pooled["hits"], n, otherwise=np.nan),
        "hit_rate_05": ratio(pooled["hits_05"], n, otherwise=np.nan),
    }
    for prefix, kind, present in (("", "instance", n), ("distance_", "distance", pooled["distance_n"])):
        ratios = precision_recall_f1(*(pooled[prefix + name] for name in ("tp", "fp", "fn")))
        for name, values in zip(("precision", "recall", "f1"), ratios, strict=True):
            numbers[f"{kind}_{name}"] = np.where(present > 0, values, np.nan)
    return numbers


def _interval(values: Floats) -> list[float] | None:
    present = values[~np.isnan(values)]
    if len(present) == 0:
        return None
    low, high = np.percentile(present, PERCENTILES)
    return [float(low), float(high)]


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
