"""The forms that results leave in: the two JSON documents and the table at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation import instances, matching
from evaluation.aggregate import PERCENTILES, RESAMPLES
from evaluation.matching import precision_recall_f1
from evaluation.scoring import VERSION, CaseResult, FindingResult

GROUP_TITLES = {
    "focal": "focal (2a-2h)",
    "non_focal": "non-focal (1a-1f)",
    "small": "small",
    "medium": "medium",
    "large": "large",
}
COLUMNS = ("", "n", "Dice", "95 % CI", "hit rate", "inst P", "inst R", "inst F1", "dist F1")


def params(seed: int, limits: tuple[float, float], split: str | None) -> dict[str, Any]:
    """Everything that the numbers depend on besides the files."""
    return {
        "split": split,
        "connectivity": 18,
        "min_instance_voxels": instances.MIN_VOXELS,
        "max_instances": instances.MAX_INSTANCES,
        "match_dice": matching.MATCH_DICE,
        "hit_dice": [matching.HIT_DICE, matching.LENIENT_HIT_DICE],
        "size_limits": list(limits),
        "bootstrap_seed": seed,
        "bootstrap_resamples": RESAMPLES,
        "bootstrap_percentiles": list(PERCENTILES),
    }


def native(
    results: Sequence[CaseResult], summarised: Mapping[str, Any], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """The native JSON document."""
    return {"evaluation_version": VERSION, "params": parameters, **summarised, "cases": list(results)}


def rexrank(results: Sequence[CaseResult], summarised: Mapping[str, Any]) -> dict[str, Any]:
    """The field names of the organisers' published script, for notebooks that read its output.

    Other than there, a case without a usable prediction is listed with its zeros and counts in every number.
    """
    summary = summarised["summary"]
    hits = sum(finding["hit"] for case in results for finding in case["findings"])
    tp, fp, fn = summary["tp"], summary["fp"], summary["fn"]
    return {
        "summary": {
            "total_cases": summary["total_cases"],
            "total_findings": summary["total_findings"],
            "total_hits": hits,
            "total_misses": summary["total_findings"] - hits,
            "hit_rate": summary["hit_rate"],
            "total_tp": tp,
            "total_fp": fp,
            "total_fn": fn,
            "total_gt_instances": tp + fn,
            "total_pred_instances": tp + fp,
            "overall_instance_precision": summary["instance_precision"],
            "overall_instance_recall": summary["instance_recall"],
            "overall_instance_f1": summary["instance_f1"],
            "mean_global_dice_per_finding": summary["dice_per_finding"],
            "mean_global_dice_per_case": summary["dice"],
        },
        "cases": [_rexrank_case(case) for case in results],
    }


def _rexrank_case(case: CaseResult) -> dict[str, Any]:
    findings = case["findings"]
    tp, fp, fn = (sum(finding[name] for finding in findings) for name in ("tp", "fp", "fn"))
    hits = sum(finding["hit"] for finding in findings)
    precision, recall, f1 = precision_recall_f1(tp, fp, fn)
    return {
        "file": case["name"],
        "status": case["status"],
        "reason": case["reason"],
        "findings": {f"finding_{finding['finding']}": _rexrank_finding(finding) for finding in findings},
        "case_stats": {
            "tp": tp,
            "fp": fp,
            "fn": fn,
            "gt_instances": tp + fn,
            "pred_instances": tp + fp,
            "mean_global_dice": case["dice"],
            "instance_precision": precision,
            "instance_recall": recall,
            "instance_f1": f1,
            "hits": hits,
            "misses": len(findings) - hits,
            "hit_rate": hits / len(findings),
            "finding_global_dice_list": [finding["dice"] for finding in findings],
        },
    }


def _rexrank_finding(finding: FindingResult) -> dict[str, Any]:
    precision, recall, f1 = precision_recall_f1(finding["tp"], finding["fp"], finding["fn"])
    return {
        "global_dice": finding["dice"],
        "global_hit": finding["hit"],
        "tp": finding["tp"],
        "fp": finding["fp"],
        "fn": finding["fn"],
        "instance_precision": precision,
        "instance_recall": recall,
        "instance_f1": f1,
        "num_gt_instances": finding["n_reference"],
        "num_pred_instances": finding["n_predicted"],
    }


def table(summarised: Mapping[str, Any]) -> str:
    """The results as a text table: overall (its Dice, the ranking metric, is the mean over cases), then each group."""
    summary = summarised["summary"]
    rows = [COLUMNS, _row("overall", summary["total_findings"], summary)]
    rows += [_row(GROUP_TITLES.get(name, name), group["n"], group) for name, group in summarised["groups"].items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _row(title: str, n: int, numbers: Mapping[str, Any]) -> tuple[str, ...]:
    interval = numbers["confidence_intervals"]["dice"]
    names = ("hit_rate", "instance_precision", "instance_recall", "instance_f1", "distance_f1")
    spread = f"{interval[0]:.3f}-{interval[1]:.3f}" if interval else "-"
    return (title, str(n), f"{numbers['dice']:.4f}", spread, *(_shown(numbers[name]) for name in names))


def _shown(number: float | None) -> str:
    return "-" if number is None else f"{number:.3f}"
