"""File names that almost match, and folders that are not the right ones."""

import os

import pytest

from evaluation.command import names
from evaluation.command.names import folder_warnings, near_misses, same_folder_warnings

CASES = ["case_0001.nii.gz", "case_0002.nii.gz", "case_0003.nii.gz"]


@pytest.fixture
def folder(tmp_path):
    """A folder of predictions with a file of some content for each case."""
    predictions = tmp_path / "pred"
    (predictions / "sub").mkdir(parents=True)
    for number, name in enumerate(CASES):
        (predictions / name).write_bytes(bytes([number]))
    return predictions


def warnings(folder, elsewhere=None):
    return list(folder_warnings(CASES, elsewhere or {}, folder))


def test_a_folder_with_a_file_for_each_case_is_fine(folder):
    assert warnings(folder) == []


@pytest.mark.parametrize(
    "name",
    [
        "case_0001.nii",
        "CASE_0001.NII.GZ",
        "case_0001_pred.nii.gz",
        "seg_case_0001.nii.gz",
        "case-0001.nii.gz",
        "case_1.nii.gz",
        "caes_0001.nii.gz",
        "0001.nii.gz",
        "case_0001.npz",
        "case_0001.nii.gz.nii.gz",
        "sub/case_0001.nii.gz",
        "valid_1/valid_1_a/case_0001.nii.gz",
    ],
)
def test_a_name_that_almost_matches_is_pointed_out(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / CASES[0]).rename(folder / name)
    pointed_out, extra = warnings(folder)
    assert f"{CASES[0]}  is missing, but there is  {name}" in pointed_out
    assert extra == f"1 file in {folder} belongs to no case, for example {name}"


@pytest.mark.parametrize(
    "name",
    [
        *("case_0001_0000.nii.gz", "case_1_0000.nii.gz", "CASE-1.nii.gz", "case_001.nii.gz", "case0001.nii.gz"),
        *("case_0001_seg.nii.gz", "case_0001_pred_v2.nii.gz", "case_0001_seg0.nii.gz", "case_0001_fold0.nii.gz"),
        *("case_0001 (1).nii.gz", "case_0001.nii (1).gz", "case_0001.h5", "case_0001.nii.gz.part"),
        *("case_0001_thr0.5.nii.gz", "case_0001_1.5mm.nii.gz", "case_0001_finding_0.nii.gz"),
        *("case_0001/mask.nii.gz", "case_0001/0.nii.gz", "case_0001/seg_0000.nii.gz", "1/pred.nii.gz"),
        *("fold0/0001.nii.gz", "fold_2/case_0001.nii.gz"),
    ],
)
def test_what_programs_make_of_a_name_is_recognised(name):
    cases = ["case_0000.nii.gz", *CASES]
    assert near_misses(cases, [name]) == {"case_0001.nii.gz": name}


@pytest.mark.parametrize(
    "name",
    [
        *("case_0003_0000.nii.gz", "case_0001_0001.nii.gz", "case_0001_1.nii.gz", "case_00010000.nii.gz"),
        *("._case_0001.nii.gz", "case_0001.nii.gz:Zone.Identifier", "1/0.nii.gz"),
    ],
)
def test_nothing_is_guessed_where_another_case_may_be_meant(name):
    assert near_misses(["case_0000.nii.gz", "case_0001.nii.gz", "case_0002.nii.gz"], [name]) == {}


def test_the_suffix_of_nnunet_is_no_number_of_a_case():
    cases = ["case_0000.nii.gz", "case_0001.nii.gz", "case_0002.nii.gz"]
    others = ["case_1_0000.nii.gz", "case_0000_0000.nii.gz", "case_0002_0000.nii.gz"]
    assert near_misses(cases, others) == dict(zip(cases, [others[1], others[0], others[2]], strict=True))
    assert near_misses(["thorax.nii.gz"], ["thorax_0000.nii.gz"]) == {"thorax.nii.gz": "thorax_0000.nii.gz"}
    assert near_misses(["case_0001_0000.nii.gz"], ["case_0001.nii.gz"]) == {}


def test_two_splits_number_different_patients():
    missing = ["train_1_a_2.nii.gz", "valid_1_a_2.nii.gz"]
    assert near_misses(missing[1:], [missing[0]]) == {}
    assert near_misses(missing, ["validation_1_a_2.nii"]) == {missing[1]: "validation_1_a_2.nii"}
    assert near_misses(missing, ["1_a_2.nii.gz"]) == {}
    assert near_misses(missing[:1], ["1_a_2.nii.gz"]) == {missing[0]: "1_a_2.nii.gz"}


@pytest.mark.parametrize("name", ["case_0011.nii.gz", "case_00012.nii.gz", "case_10001.nii.gz", "notes.txt"])
def test_another_number_is_another_case(name):
    assert near_misses(["case_0001.nii.gz"], [name]) == {}


def test_single_letters_tell_cases_apart_like_numbers():
    missing = ["train_1_a_2.nii.gz", "train_1_b_2.nii.gz"]
    assert near_misses(missing, ["train_1_b_2_seg.nii.gz"]) == {missing[1]: "train_1_b_2_seg.nii.gz"}


@pytest.mark.parametrize(("other", "pointed_out"), [("Thorax_scan.nii", True), ("abdomen.nii.gz", False)])
def test_names_without_numbers_are_compared_by_their_letters(other, pointed_out):
    assert bool(near_misses(["thorax-scan.nii.gz"], [other])) is pointed_out


def test_of_several_candidates_the_shortest_is_pointed_out():
    others = ["case_0001_left_lung.nii.gz", "case_0001.nii", "case_0001.nii.txt"]
    assert near_misses(CASES[:1], others) == {CASES[0]: "case_0001.nii"}


def test_a_mask_is_pointed_out_before_what_a_program_leaves_beside_it():
    others = ["case_0001.npz", "case_0001.pkl", "case_0001_0000.nii.gz"]
    assert near_misses(["case_0001.nii.gz"], others) == {"case_0001.nii.gz": "case_0001_0000.nii.gz"}
    assert near_misses(["case_0001.nii.gz"], others[:1]) == {"case_0001.nii.gz": "case_0001.npz"}


def test_a_missing_file_without_a_candidate_is_no_near_miss(folder):
    (folder / CASES[0]).unlink()
    assert warnings(folder) == []


def test_many_near_misses_are_one_short_warning(tmp_path):
    wanted = [f"case_{number}.nii.gz" for number in range(300)]
    for name in wanted:
        (tmp_path / name.removesuffix(".gz")).touch()
    nothing, pointed_out, extra = folder_warnings(wanted, {}, tmp_path)
    assert nothing == f"none of the 300 cases has a prediction in {tmp_path}"
    assert len(pointed_out.splitlines()) == names.MAX_SHOWN + 2
    assert pointed_out.endswith("... and 295 more")
    assert extra.startswith("300 files")


def test_the_predictions_of_another_split_are_named_as_such(folder):
    (folder / CASES[0]).rename(folder / "test_0001.nii.gz")
    assert warnings(folder, {"test_0001.nii.gz": "test"}) == [
        f"1 file in {folder} belongs to split 'test', which is not scored, for example test_0001.nii.gz"
    ]


def test_predictions_that_are_all_the_same_file_are_conspicuous(folder):
    for name in CASES:
        (folder / name).write_bytes(b"the same")
    assert warnings(folder) == [f"all predictions in {folder} are the same file; is it the model that wrote them?"]


def test_files_that_are_none_are_not_opened_to_compare_them(folder):
    for name in CASES:
        (folder / name).unlink()
        os.mkfifo(folder / name)
    assert warnings(folder) == []


def test_a_folder_that_cannot_be_listed_is_passed_over(folder, monkeypatch):
    def scandir(path):
        if os.fspath(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    listed = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    assert warnings(folder) == []


def test_a_whole_disk_given_as_folder_is_not_searched(folder, monkeypatch):
    deep = folder / "sub" / "deeper" / "deepest"
    deep.mkdir(parents=True)
    (deep / "case_0004.nii.gz").touch()
    assert warnings(folder) == []
    monkeypatch.setattr(names, "MAX_ENTRIES", 1)
    (folder / "sub" / "case_0004.nii.gz").touch()
    assert warnings(folder) == []


def test_a_folder_given_twice_is_noticed(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    assert len(list(same_folder_warnings(tmp_path, tmp_path / "link", None))) == 1
    assert len(list(same_folder_warnings(tmp_path / "other", tmp_path, tmp_path))) == 1
    assert list(same_folder_warnings(tmp_path, tmp_path / "other", None)) == []
