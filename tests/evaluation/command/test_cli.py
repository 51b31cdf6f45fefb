"""`python -m evaluation`, as a team runs it."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from evaluation import VERSION
from evaluation.command import cli, parallel
from evaluation.hints import judging
from evaluation.isolation.scorer import IsolatedScorer
from tests.evaluation import builders

SHAPE = (2, 8, 8, 8)
COMMAND = [sys.executable, "-m", "evaluation"]


@pytest.fixture(scope="module")
def scorer():
    """One child process for many tests: starting it takes longer than most of them."""
    with IsolatedScorer() as scorer:
        yield scorer


@pytest.fixture
def challenge_with_own_children(tmp_path):
    """Folders with three cases and perfect predictions."""
    return Challenge(tmp_path)


@pytest.fixture
def challenge(challenge_with_own_children, monkeypatch, scorer):
    """The same, scored by a process that is there already."""
    there = Mock(return_value=nullcontext(scorer), assess=IsolatedScorer.assess, fit=IsolatedScorer.fit)
    monkeypatch.setattr(parallel, "IsolatedScorer", there)
    return challenge_with_own_children


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

    def arguments(self, *more):
        (self.root / "dataset.json").write_text(json.dumps(self.dataset))
        folders = ["--gt_dir", self.root / "gt", "--pred_dir", self.root / "pred"]
        files = ["--dataset_json", self.root / "dataset.json", "--output_json", self.root / "out.json"]
        return [str(word) for word in [*folders, *files, "--num_workers", 1, *more]]

    def run(self, *more):
        return cli.main(self.arguments(*more))

    def output(self):
        return json.loads((self.root / "out.json").read_text())


def test_perfect_predictions(challenge, capsys):
    assert challenge.run("--ct_dir", challenge.root / "ct") == 0
    result = challenge.output()
    assert list(result) == ["evaluation_version", "params", "summary", "groups", "hints", "cases"]
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


def test_an_archive_in_place_of_a_folder_is_an_error(challenge, capsys):
    assert challenge.run("--pred_dir", challenge.root / "dataset.json") == 2
    assert "dataset.json is a file, not a folder; unpack it if it is an archive" in capsys.readouterr().err


def test_a_folder_that_may_not_be_read_is_an_error(challenge, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "pred")
    assert challenge.run() == 2
    assert "--pred_dir: cannot read" in capsys.readouterr().err


def test_any_trouble_with_the_machine_is_an_error_in_words(challenge, monkeypatch, capsys):
    def forbidden(*_):
        raise PermissionError(13, "Permission denied", "somewhere")

    monkeypatch.setattr(Path, "samefile", forbidden)
    assert challenge.run() == 2
    assert capsys.readouterr().err.endswith("error: Permission denied: somewhere\n")


def test_a_cache_that_cannot_be_made_is_an_error_before_the_work(challenge, capsys):
    assert challenge.run("--cache_dir", challenge.root / "dataset.json") == 2
    assert "File exists" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_an_error_before_the_work(challenge, capsys):
    assert challenge.run("--output_json", challenge.root / "nowhere" / "out.json") == 2
    assert "there is no folder" in (said := capsys.readouterr().err)
    assert "mkdir -p" in said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "not a NIfTI file but a Git LFS pointer"),
        ("\n<!doctype html><title>Sign in</title>", "not a NIfTI file but a web page: the download went wrong"),
        ("", "the file is empty"),
    ],
)
def test_a_prediction_that_is_no_mask_is_called_what_it_is(challenge, capsys, name, words):
    (challenge.root / "pred" / challenge.names[0]).write_text(name)
    assert challenge.run() == 3
    assert f"  {challenge.names[0]}: invalid: {words}" in capsys.readouterr().out


def test_a_reference_that_is_no_mask_is_called_what_it_is(challenge, capsys):
    (challenge.root / "gt" / challenge.names[0]).write_text("version https://git-lfs.github.com/spec/v1\n")
    assert challenge.run() == 2
    said = f"{challenge.names[0]}: the reference is unusable: not a NIfTI file but a Git LFS pointer; fetch the file"
    assert said in capsys.readouterr().err


def test_volumes_in_nested_folders_are_found_and_a_damaged_one_is_only_warned_of(challenge, capsys):
    for name in challenge.names:
        folder = challenge.root / "ct" / name[:6] / name[:9]
        folder.mkdir(parents=True)
        (challenge.root / "ct" / name).rename(folder / name)
    (folder / name).write_bytes(b"damaged")
    assert challenge.run("--ct_dir", challenge.root / "ct") == 0
    assert [case["findings"][0]["distance_tp"] for case in challenge.output()["cases"]] == [1, 1, None]
    said = f"warning: the CT volume is unusable, so its spacing is not known: {name}: not a NIfTI file"
    assert said in capsys.readouterr().err


def test_warnings_about_names_are_shown(challenge, capsys):
    (challenge.root / "pred" / challenge.names[0]).rename(challenge.root / "pred" / "case_0001.nii")
    assert challenge.run() == 3
    assert "case_0001.nii.gz  is missing, but there is  case_0001.nii\n" in capsys.readouterr().err


def test_a_negative_number_of_workers_is_an_error(challenge):
    assert challenge.run("--num_workers", -1) == 2


def test_the_csv_has_a_row_for_each_finding(challenge, capsys):
    (challenge.root / "pred" / challenge.names[1]).unlink()
    assert challenge.run("--output_csv", challenge.root / "out.csv") == 3
    header, *rows = (challenge.root / "out.csv").read_text().splitlines()
    assert header.startswith("case,status,reason,case_dice,finding,category,dice,")
    assert [row.split(",")[:2] for row in rows] == [
        *[["case_0001.nii.gz", "scored"]] * 2,
        *[["case_0002.nii.gz", "missing"]] * 2,
        *[["case_0003.nii.gz", "scored"]] * 2,
    ]
    assert "out.json and " in capsys.readouterr().out


class TestHints:
    def flip(self, challenge, axis):
        for number, name in enumerate(challenge.names):
            mask = np.zeros(SHAPE, np.uint8)
            mask[0, 1:3, : 2 + number, :4] = mask[1, 5:, 5:, 5:] = 1
            builders.mask_file(challenge.root / "gt" / name, mask)
            builders.mask_file(challenge.root / "pred" / name, np.flip(mask, axis))

    def test_flipped_masks_are_recognised(self, challenge, capsys):
        self.flip(challenge, 3)
        assert challenge.run() == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "hint: on 3 of 3 cases, Dice would be better if the masks were flipped along D: 1.000" in said

    def test_hints_change_no_score(self, challenge, monkeypatch):
        self.flip(challenge, 3)
        challenge.run()
        with_hints = challenge.output()
        monkeypatch.setattr(judging, "POOR_DICE", -1.0)
        challenge.run()
        assert with_hints.pop("hints")
        assert challenge.output() == {**with_hints, "hints": []}

    @pytest.mark.parametrize(
        "slip",
        [lambda m: m[:, ::-1], lambda m: m[:, :, ::-1, ::-1], lambda m: m.transpose(0, 3, 2, 1), lambda m: m[::-1]],
    )
    def test_what_a_hint_promises_is_what_the_corrected_masks_score(self, challenge, slip):
        rng = np.random.default_rng(4)
        saved = {}
        for name in challenge.names:
            # A good finding, a middling one, one that was never found and one with fragments that do not count.
            reference, mask = np.zeros((2, 4, *SHAPE[1:]), np.uint8)
            reference[0, 0:3, 1:4, 4:8] = mask[0, 0:3, 1:4, 4:8] = 1
            reference[1, 5:8, 4:8, 0:3] = mask[1, 5:8, 5:8, 1:3] = 1
            reference[2, 0:3, 6:8, 4:8] = 1
            reference[3, 5:8, 0:3, 0:3] = mask[3, 5:8, 0:2, 0:3] = 1
            mask[3][rng.random(SHAPE[1:]) < 0.01] = 1
            builders.mask_file(challenge.root / "gt" / name, reference)
            builders.mask_file(challenge.root / "pred" / name, slip(mask))
            saved[name] = mask
        for entry in challenge.dataset["val"]:
            entry["findings"] = {str(key): "a finding" for key in range(4)}
            entry["categories"] = dict.fromkeys("0123", "2a")
        assert challenge.run() == 0
        poor = challenge.output()
        hint = poor["hints"][0]
        for name, mask in saved.items():
            builders.mask_file(challenge.root / "pred" / name, mask)
        assert challenge.run() == 0
        assert hint["dice"] == pytest.approx(poor["summary"]["dice"])
        assert hint["corrected_dice"] == pytest.approx(challenge.output()["summary"]["dice"])
        assert 0.3 < hint["corrected_dice"] < 0.8

    def test_good_masks_are_not_looked_at(self, challenge, monkeypatch):
        monkeypatch.setattr("evaluation.isolation.scorer.IsolatedScorer.fit", lambda *_: pytest.fail("looked at"))
        assert challenge.run() == 0

    def test_one_mask_for_all_findings_is_recognised_and_changes_no_score(self, challenge, capsys):
        for name in challenge.names:
            mask = np.zeros(SHAPE, np.uint8)
            mask[:, :3] = 1
            builders.mask_file(challenge.root / "pred" / name, mask)
        assert challenge.run() == 0
        hint = challenge.output()["hints"][-1]
        assert (hint["kind"], hint["cases"], hint["dice"], hint["corrected_dice"]) == ("repeated", 3, None, None)
        assert "every channel holds the same mask" in " ".join(capsys.readouterr().out.split())

    def test_a_failure_to_look_costs_nothing(self, challenge, monkeypatch, capsys):
        self.flip(challenge, 3)
        monkeypatch.setattr("evaluation.isolation.scorer.IsolatedScorer.fit", lambda *_: None)
        assert challenge.run() == 0
        assert "hint" not in capsys.readouterr().out


def test_the_list_of_lost_cases_is_bounded(challenge, monkeypatch, capsys):
    monkeypatch.setattr(cli, "MAX_LOST_SHOWN", 1)
    for name in challenge.names:
        (challenge.root / "pred" / name).unlink()
    assert challenge.run() == 3
    captured = capsys.readouterr()
    assert "3 of 3 cases have no usable prediction" in captured.out
    assert "... and 2 more, listed in the results" in captured.out
    assert "none of the 3 cases has a prediction" in captured.err


def test_the_references_as_predictions_are_noticed(challenge, capsys):
    assert challenge.run("--pred_dir", challenge.root / "gt") == 0
    assert "--pred_dir is --gt_dir" in capsys.readouterr().err


def test_the_predictions_of_another_split_are_noticed(challenge, capsys):
    (challenge.root / "pred" / "hidden.nii.gz").write_bytes(b"")
    challenge.run("--split", "val")
    assert "1 file in" in (errors := capsys.readouterr().err)
    assert "belongs to split 'test', which is not scored" in errors


def test_the_same_remark_about_many_cases_is_one_line(challenge, capsys):
    for name in challenge.names:
        (challenge.root / "ct" / name).unlink()
    challenge.run("--ct_dir", challenge.root / "ct")
    assert "no CT volume in" in (errors := capsys.readouterr().err)
    assert ": 3 cases, for example case_0001.nii.gz" in errors


@pytest.mark.parametrize("name", ["a\nb", "\ud800", "x" * 300, "a/b", "..", "", 3])
def test_a_name_that_no_file_can_have_is_an_error(challenge, capsys, name):
    challenge.dataset["val"][0]["name"] = name
    assert challenge.run("--split", "val") == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("spacing", [3, [1, 2], [1, 2, 10**400], [0, 1, 1], [1, 1, float("nan")], ["1", "1", "1"]])
def test_an_impossible_spacing_is_an_error(challenge, capsys, spacing):
    challenge.dataset["val"][0]["spacing"] = spacing
    assert challenge.run() == 2
    assert "spacing must be three" in capsys.readouterr().err


class TestOptionsOfTheOrganisersScript:
    def test_the_official_settings_are_taken(self, challenge):
        assert challenge.run("--min_size", 10, "--cc_connectivity", 2) == 0

    @pytest.mark.parametrize(("option", "value"), [("--min_size", 5), ("--cc_connectivity", 3)])
    def test_other_settings_are_refused(self, challenge, capsys, option, value):
        assert challenge.run(option, value) == 2
        assert "the challenge is scored with" in capsys.readouterr().err

    def test_global_only_changes_nothing_in_the_native_form_and_says_so(self, challenge, capsys):
        assert challenge.run("--global_only") == 0
        assert "--global_only has no effect" in capsys.readouterr().err


class TestOutputFiles:
    @pytest.mark.parametrize("option", ["--output_json", "--output_csv"])
    def test_no_input_is_overwritten(self, challenge, capsys, option):
        assert challenge.run(option, challenge.root / "dataset.json") == 2
        assert "is --dataset_json already" in capsys.readouterr().err

    @pytest.mark.parametrize(("option", "kind"), [("--output_json", "json"), ("--output_csv", "csv")])
    def test_no_mask_is_overwritten(self, challenge, capsys, option, kind):
        assert challenge.run(option, challenge.root / "gt" / challenge.names[0]) == 2
        assert f"has the name of a mask; name a .{kind} file" in capsys.readouterr().err

    def test_the_two_outputs_are_two_files(self, challenge, capsys):
        assert challenge.run("--output_csv", challenge.root / "out.json") == 2
        assert "is --output_json already" in capsys.readouterr().err

    def test_a_full_disk_is_an_error_and_the_table_is_shown(self, challenge, monkeypatch, capsys):
        def full(_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        assert challenge.run() == 2
        captured = capsys.readouterr()
        assert "out.json cannot be written: No space left on device" in captured.err
        assert "overall" in captured.out


class TestResults:
    """Of a run whose results could not be written: its scored cases are kept (see test_resume for more)."""

    @pytest.fixture
    def unfinished(self, challenge, capsys):
        """A run that scored all of its cases."""
        assert challenge.run("--output_csv", "/dev/full") == 2
        kept = (
            f"3 of 3 cases are scored and kept in {challenge.root / 'out.json.partial'}; the same command with --resume"
        )
        assert f"error: /dev/full cannot be written: No space left on device\n{kept}" in capsys.readouterr().err
        return challenge

    def test_they_are_not_scored_again(self, unfinished, monkeypatch, capsys):
        monkeypatch.setattr("evaluation.command.parallel.IsolatedScorer.assess", lambda *_: pytest.fail("scored"))
        assert unfinished.run("--resume") == 0
        assert unfinished.output()["summary"]["dice"] == 1
        assert "resumed: 3 of 3 cases were scored before\n" in capsys.readouterr().err
        assert not (unfinished.root / "out.json.partial").exists()

    def test_a_changed_prediction_is_scored_again_and_the_form_may_be_another(self, unfinished, capsys):
        builders.mask_file(unfinished.root / "pred" / unfinished.names[0], np.zeros(SHAPE))
        assert unfinished.run("--resume", "--format", "rexrank") == 0
        assert "resumed: 2 of 3 cases were scored before; 1 kept results are of other" in capsys.readouterr().err
        resumed = (unfinished.root / "out.json").read_bytes()
        assert unfinished.run("--format", "rexrank") == 0
        assert (unfinished.root / "out.json").read_bytes() == resumed

    def test_without_resume_they_are_scored_again(self, unfinished, capsys):
        assert unfinished.run() == 0
        assert "they are scored again, since --resume is not given" in capsys.readouterr().err

    def test_with_nothing_to_go_on_from_all_is_scored(self, challenge, capsys):
        assert challenge.run("--resume") == 0
        assert "resumed: 0 of 3 cases were scored before\n" in capsys.readouterr().err


def children_of(pid):
    """The process ids of a process's children, whichever of its threads started them."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [child for task in tasks for child in (task / "children").read_text().split()]


def scoring_processes_of(pid):
    """The fork server and its children, once there is one of both."""
    server = children_of(pid)
    return server + children_of(server[0]) if server and children_of(server[0]) else []


def test_the_result_does_not_depend_on_the_number_of_workers_or_on_a_cache(challenge_with_own_children):
    challenge = challenge_with_own_children
    cache = challenge.root / "cache"
    challenge.run("--num_workers", 0)
    alone = challenge.output()
    for workers in (40, 1):  # the first fills the cache, the second uses it
        challenge.run("--num_workers", workers, "--cache_dir", cache)
        assert challenge.output() == alone
    assert len(list(cache.iterdir())) == len(challenge.names)


class TestAsAProcess:
    def test_it_explains_itself_in_80_columns(self):
        words = [*COMMAND, "--help"]
        run = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "80"})
        assert run.returncode == 0
        assert "exit codes" in run.stdout
        assert max(map(len, run.stdout.splitlines())) <= 80

    def test_it_states_the_version_of_the_metrics(self):
        run = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=False)
        assert (run.returncode, run.stdout) == (0, f"evaluation version {VERSION}, compiled kernel\n")

    def test_a_wrong_option_is_explained(self):
        run = subprocess.run([*COMMAND, "--x"], capture_output=True, text=True, check=False)
        assert run.returncode == 2
        assert "usage" in run.stderr

    def test_nobody_reading_the_table_does_no_harm(self, challenge):
        words = shlex.join([*COMMAND, *challenge.arguments()])
        run = subprocess.run(
            ["bash", "-c", f"{words} | true; exit ${{PIPESTATUS[0]}}"], capture_output=True, check=False
        )
        assert run.returncode == 0
        assert b"Error" not in run.stderr
        assert challenge.output()["summary"]["dice"] == 1

    @pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_it_stops_at_once_when_told_to_and_takes_its_children_along(self, challenge, sent, code):
        # One case of noise, which takes long enough to be interrupted.
        shape = (1, 200, 200, 200)
        noise = (np.random.default_rng(0).random(shape) < 0.5).astype(np.uint8)
        for folder in ("gt", "pred"):
            builders.mask_file(challenge.root / folder / "noise.nii", noise)
        challenge.dataset = {"val": [{"name": "noise.nii", "findings": {"0": "noise"}}]}
        process = subprocess.Popen(
            [*COMMAND, *challenge.arguments()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # These tests may run in a background job, whose children ignore SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while not (started := scoring_processes_of(process.pid)):
            time.sleep(0.01)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == code
        assert b"Traceback" not in errors
        assert not any(Path(f"/proc/{child}").exists() for child in started)
        assert not (challenge.root / "out.json").exists()
