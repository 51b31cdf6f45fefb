"""Files that appear completely or not at all."""

import os
import re
from pathlib import Path

import pytest

from evaluation.command.files import beside, obstacle, write
from evaluation.errors import EvaluationError


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "scores.json"
    for text in ("old", "new"):
        assert obstacle(path) is None
        write(path, text)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "text"


def test_what_belongs_to_a_file_lies_beside_what_its_link_leads_to(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    assert beside(tmp_path / "link", ".partial") == tmp_path / "folder" / "file.partial"


def test_a_device_stays_a_device():
    assert obstacle(Path(os.devnull)) is None
    assert beside(Path(os.devnull), ".partial") is None
    write(Path(os.devnull), "text")
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (".", r"is a folder; name a file in it, such as .*/scores\.json"),
        ("no where/file", r"there is no folder .*no where to write file in; make it first: mkdir -p '.*no where'"),
        ("file/below", "file is a file, not a folder"),
    ],
)
def test_what_cannot_be_written_is_known_before(tmp_path, path, said):
    (tmp_path / "file").touch()
    assert re.search(said, obstacle(tmp_path / path) or "")
    with pytest.raises(EvaluationError, match="cannot be written"):
        write(tmp_path / path, "text")


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "scores.json"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EvaluationError, match=r"scores.json cannot be written: No space left on device"):
        write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
