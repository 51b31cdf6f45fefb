"""Files that are something else than their name says, and folders that belong to another split."""

import gzip
import json
from pathlib import Path

import pytest

from leaderboard.challenge.casesets import problems
from leaderboard.challenge.casesets.problems import CaseSetProblems, Group
from tests.leaderboard.challenge.casesets.reading import CaseSet
from tests.leaderboard.challenge.casesets.test_official import FIRST, SECOND, THIRD, problems_of, read

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4665a5ea423c2713d436b5ee50593a9640e0018c1550b5a0002\n"
)
DISGUISES = [
    (lambda _: POINTER, problems.LFS, "is a Git LFS pointer"),
    (lambda _: b"<!DOCTYPE html>\n<html><title>Sign in</title>", problems.WEB_PAGE, "is a web page"),
    (lambda _: b"\n <HTML>", problems.WEB_PAGE, "is a web page"),
    (gzip.decompress, problems.UNPACKED, "is a .nii file that was renamed: it is not compressed"),
    (lambda _: b"", problems.OTHER_FILE, "is empty"),
    (lambda _: b"PK\x03\x04" + bytes(400), problems.OTHER_FILE, "is a zip archive"),
    (lambda _: bytes(128) + b"DICM" + bytes(200), problems.OTHER_FILE, "is a DICOM file"),
    (lambda _: b"what is this", problems.OTHER_FILE, "is not compressed with gzip"),
]


def groups_of(case_set: CaseSet, **options: str) -> dict[str, list[Group]]:
    with pytest.raises(CaseSetProblems) as caught:
        read(case_set, **options)
    return {
        one.case: [other.group for other in caught.value.problems if other.case == one.case]
        for one in caught.value.problems
    }


@pytest.mark.parametrize("folder", ["images", "masks"])
@pytest.mark.parametrize(("content", "group", "words"), DISGUISES)
def test_a_file_that_is_something_else_is_named_as_that(tiny: CaseSet, folder, content, group, words) -> None:
    path: Path = tiny.root / folder / FIRST
    path.write_bytes(content(path.read_bytes()))
    what = {"images": "CT", "masks": "mask"}[folder]
    assert problems_of(tiny) == {
        FIRST: [f"its {what} {words}" + (", not the file that it points to" * ("LFS" in words))]
    }
    assert groups_of(tiny) == {FIRST: [group]}


def test_a_file_that_is_there_without_its_compression_is_named_once(tiny: CaseSet) -> None:
    path = tiny.root / "images" / FIRST
    path.rename(path.with_name("case_0001.nii"))
    assert problems_of(tiny) == {FIRST: ["its image is there as case_0001.nii, which is not compressed"]}
    assert groups_of(tiny) == {FIRST: [problems.UNPACKED]}


def test_a_name_in_other_capitals_is_named(tiny: CaseSet) -> None:
    path = tiny.root / "masks" / FIRST
    path.rename(path.with_name("Case_0001.nii.gz"))
    assert problems_of(tiny) == {FIRST: ["its mask is there as Case_0001.nii.gz: capital letters count"]}


def test_a_link_to_nothing_is_named(tiny: CaseSet) -> None:
    path = tiny.root / "images" / FIRST
    path.unlink()
    path.symlink_to(tiny.root / "moved" / FIRST)
    assert "a link to nothing" in problems_of(tiny)[FIRST][0]


@pytest.mark.parametrize("content", [POINTER, b"<!doctype html><html></html>"])
def test_a_dataset_file_that_is_something_else_is_named(tiny: CaseSet, content: bytes) -> None:
    tiny.dataset.write_bytes(content)
    [words] = problems_of(tiny)[""]
    assert "Git LFS pointer" in words or "web page" in words


def test_a_dataset_file_with_a_byte_order_mark_is_read(tiny: CaseSet) -> None:
    tiny.dataset.write_bytes(b"\xef\xbb\xbf" + tiny.dataset.read_bytes())
    assert len(read(tiny).cases) == 3


def test_a_wrong_split_says_one_thing(tiny: CaseSet) -> None:
    """Though the folders are full of files of no such split, and none of its cases is there."""
    assert problems_of(tiny, split="val") == {"": ["the dataset has no split 'val'; there is test"]}
    others = [entry | {"name": f"other_{number}.nii.gz"} for number, entry in enumerate(tiny.entries)]
    tiny.dataset.write_text(json.dumps({"test": tiny.entries, "val": others}))
    assert problems_of(tiny, split="val") == {
        "": [f"no case of split 'val' is in {tiny.root / 'images'}, which holds those of 'test'"]
    }


def test_files_that_are_missing_and_wrong_are_told_together(tiny: CaseSet) -> None:
    (tiny.root / "images" / FIRST).write_bytes(POINTER)
    (tiny.root / "masks" / FIRST).write_bytes(b"<html>")
    (tiny.root / "images" / SECOND).unlink()
    assert groups_of(tiny) == {FIRST: [problems.LFS, problems.WEB_PAGE], SECOND: [problems.MISSING]}
    assert THIRD not in problems_of(tiny)


def test_the_released_form_of_the_validation_manifest_is_taken(tiny: CaseSet) -> None:
    """Names such as train_19753_a_2.nii.gz, and an entry of name, findings, categories and seg_path."""
    entries = []
    for number, entry in enumerate(tiny.entries):
        name = f"train_1975{number}_a_2.nii.gz"
        for folder in ("images", "masks"):
            (tiny.root / folder / entry["name"]).rename(tiny.root / folder / name)
        seg_path = f"segmentations/train_1975{number}/{name}"
        kept = {key: entry[key] for key in ("findings", "categories")}
        entries.append({"name": name, **kept, "seg_path": seg_path})
    tiny.dataset.write_text(json.dumps({"val": entries}))
    checked = read(tiny, split="val")
    assert [one.name for one in checked.cases] == [entry["name"] for entry in entries]
    assert not checked.warnings
    assert not checked.notes
