"""The JSON of the organisers' script: every field of it, against an independent computation by its rules.

`by_the_script` works on dense volumes, one mask of an instance at a time. It was written from what the published script
puts into each field, not from our code.
"""

import json
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from evaluation.command.cli import main
from tests.evaluation import builders

SHAPE = (3, 14, 15, 16)
NEIGHBOURS = ndimage.generate_binary_structure(3, 2)
TOLERANCE = 1e-12


def dice(one, other):
    return (2 * np.sum(one & other) + 1e-6) / (np.sum(one) + np.sum(other) + 1e-6)


def ratios(tp, fp, fn):
    precision = tp / (tp + fp) if tp + fp else 1.0
    recall = tp / (tp + fn) if tp + fn else 1.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"instance_precision": precision, "instance_recall": recall, "instance_f1": f1}


def mean(values):
    return float(np.mean(values)) if len(values) else 0.0


def components(mask):
    """Numbered in C order; those below 10 voxels are gone before they are numbered, those beyond 50 after it."""
    found, count = ndimage.label(mask, NEIGHBOURS)
    for number in range(1, count + 1):
        if np.sum(found == number) < 10:
            found[found == number] = 0
    found, count = ndimage.label(found > 0, NEIGHBOURS)
    by_size = sorted(range(1, count + 1), key=lambda number: -np.sum(found == number))
    for number in by_size[50:]:
        found[found == number] = 0
    return found


def finding(reference, prediction):
    parts = components(prediction > 0)
    entities = [int(value) for value in np.unique(reference) if value]
    instances = [int(value) for value in np.unique(parts) if value]
    scores = {(e, i): dice(reference == e, parts == i) for e, i in product(entities, instances)}
    matched: list[dict[str, Any]] = []
    for (e, i), score in sorted(scores.items(), key=lambda item: -item[1]):
        if score >= 0.2 and e not in {m["gt_id"] for m in matched} and i not in {m["pred_id"] for m in matched}:
            matched.append({"gt_id": e, "pred_id": i, "dice": score})
    tp = len(matched)
    fp, fn = len(instances) - tp, len(entities) - tp
    whole = dice(reference > 0, parts > 0)
    return {
        "global_dice": whole,
        "global_hit": bool(whole >= 0.1),
        "tp": tp,
        "fp": fp,
        "fn": fn,
        **ratios(tp, fp, fn),
        "mean_matched_dice": mean([m["dice"] for m in matched]),
        "matched_instances": matched,
        "unmatched_gt": sorted(set(entities) - {m["gt_id"] for m in matched}),
        "unmatched_pred": sorted(set(instances) - {m["pred_id"] for m in matched}),
        "num_gt_instances": len(entities),
        "num_pred_instances": len(instances),
    }


def case(name, reference, prediction):
    findings = {f"finding_{i}": finding(reference[i], prediction[i]) for i in range(len(reference))}
    total = {key: sum(one[key] for one in findings.values()) for key in ("tp", "fp", "fn", "global_hit")}
    dices = [one["global_dice"] for one in findings.values()]
    matched = [one["mean_matched_dice"] for one in findings.values() if one["matched_instances"]]
    tp, fp, fn = total["tp"], total["fp"], total["fn"]
    stats = {
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "gt_instances": tp + fn,
        "pred_instances": tp + fp,
        "mean_global_dice": mean(dices),
        "mean_matched_dice": mean(matched),
        **ratios(tp, fp, fn),
        "hits": total["global_hit"],
        "misses": len(findings) - total["global_hit"],
        "hit_rate": total["global_hit"] / len(findings),
        "finding_global_dice_list": dices,
        "matched_dice_list": matched,
    }
    return {"file": name, "findings": findings, "case_stats": stats}


def by_the_script(masks):
    cases = [case(name, *pair) for name, pair in masks.items()]
    findings = [one for found in cases for one in found["findings"].values()]
    tp, fp, fn, hits = (sum(one[key] for one in findings) for key in ("tp", "fp", "fn", "global_hit"))
    summary = {
        "params": {
            "global_only": False,
            "global_hit_thr": 0.1,
            "match_dice_thr": 0.2,
            "min_size": 10,
            "cc_connectivity": 2,
        },
        "total_cases": len(cases),
        "total_findings": len(findings),
        "total_hits": hits,
        "total_misses": len(findings) - hits,
        "hit_rate": hits / len(findings),
        "total_tp": tp,
        "total_fp": fp,
        "total_fn": fn,
        "total_gt_instances": tp + fn,
        "total_pred_instances": tp + fp,
        **{f"overall_{key}": value for key, value in ratios(tp, fp, fn).items()},
        "mean_global_dice_per_finding": mean([one["global_dice"] for one in findings]),
        "mean_global_dice_per_case": mean([one["case_stats"]["mean_global_dice"] for one in cases]),
        "mean_matched_dice_per_finding": mean([m["dice"] for one in findings for m in one["matched_instances"]]),
        "mean_findings_per_case": len(findings) / len(cases),
    }
    return {"summary": summary, "cases": cases}


def by_the_script_global_only(masks):
    cases = []
    for name, (reference, prediction) in masks.items():
        dices = [dice(one > 0, other > 0) for one, other in zip(reference, prediction, strict=True)]
        hits = sum(bool(one >= 0.1) for one in dices)
        stats = {"hits": hits, "misses": len(dices) - hits, "hit_rate": hits / len(dices)}
        found = {f"finding_{i}": {"global_dice": d, "global_hit": bool(d >= 0.1)} for i, d in enumerate(dices)}
        lists = {"mean_global_dice": mean(dices), "finding_global_dice_list": dices}
        cases.append({"file": name, "findings": found, "case_stats": {**stats, **lists}})
    dices = [d for one in cases for d in one["case_stats"]["finding_global_dice_list"]]
    hits = sum(one["case_stats"]["hits"] for one in cases)
    summary = {
        "params": {"global_only": True, "global_hit_thr": 0.1},
        "total_cases": len(cases),
        "total_findings": len(dices),
        "total_hits": hits,
        "total_misses": len(dices) - hits,
        "hit_rate": hits / len(dices),
        "mean_global_dice_per_finding": mean(dices),
        "mean_global_dice_per_case": mean([one["case_stats"]["mean_global_dice"] for one in cases]),
        "mean_findings_per_case": len(dices) / len(cases),
    }
    return {"summary": summary, "cases": cases}


def random_masks(seed):
    """Blobs of instances, some of them found, some in part, and fragments too small to count."""
    rng = np.random.default_rng(seed)
    reference = np.zeros(SHAPE, np.uint8)
    prediction = np.zeros(SHAPE, np.uint8)
    for channel in range(SHAPE[0] - 1):  # the last finding stays empty in some references
        for value in rng.permutation(np.arange(1, 9))[: rng.integers(1, 7)]:
            low = rng.integers(0, 10, 3)
            box = tuple(slice(at, at + size) for at, size in zip(low, rng.integers(2, 6, 3), strict=True))
            reference[channel][box] = value
            moved = tuple(
                slice(max(0, part.start + by), part.stop + by) for part, by in zip(box, (1, 0, -1), strict=True)
            )
            prediction[channel][box if rng.random() < 0.3 else moved] = rng.integers(1, 4) * (rng.random() < 0.8)
    prediction[rng.random(SHAPE) < 0.01] = 1
    return reference, prediction


def crowded_masks():
    """80 components of which 30 are beyond the 50 largest, so that their numbers have gaps."""
    reference, prediction = np.zeros((2, *SHAPE), np.uint8)
    corners = list(product(range(0, 12, 3), range(0, 15, 3), range(0, 16, 4)))
    for number, (h, w, d) in enumerate(corners):
        prediction[0, h : h + 2, w : w + 2, d : d + 3] = 1
        prediction[0, h, w, d] = number % 2
        reference[0, h : h + 2, w : w + 2, d : d + 2] = number + 1
    prediction[1, ::4, ::4, :] = 1
    return reference, prediction


class Folder:
    def __init__(self, root):
        self.root = root
        masks = {f"case_{seed}.nii.gz": random_masks(seed) for seed in range(6)}
        self.masks = {**masks, "crowded.nii.gz": crowded_masks()}
        for name, pair in self.masks.items():
            for folder, mask in zip(("gt", "pred"), pair, strict=True):
                (root / folder).mkdir(exist_ok=True)
                builders.mask_file(root / folder / name, mask)

    def run(self, *more):
        entries = [{"seg_path": f"masks/{name}", "findings": dict.fromkeys("012", "x")} for name in self.masks]
        (self.root / "dataset.json").write_text(json.dumps({"test": entries}))
        folders = ["--gt_dir", self.root / "gt", "--pred_dir", self.root / "pred"]
        files = ["--dataset_json", self.root / "dataset.json", "--output_json", self.root / "out.json"]
        words = [*folders, *files, "--num_workers", 1, "--format", "rexrank", *more]
        code = main([str(word) for word in words])
        return code, json.loads((self.root / "out.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return Folder(tmp_path_factory.mktemp("rexrank"))


def assert_holds(found, expected, where="it"):
    """All that the script writes, to the last digits; more may stand beside it."""
    if isinstance(expected, dict):
        assert set(expected) <= set(found), where
        for key, value in expected.items():
            assert_holds(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for index, value in enumerate(expected):
            assert_holds(found[index], value, f"{where}[{index}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=TOLERANCE, rel=TOLERANCE), where
    else:
        assert (found, type(found)) == (expected, type(expected)), where


def test_every_field_is_what_the_script_computes(folder):
    code, found = folder.run()
    expected = by_the_script(folder.masks)
    assert code == 0
    assert_holds(found, expected)
    assert list(found) == ["summary", "cases"]
    assert list(found["summary"]) == list(expected["summary"])
    crowded = expected["cases"][-1]["findings"]["finding_0"]
    assert crowded["num_pred_instances"] == 50
    assert max(one["pred_id"] for one in crowded["matched_instances"]) > 50
    findings = [one for found in expected["cases"] for one in found["findings"].values()]
    assert all(any(one[left_over] for one in findings) for left_over in ("unmatched_gt", "unmatched_pred"))


def test_global_only_has_the_dice_of_the_masks_as_saved_and_nothing_of_instances(folder, capsys):
    code, found = folder.run("--global_only")
    expected = by_the_script_global_only(folder.masks)
    assert code == 0
    assert_holds(found, expected)
    assert set(found["summary"]) == set(expected["summary"])
    for mine, theirs in zip(found["cases"], expected["cases"], strict=True):
        assert set(mine["case_stats"]) == set(theirs["case_stats"])
        assert set(mine["findings"]["finding_0"]) == {"global_dice", "global_hit"}
    assert found["summary"] != by_the_script(folder.masks)["summary"]
    assert "--global_only" not in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--global_only"]])
def test_a_lost_case_says_so_in_the_scripts_word_and_counts(tmp_path, more):
    folder = Folder(tmp_path)
    (tmp_path / "pred" / "case_0.nii.gz").unlink()
    builders.mask_file(tmp_path / "pred" / "case_1.nii.gz", np.full(SHAPE, 0.5))
    code, found = folder.run(*more)
    assert code == 3
    missing, invalid, scored = found["cases"][:3]
    assert (missing["error"], invalid["error"]) == ("missing_prediction", "invalid_prediction")
    assert "error" not in scored
    assert found["summary"]["total_cases"] == 7
    assert missing["case_stats"]["mean_global_dice"] == invalid["case_stats"]["mean_global_dice"] == 0
    if not more:
        wanted = by_the_script(folder.masks)["cases"][0]["findings"]["finding_0"]
        lost = missing["findings"]["finding_0"]
        assert len(lost["unmatched_gt"]) == lost["num_gt_instances"] == wanted["num_gt_instances"]
        assert (lost["matched_instances"], lost["unmatched_pred"], lost["mean_matched_dice"]) == ([], [], 0)
