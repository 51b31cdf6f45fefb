"""The JSON of the organisers' published script, so that a notebook that reads its output reads ours.

What a field means is what it means there, with one difference: a case without a usable prediction, which the script
leaves out of every number (or dies of), is listed with its zeros and counts. `error`, which the script writes instead
of findings, stands beside them, and `status` and `reason` are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from evaluation.metrics.cases import Assessment, Matching
from evaluation.metrics.instances import MIN_VOXELS
from evaluation.metrics.matching import HIT_DICE, MATCH_DICE, precision_recall_f1
from evaluation.results import Aggregates, CaseResult, CaseStatus, FindingResult

CONNECTIVITY = 2  # as the script counts it: 1 for faces, 2 with edges, 3 with corners


def rexrank(assessments: Sequence[Assessment], aggregates: Aggregates) -> dict[str, Any]:
    """What the script writes."""
    summary = aggregates["summary"]
    hits = sum(finding["hit"] for finding in _findings(assessments))
    tp, fp, fn = summary["tp"], summary["fp"], summary["fn"]
    matchings = [matching for assessment in assessments for matching in assessment.matchings]
    params = {"global_only": False, "global_hit_thr": HIT_DICE, "match_dice_thr": MATCH_DICE}
    return {
        "summary": {
            "params": {**params, "min_size": MIN_VOXELS, "cc_connectivity": CONNECTIVITY},
            **_counted(aggregates, hits),
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
            # Whatever its name says, this is the mean over all matched pairs of all findings.
            "mean_matched_dice_per_finding": _mean(pair.dice for matching in matchings for pair in matching.pairs),
            "mean_findings_per_case": summary["total_findings"] / summary["total_cases"],
        },
        "cases": [_case(assessment) for assessment in assessments],
    }


def rexrank_global_only(assessments: Sequence[Assessment], aggregates: Aggregates) -> dict[str, Any]:
    """What the script writes with `--global_only`: Dice and hits of the masks as saved, and nothing of instances."""
    findings = _findings(assessments)
    hits = sum(_is_raw_hit(finding) for finding in findings)
    summary = aggregates["summary"]
    return {
        "summary": {
            "params": {"global_only": True, "global_hit_thr": HIT_DICE},
            **_counted(aggregates, hits),
            "mean_global_dice_per_finding": _mean(finding["dice_raw"] for finding in findings),
            "mean_global_dice_per_case": summary["dice_raw"],
            "mean_findings_per_case": summary["total_findings"] / summary["total_cases"],
        },
        "cases": [_case_global_only(assessment.result) for assessment in assessments],
    }


def _findings(assessments: Sequence[Assessment]) -> list[FindingResult]:
    return [finding for assessment in assessments for finding in assessment.result["findings"]]


def _is_raw_hit(finding: FindingResult) -> bool:
    return finding["dice_raw"] >= HIT_DICE


def _counted(aggregates: Aggregates, hits: int) -> dict[str, Any]:
    cases, findings = aggregates["summary"]["total_cases"], aggregates["summary"]["total_findings"]
    return {
        "total_cases": cases,
        "total_findings": findings,
        "total_hits": hits,
        "total_misses": findings - hits,
        "hit_rate": hits / findings,
    }


def _about(case: CaseResult) -> dict[str, Any]:
    about: dict[str, Any] = {"file": case["name"], "status": case["status"], "reason": case["reason"]}
    return about if case["status"] == CaseStatus.SCORED else {**about, "error": f"{case['status']}_prediction"}


def _case(assessment: Assessment) -> dict[str, Any]:
    case = assessment.result
    findings = {
        f"finding_{finding['finding']}": _finding(finding, matching)
        for finding, matching in zip(case["findings"], assessment.matchings, strict=True)
    }
    tp, fp, fn, hits = (sum(finding[name] for finding in case["findings"]) for name in ("tp", "fp", "fn", "hit"))
    precision, recall, f1 = precision_recall_f1(tp, fp, fn)
    matched = [finding["mean_matched_dice"] for finding in findings.values() if finding["matched_instances"]]
    return {
        **_about(case),
        "findings": findings,
        "case_stats": {
            "tp": tp,
            "fp": fp,
            "fn": fn,
            "gt_instances": tp + fn,
            "pred_instances": tp + fp,
            "mean_global_dice": case["dice"],
            "mean_matched_dice": _mean(matched),
            "instance_precision": precision,
            "instance_recall": recall,
            "instance_f1": f1,
            **_hits(hits, [finding["dice"] for finding in case["findings"]]),
            "matched_dice_list": matched,
        },
    }


def _finding(finding: FindingResult, matching: Matching) -> dict[str, Any]:
    precision, recall, f1 = precision_recall_f1(finding["tp"], finding["fp"], finding["fn"])
    pairs = matching.pairs
    return {
        "global_dice": finding["dice"],
        "global_hit": finding["hit"],
        "tp": finding["tp"],
        "fp": finding["fp"],
        "fn": finding["fn"],
        "instance_precision": precision,
        "instance_recall": recall,
        "instance_f1": f1,
        "mean_matched_dice": _mean(pair.dice for pair in pairs),
        "matched_instances": [{"gt_id": pair.entity, "pred_id": pair.instance, "dice": pair.dice} for pair in pairs],
        "unmatched_gt": list(matching.entities),
        "unmatched_pred": list(matching.instances),
        "num_gt_instances": finding["n_reference"],
        "num_pred_instances": finding["n_predicted"],
    }


def _case_global_only(case: CaseResult) -> dict[str, Any]:
    findings = case["findings"]
    dices = [finding["dice_raw"] for finding in findings]
    return {
        **_about(case),
        "findings": {
            f"finding_{finding['finding']}": {
                "global_dice": finding["dice_raw"],
                "global_hit": _is_raw_hit(finding),
            }
            for finding in findings
        },
        "case_stats": {"mean_global_dice": _mean(dices), **_hits(sum(map(_is_raw_hit, findings)), dices)},
    }


def _hits(hits: int, dices: list[float]) -> dict[str, Any]:
    return {
        "hits": hits,
        "misses": len(dices) - hits,
        "hit_rate": hits / len(dices),
        "finding_global_dice_list": dices,
    }


def _mean(numbers: Iterable[float]) -> float:
    """0 without any, as the script has it."""
    listed = list(numbers)
    return fmean(listed) if listed else 0.0
