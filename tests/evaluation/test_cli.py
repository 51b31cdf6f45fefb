"""`python -m evaluation`, as a team runs it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from evaluation import cli
from evaluation.dataset import load_dataset
from tests.evaluation import builders

SHAPE = (2, 8, 8, 8)


@pytest.fixture
def challenge(tmp_path):
    """Folders with three cases and perfect predictions."""
    return Challenge(tmp_path)


class Challenge:
    def __init__(self, root):
        self.root = root
        for folder in ("gt", "pred", "ct"):
            (root / folder).mkdir()
        self.names = [f"case_000{number}.nii.gz" for number in (1, 2, 3)]
        for number, name in enumerate(self.names):
            mask = np.zeros(SHAPE, np.uint8)
            mask[0, : 2 + number], mask[1, 5:] = 1, 2
            builders.mask_file(root / "gt" / name, mask)
            builders.mask_file(root / "pred" / name, mask)
            ct = np.zeros(SHAPE[1:], np.int16)
            builders.mask_file(root / "ct" / name, ct, pixdim=[1, 0.7, 0.7, 2.0, 0, 0, 0, 0])
        self.dataset = {"val": [self.entry(name) for name in self.names], "test": [self.entry("hidden.nii.gz")]}

    def entry(self, name):
        return {
            "name": name,
            "findings": {"0": "a nodule", "1": "emphysema"},
            "categories": {"0": "2d", "1": "1c"},
            "shape": list(SHAPE[1:]),
            "seg_path": "ignored",
        }

    def run(self, *more):
        (self.root / "dataset.json").write_text(json.dumps(self.dataset))
        folders = ["--gt_dir", self.root / "gt", "--pred_dir", self.root / "pred"]
        files = ["--dataset_json", self.root / "dataset.json", "--output_json", self.root / "out.json"]
        return cli.main([str(word) for word in [*folders, *files, "--num_workers", 1, *more]])

    def name_warnings(self):
        (self.root / "dataset.json").write_text(json.dumps(self.dataset))
        dataset = load_dataset(self.root / "dataset.json", "val", self.root / "gt", None)
        return list(cli.name_warnings(dataset, self.root / "pred"))

    def output(self):
        return json.loads((self.root / "out.json").read_text())


def test_perfect_predictions(challenge, capsys):
    assert challenge.run("--ct_dir", challenge.root / "ct") == 0
    result = challenge.output()
    assert list(result) == ["evaluation_version", "params", "summary", "groups", "cases"]
    summary = result["summary"]
    assert (summary["total_cases"], summary["total_findings"]) == (3, 6)
    assert (summary["dice"], summary["hit_rate"], summary["instance_f1"], summary["distance_f1"]) == (1, 1, 1, 1)
    assert set(result["groups"]) == {"focal", "non_focal", "1c", "2d", "small", "large"}
    assert [case["name"] for case in result["cases"]] == challenge.names
    assert "overall" in capsys.readouterr().out


def test_the_native_form_has_the_published_fields(challenge):
    challenge.run()
    case = challenge.output()["cases"][0]
    assert list(case) == ["name", "status", "reason", "dice", "findings"]
    assert list(case["findings"][0]) == [
        *("finding", "category", "dice", "dice_raw", "hit", "hit_05", "n_reference", "n_predicted"),
        *("tp", "fp", "fn", "distance_tp", "distance_fp", "distance_fn"),
    ]
    assert {
        *("total_cases", "total_findings", "dice", "dice_per_finding", "dice_raw", "hit_rate", "hit_rate_05"),
        *("tp", "fp", "fn", "instance_precision", "instance_recall", "instance_f1"),
        *("distance_tp", "distance_fp", "distance_fn", "distance_precision", "distance_recall", "distance_f1"),
        "confidence_intervals",
    } <= set(challenge.output()["summary"])


def test_missing_and_invalid_predictions_count_and_show_in_the_exit_code(challenge, capsys):
    (challenge.root / "pred" / challenge.names[0]).unlink()
    builders.mask_file(challenge.root / "pred" / challenge.names[1], np.full(SHAPE, 0.9))
    assert challenge.run() == 3
    result = challenge.output()
    assert [case["status"] for case in result["cases"]] == ["missing", "invalid", "scored"]
    assert result["summary"]["dice"] == pytest.approx(1 / 3)
    assert result["summary"]["fn"] == 4
    assert "found 0.9; threshold your probabilities before saving" in capsys.readouterr().out


def test_without_a_spacing_distances_are_null_with_a_warning(challenge, capsys):
    assert challenge.run() == 0
    assert challenge.output()["summary"]["distance_f1"] is None
    assert "no known voxel spacing" in capsys.readouterr().err


def test_the_spacing_may_come_from_the_dataset_file(challenge):
    for entry in challenge.dataset["val"]:
        entry["spacing"] = [0.7, 0.7, 2]
    assert challenge.run() == 0
    assert challenge.output()["summary"]["distance_f1"] == 1


def test_the_spacing_of_the_masks_is_never_used(challenge):
    # Five voxels along H are 3.5 mm, within 4 mm, by the CT; by the masks' own header they would be 5 mm, beyond 2 mm.
    for name in challenge.names:
        mask = np.zeros(SHAPE, np.uint8)
        mask[:, :3, :4, 3] = 1
        builders.mask_file(challenge.root / "gt" / name, mask)
        builders.mask_file(challenge.root / "pred" / name, np.roll(mask, 5, 1))
    challenge.run()
    assert challenge.output()["summary"]["distance_f1"] is None
    challenge.run("--ct_dir", challenge.root / "ct")
    assert challenge.output()["summary"]["distance_tp"] == 6


def test_a_disagreement_about_the_spacing_is_mentioned(challenge, capsys):
    challenge.dataset["val"][0]["spacing"] = [1, 1, 1]
    challenge.run("--ct_dir", challenge.root / "ct")
    assert "is used, not the dataset file's" in capsys.readouterr().err


def test_findings_without_a_category_are_counted(challenge, capsys):
    del challenge.dataset["val"][0]["categories"]
    challenge.run("--ct_dir", challenge.root / "ct")
    assert "2 findings have no category 1x or 2x" in capsys.readouterr().err
    assert challenge.output()["summary"]["distance_tp"] == 4


def test_the_split_without_references_is_left_out_and_said_so(challenge, capsys):
    challenge.run()
    assert "no reference files for split 'test'" in capsys.readouterr().err


@pytest.mark.parametrize(("split", "code", "said"), [("val", 0, ""), ("test", 2, "is missing"), ("x", 2, "no split")])
def test_a_split_can_be_chosen(challenge, capsys, split, code, said):
    assert challenge.run("--split", split) == code
    assert said in capsys.readouterr().err


def test_a_dataset_file_that_is_just_a_list_is_accepted(challenge):
    challenge.dataset = challenge.dataset["val"]
    assert challenge.run() == 0


def test_a_missing_reference_stops_before_any_scoring(challenge, capsys):
    (challenge.root / "gt" / challenge.names[1]).unlink()
    assert challenge.run() == 2
    assert f"{challenge.names[1]}: the reference file is missing" in capsys.readouterr().err
    assert not (challenge.root / "out.json").exists()


def test_all_problems_are_listed_at_once(challenge, capsys):
    first, second, third = challenge.dataset["val"]
    first["shape"] = [8, 8, 9]
    second["findings"]["2"] = "a third"
    third["name"] = "../case_0003.nii.gz"
    assert challenge.run("--split", "val") == 2
    errors = capsys.readouterr().err
    assert "states [8, 8, 9]" in errors
    assert "lists key 2" in errors
    assert "not a plain file name" in errors


@pytest.mark.parametrize("content", ["", "{", "3", '{"val": [1]}', "[" * 100_000])
def test_a_broken_dataset_file_is_an_error(challenge, capsys, content):
    (challenge.root / "broken.json").write_text(content)
    assert challenge.run("--dataset_json", challenge.root / "broken.json") == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_folder_that_is_not_there_is_an_error(challenge, capsys):
    assert challenge.run("--pred_dir", challenge.root / "nowhere") == 2
    assert "there is no folder" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_an_error_before_the_work(challenge, capsys):
    assert challenge.run("--output_json", challenge.root / "nowhere" / "out.json") == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["case_0001.nii", "CASE_0001.NII.GZ", "case_0001_pred.nii.gz", "case-0001.nii.gz", "sub/case_0001.nii.gz"],
)
def test_a_name_that_almost_matches_is_pointed_out(challenge, name):
    predictions = challenge.root / "pred"
    (predictions / "sub").mkdir()
    (predictions / challenge.names[0]).rename(predictions / name)
    pointed_out, extra = challenge.name_warnings()
    assert pointed_out.startswith(f"{challenge.names[0]} is missing, but there is {name}; is it meant?")
    assert extra.startswith("1 files in")


def test_a_neighbours_file_is_no_near_miss(challenge):
    (challenge.root / "pred" / challenge.names[0]).unlink()
    assert challenge.name_warnings() == []


def test_warnings_about_names_are_shown(challenge, capsys):
    (challenge.root / "pred" / challenge.names[0]).rename(challenge.root / "pred" / "case_0001.nii")
    assert challenge.run() == 3
    assert "warning: case_0001.nii.gz is missing, but there is case_0001.nii" in capsys.readouterr().err


def test_rexrank_has_the_names_of_the_organisers_script(challenge):
    (challenge.root / "pred" / challenge.names[0]).unlink()
    assert challenge.run("--format", "rexrank") == 3
    result = challenge.output()
    assert list(result["summary"]) == [
        *("total_cases", "total_findings", "total_hits", "total_misses", "hit_rate", "total_tp", "total_fp"),
        *("total_fn", "total_gt_instances", "total_pred_instances", "overall_instance_precision"),
        *("overall_instance_recall", "overall_instance_f1", "mean_global_dice_per_finding"),
        "mean_global_dice_per_case",
    ]
    assert (result["summary"]["total_hits"], result["summary"]["total_misses"]) == (4, 2)
    assert result["summary"]["mean_global_dice_per_case"] == pytest.approx(2 / 3)
    assert result["cases"][1]["findings"]["finding_0"]["global_dice"] == 1


def test_the_result_does_not_depend_on_the_number_of_workers(challenge):
    challenge.run("--num_workers", 1)
    alone = challenge.output()
    challenge.run("--num_workers", 3)
    assert challenge.output() == alone


def test_it_runs_as_a_module_and_explains_itself():
    run = subprocess.run([sys.executable, "-m", "evaluation", "--help"], capture_output=True, text=True, check=False)
    assert run.returncode == 0
    assert "exit codes" in run.stdout
