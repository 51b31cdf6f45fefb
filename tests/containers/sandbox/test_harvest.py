"""The bounded parser of the holder's dump, on dumps that no honest folder would give."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from containers.protocol.reports import Blob
from containers.sandbox.harvest import DumpTruncated, Harvest, harvest

NAMES = ("a.nii.gz", "b.nii.gz")


def record(kind: str, name: str, content: bytes | None = None) -> bytes:
    size = b"" if content is None else len(content).to_bytes(8, "little") + content
    return kind.encode() + name.encode(errors="surrogateescape") + b"\0" + size


def chunked(data: bytes, size: int = 7) -> Iterator[bytes]:
    return (data[i : i + size] for i in range(0, len(data), size))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "harvested").mkdir()
    return tmp_path / "harvested"


def read(folder: Path, *records: bytes, end: bytes = b"E", max_bytes: int = 10_000) -> Harvest:
    return harvest(chunked(b"".join(records) + end), NAMES, folder, max_bytes=max_bytes)


def test_files_are_kept_with_their_digests(folder: Path) -> None:
    result = read(folder, record("F", "a.nii.gz", b"x" * 5000), record("F", "b.nii.gz", b""))
    assert result.found == {
        "a.nii.gz": Blob(f"sha256:{hashlib.sha256(b'x' * 5000).hexdigest()}", 5000),
        "b.nii.gz": Blob(f"sha256:{hashlib.sha256().hexdigest()}", 0),
    }
    assert (folder / "a.nii.gz").read_bytes() == b"x" * 5000
    assert not result.full


@pytest.mark.parametrize(("kind", "code"), [("N", "not_a_regular_file"), ("B", "output_full")])
def test_what_is_no_result_has_a_reason(folder: Path, kind: str, code: str) -> None:
    assert read(folder, record(kind, "a.nii.gz")).found == {"a.nii.gz": code}
    assert list(folder.iterdir()) == []


def test_a_full_volume_is_told(folder: Path) -> None:
    assert read(folder, b"L").full


@pytest.mark.parametrize("name", ["../a.nii.gz", "/etc/passwd", "c.nii.gz", ""])
def test_a_file_that_was_not_expected_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(DumpTruncated):
        read(folder, record("F", name, b"x"))
    assert list(folder.iterdir()) == []


def test_files_together_are_bounded(folder: Path) -> None:
    with pytest.raises(DumpTruncated):
        read(folder, record("F", "a.nii.gz", b"x" * 6000), record("F", "b.nii.gz", b"x" * 6000))


@pytest.mark.parametrize("missing", [1, 2, 500, 1009, 1018, 1026])
def test_a_dump_that_breaks_off_is_recognised(folder: Path, missing: int) -> None:
    data = record("F", "a.nii.gz", bytes(1000)) + record("F", "b.nii.gz", b"") + b"E"
    with pytest.raises(DumpTruncated):
        harvest(chunked(data[:-missing]), NAMES, folder, max_bytes=10_000)


@pytest.mark.parametrize("name", ["A.nii.gz", "a.nii", "a.NII.GZ", "a.nii.gz.part", "a"])
def test_a_near_miss_is_named(folder: Path, name: str) -> None:
    assert [w for w in read(folder, record("X", name)).warnings if "a.nii.gz was expected" in w]


def test_a_folder_is_named_when_results_are_absent(folder: Path) -> None:
    assert [w for w in read(folder, record("D", "images")).warnings if "'images'" in w]


def test_other_files_and_leftovers_of_finished_cases_are_not_worth_a_warning(folder: Path) -> None:
    files = [record("F", "a.nii.gz", b"x"), record("X", "a.nii.gz.part"), record("X", "log.txt")]
    assert read(folder, *files).warnings == []


def test_names_that_fit_no_case_are_told_while_masks_are_missing(folder: Path) -> None:
    (warning,) = read(folder, record("F", "b.nii.gz", b"x"), record("X", "result.nii.gz")).warnings
    assert warning == ("Found 1 file in /output that no case is named like, while masks are missing: 'result.nii.gz'.")
    names = [f"prediction_{number}.nii.gz" for number in range(9)]
    (warning,) = read(folder, *[record("X", name) for name in names]).warnings
    assert "Found 9 files" in warning
    assert "'prediction_4.nii.gz' and 4 more." in warning
    assert "prediction_5" not in warning


def test_near_misses_leave_room_for_what_else_there_is(folder: Path) -> None:
    near = [record("X", f"a.{number}") for number in range(100)]
    warnings = read(folder, *near, record("X", "result.nii.gz"), record("D", "masks")).warnings
    assert len(warnings) == 20
    assert "'result.nii.gz'" in warnings[-2]
    assert "'masks'" in warnings[-1]


def test_a_hostile_name_is_escaped_and_warnings_are_few(folder: Path) -> None:
    odd = "\x1b[2J\n\u202e\udc80"
    files = [record("X", f"{stem}.{odd}{i}{'x' * 60}") for i in range(100) for stem in ("a", "c")]
    warnings = read(folder, *files).warnings
    assert len(warnings) == 19
    assert all(len(warning) <= 500 for warning in warnings)
    assert all(warning.isprintable() and warning.isascii() for warning in warnings)
