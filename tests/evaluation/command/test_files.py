"""Files that appear completely or not at all."""

import os
from pathlib import Path

import pytest

from evaluation.command.files import is_writable, write
from evaluation.errors import EvaluationError


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "scores.json"
    for text in ("old", "new"):
        assert is_writable(path)
        write(path, text)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "text"


def test_a_device_stays_a_device():
    assert is_writable(Path(os.devnull))
    write(Path(os.devnull), "text")
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("path", [".", "nowhere/file", "file/below"])
def test_what_cannot_be_written_is_known_before(tmp_path, path):
    (tmp_path / "file").touch()
    assert not is_writable(tmp_path / path)
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
