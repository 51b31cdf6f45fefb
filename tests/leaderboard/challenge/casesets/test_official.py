import gzip
import json
import shutil
from collections.abc import Callable
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from leaderboard.challenge.casesets import problems
from leaderboard.challenge.casesets.official import CheckedCaseSet, case_set_digest, read_case_set
from leaderboard.challenge.casesets.problems import CaseSetProblems
from tests.leaderboard.challenge.casesets.reading import CaseSet

FIRST, SECOND, THIRD = (f"case_000{number}.nii.gz" for number in (1, 2, 3))


def read(case_set: CaseSet, **options: Any) -> CheckedCaseSet:
    options.setdefault("split", "test")
    options.setdefault("masks_dir", case_set.root / "masks")
    return read_case_set(case_set.dataset, images_dir=case_set.root / "images", **options)


def problems_of(case_set: CaseSet, **options: Any) -> dict[str, list[str]]:
    with pytest.raises(CaseSetProblems) as caught:
        read(case_set, **options)
    return caught.value.by_case


def test_a_generated_set_reads_back_as_it_was_made(tiny: CaseSet) -> None:
    checked = read(tiny)
    assert [case.name for case in checked.cases] == [FIRST, SECOND, THIRD]
    for case, entry in zip(checked.cases, tiny.entries, strict=True):
        assert case.shape == (56, 52, 30) == tuple(entry["shape"])
        assert case.spacing_mm == pytest.approx((6.0, 6.4, 9.0))
        assert [finding.text for finding in case.findings] == list(entry["findings"].values())
        assert [finding.category for finding in case.findings] == list(entry["categories"].values())
        assert [finding.entity_count for finding in case.findings] == list(entry["entity_counts"].values())
        assert [finding.voxels for finding in case.findings] == list(entry["pixels"].values())
    assert checked.warnings == ()


def test_a_set_without_masks_has_no_counts(tiny: CaseSet) -> None:
    finding = read(tiny, masks_dir=None).cases[0].findings[0]
    assert (finding.entity_count, finding.voxels) == (None, None)


def test_only_name_findings_and_categories_are_needed(tiny: CaseSet) -> None:
    tiny.change([{key: entry[key] for key in ("name", "findings", "categories")} for entry in tiny.entries])
    assert len(read(tiny).cases) == 3


def test_unknown_keys_of_an_entry_are_ignored(tiny: CaseSet) -> None:
    tiny.change([entry | {"seg_path": "/somewhere", "future": [1]} for entry in tiny.entries])
    assert len(read(tiny).cases) == 3


def test_a_set_that_is_not_ranked_needs_no_categories(tiny: CaseSet) -> None:
    entries = tiny.entries
    del entries[0]["categories"]
    tiny.change(entries)
    assert read(tiny, ranked=False).cases[0].findings[0].category is None
    assert "no category" in problems_of(tiny)[FIRST][0]


def test_files_of_another_split_in_the_same_folder_are_no_strays(tiny: CaseSet) -> None:
    first, *others = tiny.entries
    tiny.dataset.write_text(json.dumps({"val": [first], "test": others}))
    assert len(read(tiny).cases) == 2
    assert [case.name for case in read(tiny, split="val").cases] == [FIRST]


def test_an_empty_channel_is_a_warning(tiny: CaseSet) -> None:
    save_mask(tiny, FIRST, np.zeros_like(tiny.mask(FIRST)))
    tiny.change([{key: entry[key] for key in ("name", "findings", "categories")} for entry in tiny.entries])
    assert {(one.group, one.case) for one in read(tiny).warnings} == {(problems.EMPTY, FIRST)}


def test_progress_ends_at_its_total(tiny: CaseSet) -> None:
    seen: list[tuple[int, int]] = []
    read(tiny, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 9) for number in range(1, 10)]


def save_mask(case_set: CaseSet, name: str, array: np.ndarray) -> None:
    nib.save(nib.Nifti1Image(array, np.eye(4)), case_set.root / "masks" / name)


def save_volume(case_set: CaseSet, name: str, array: np.ndarray, affine: np.ndarray | None = None) -> None:
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), case_set.root / "images" / name)


# ---- one test per way in which the dataset can be wrong: what is changed, where it is reported, which words it says

Change = Callable[[list[Any]], object]
ENTRY_PROBLEMS: list[tuple[str, Change, str, str]] = [
    ("name missing", lambda e: e[0].pop("name"), "", "entry 0 has the name None"),
    ("name with a folder", lambda e: e[0].update(name="../case_0001.nii.gz"), "", "plain file name"),
    ("name of another kind", lambda e: e[0].update(name="case_0001.nrrd"), "", "plain file name"),
    ("name twice", lambda e: e.append(e[0]), FIRST, "more than once"),
    ("name twice but for case", lambda e: e[1].update(name="CASE_0001.nii.gz"), "CASE_0001.nii.gz", "more than once"),
    ("entry no object", lambda e: e.append("x"), "", "entry 3 is not an object"),
    ("no findings", lambda e: e[0].update(findings={}), FIRST, "has no findings"),
    ("findings a list", lambda e: e[0].update(findings=["a"]), FIRST, "findings must be an object"),
    ("finding keys from 1", lambda e: e[0].update(findings={"1": "x"}), FIRST, 'must be "0" to "0"'),
    ("finding key 00", lambda e: e[0].update(findings={"00": "x"}), FIRST, 'must be "0"'),
    ("empty text", lambda e: e[0]["findings"].update({"0": "  "}), FIRST, "finding 0 has no text"),
    ("text a number", lambda e: e[0]["findings"].update({"0": 3}), FIRST, "finding 0 has no text"),
    (
        "NUL in a text",
        lambda e: e[0]["findings"].update({"0": "a\0b"}),
        FIRST,
        "control character NULL (U+0000) at character 2",
    ),
    ("no categories", lambda e: e[0].pop("categories"), FIRST, "finding 0 has no category"),
    ("unknown category", lambda e: e[0]["categories"].update({"0": "3a"}), FIRST, "the category '3a'"),
    ("category a list", lambda e: e[0]["categories"].update({"0": ["1a"]}), FIRST, "the category ['1a']"),
    ("category of no finding", lambda e: e[0]["categories"].update({"9": "1a"}), FIRST, "no such finding"),
    ("wrong count", lambda e: e[0]["entity_counts"].update({"0": 99}), FIRST, "entity_counts of finding 0 is 99"),
    ("wrong pixels", lambda e: e[0]["pixels"].update({"0": 1}), FIRST, "pixels of finding 0 is 1; the mask holds"),
    ("count no number", lambda e: e[0]["entity_counts"].update({"0": "2"}), FIRST, "a whole number is needed"),
    ("count a bool", lambda e: e[0]["entity_counts"].update({"0": True}), FIRST, "a whole number is needed"),
    ("wrong shape", lambda e: e[0].update(shape=[52, 56, 30]), FIRST, "the dataset says shape (52, 56, 30)"),
    ("shape of two", lambda e: e[0].update(shape=[52, 56]), FIRST, "three positive whole numbers"),
]


@pytest.mark.parametrize(
    ("change", "where", "words"), [row[1:] for row in ENTRY_PROBLEMS], ids=[row[0] for row in ENTRY_PROBLEMS]
)
def test_a_wrong_entry_is_reported_under_its_case(tiny: CaseSet, change: Change, where: str, words: str) -> None:
    entries = tiny.entries
    change(entries)
    tiny.change(entries)
    assert any(words in problem for problem in problems_of(tiny)[where])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "must hold one object"),
        ('{"val": []}', "no split 'test'; there is val"),
        ('{"test": []}', "is empty"),
        ('{"test": {}}', "no split"),
    ],
)
def test_a_malformed_dataset_is_reported_for_the_whole_set(tiny: CaseSet, content: str, words: str) -> None:
    tiny.dataset.write_text(content)
    assert any(words in problem for problem in problems_of(tiny)[""])


def test_a_missing_dataset_is_reported(tiny: CaseSet) -> None:
    tiny.dataset.unlink()
    assert "cannot be read" in problems_of(tiny)[""][0]


def test_a_key_written_twice_is_reported(tiny: CaseSet) -> None:
    text = json.dumps({"test": tiny.entries}).replace('"findings": {"0":', '"findings": {"0": "other", "0":', 1)
    tiny.dataset.write_text(text)
    assert "findings has the key '0' twice" in problems_of(tiny)[FIRST]


# ---- one test per way in which the files can be wrong


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_a_missing_file_is_reported(tiny: CaseSet, folder: str) -> None:
    (tiny.root / folder / SECOND).unlink()
    assert f"has no {folder[:-1]} file" in problems_of(tiny)[SECOND][0]


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_a_volume_of_no_entry_is_reported(tiny: CaseSet, folder: str) -> None:
    shutil.copy(tiny.root / folder / FIRST, tiny.root / folder / "other.nii.gz")
    assert "'other.nii.gz', of which there is no entry" in problems_of(tiny)[""][0]


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_what_is_no_volume_is_left_aside_and_told(tiny: CaseSet, folder: str) -> None:
    for name in (".DS_Store", "Thumbs.db", f"._{FIRST}", "README.md", "desktop.ini"):
        (tiny.root / folder / name).write_text("x")
    for name in ("__MACOSX", "old"):
        (tiny.root / folder / name).mkdir()
    checked = read(tiny)
    assert len(checked.cases) == 3
    assert not checked.warnings
    said = " ".join(str(one) for one in checked.notes)
    assert all(repr(name) in said for name in ("__MACOSX", "old", f"._{FIRST}", "README.md"))


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_a_missing_folder_is_reported(tiny: CaseSet, folder: str) -> None:
    shutil.rmtree(tiny.root / folder)
    assert "does not exist" in problems_of(tiny)[""][0]


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_a_folder_in_place_of_a_file_is_reported(tiny: CaseSet, folder: str) -> None:
    (tiny.root / folder / SECOND).unlink()
    (tiny.root / folder / SECOND).mkdir()
    assert "not a regular file" in problems_of(tiny)[SECOND][0]


def test_a_ct_that_is_no_nifti_is_reported(tiny: CaseSet) -> None:
    (tiny.root / "images" / FIRST).write_bytes(gzip.compress(b"x" * 1000))
    assert problems_of(tiny)[FIRST] == ["its CT is not a NIfTI-1 file"]


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_a_file_that_ends_inside_its_header_is_reported(tiny: CaseSet, folder: str) -> None:
    path = tiny.root / folder / FIRST
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:200]))
    assert "ends before" in problems_of(tiny)[FIRST][0]


def test_a_ct_with_four_axes_is_reported(tiny: CaseSet) -> None:
    save_volume(tiny, FIRST, np.zeros((56, 52, 30, 2), np.int16))
    assert problems_of(tiny)[FIRST] == ["its CT has 4 axes; a CT has 3"]


def test_a_ct_of_colours_is_reported(tiny: CaseSet) -> None:
    save_volume(tiny, FIRST, np.zeros((56, 52, 30), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])))
    assert "unsupported type" in problems_of(tiny)[FIRST][0]


@pytest.mark.parametrize("spacing", [0.05, 11.0])
def test_an_impossible_spacing_is_reported(tiny: CaseSet, spacing: float) -> None:
    save_volume(tiny, FIRST, np.zeros((56, 52, 30), np.int16), np.diag([spacing, 1, 1, 1]))
    assert "each must lie in 0.1 to 10 mm" in problems_of(tiny)[FIRST][0]


def test_an_affine_that_is_not_finite_is_reported(tiny: CaseSet) -> None:
    path = tiny.root / "images" / FIRST
    plain = bytearray(gzip.decompress(path.read_bytes()))
    plain[280:284] = np.float32(np.nan).tobytes()  # srow_x[0]
    path.write_bytes(gzip.compress(bytes(plain)))
    assert "not finite" in problems_of(tiny)[FIRST][0]


def test_a_mask_with_the_findings_last_is_reported(tiny: CaseSet) -> None:
    save_mask(tiny, FIRST, np.moveaxis(tiny.mask(FIRST), 0, -1))
    assert "its mask has shape" in problems_of(tiny)[FIRST][0]


def test_a_mask_with_too_few_findings_is_reported(tiny: CaseSet) -> None:
    mask = tiny.mask(FIRST)
    save_mask(tiny, FIRST, np.concatenate([mask, mask]))
    assert "the number of findings" in problems_of(tiny)[FIRST][0]


def test_a_mask_with_fractions_is_reported(tiny: CaseSet) -> None:
    save_mask(tiny, FIRST, tiny.mask(FIRST).astype(np.float32) * 0.5)
    assert "its mask is unusable" in problems_of(tiny)[FIRST][0]


def test_a_mask_cut_short_is_reported(tiny: CaseSet) -> None:
    path = tiny.root / "masks" / FIRST
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-100]))
    assert "its mask is unusable" in problems_of(tiny)[FIRST][0]


def test_all_problems_are_reported_in_one_go_by_case(tiny: CaseSet) -> None:
    entries = tiny.entries
    entries[0]["categories"]["0"] = "9z"
    entries[0]["entity_counts"]["0"] = 77
    tiny.change(entries)
    (tiny.root / "images" / SECOND).unlink()
    save_mask(tiny, THIRD, np.zeros((1, 2, 3, 4), np.uint8))
    shutil.copy(tiny.root / "masks" / FIRST, tiny.root / "masks" / "stray.nii.gz")
    with pytest.raises(CaseSetProblems) as caught:
        read(tiny)
    assert set(caught.value.by_case) == {"", FIRST, SECOND, THIRD}
    assert len(caught.value.by_case[FIRST]) == 2
    said = str(caught.value)
    assert said.startswith("The case set has 5 problems; nothing was imported.")
    assert f"{problems.MISSING.title} (missing, 1). {problems.MISSING.todo}\n  - {SECOND}: has no image file" in said


# ---- the digest


def digest_of(case_set: CaseSet, volume: str = "v") -> str:
    cases = read(case_set).cases
    names = [case.name for case in cases]
    return case_set_digest(cases, dict.fromkeys(names, volume), dict.fromkeys(names, "m"))


def test_the_digest_ignores_the_order_of_cases(tiny: CaseSet) -> None:
    before = digest_of(tiny)
    tiny.change(tiny.entries[::-1])
    assert digest_of(tiny) == before
    assert before.startswith("sha256:")
    assert len(before) == 71


def test_the_digest_changes_with_a_word_and_with_a_voxel(tiny: CaseSet) -> None:
    before = digest_of(tiny)
    assert digest_of(tiny, volume="another") != before
    entries = tiny.entries
    entries[0]["findings"]["0"] += "."
    tiny.change(entries)
    assert digest_of(tiny) != before
