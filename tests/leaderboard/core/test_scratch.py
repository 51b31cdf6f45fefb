"""Temporary files of a worker die with it, however it ends."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from leaderboard.core import scratch

# What Celery's pool does: a folder for the memory that its processes share, and processes that are forked.
WORKER = """
import os, sys, time
import django
django.setup()
from leaderboard.core import scratch
from billiard.heap import Arena
scratch.use_own_folder()
arena = Arena(4096)
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(600)
"""


@pytest.fixture
def worker(store: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "STORE_DIR": str(store), "DJANGO_SETTINGS_MODULE": "leaderboard.settings"}
    with subprocess.Popen(
        [sys.executable, "-c", WORKER], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def ended(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][1] != "Z":
        time.sleep(0.01)


def test_the_folder_of_a_killed_worker_stays_as_long_as_one_of_its_processes_and_no_longer(worker) -> None:
    assert worker.stdout
    child = int(worker.stdout.readline())
    (folder,) = scratch.root().iterdir()
    assert [path.name[:5] for path in folder.iterdir()] == ["pymp-"]
    scratch.remove_abandoned()
    assert folder.exists()
    ended(worker.pid)
    scratch.remove_abandoned()
    assert folder.exists(), "a process that it forked still uses it"
    ended(child)
    scratch.remove_abandoned()
    assert list(scratch.root().iterdir()) == []


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", tempfile.gettempdir())
    monkeypatch.setattr(scratch, "_held", [])


@pytest.mark.usefixtures("temporary")
def test_a_folder_is_this_users_alone(store: Path) -> None:
    scratch.use_own_folder()
    made = Path(tempfile.gettempdir())
    assert made.parent == store / "scratch"
    assert {path.stat().st_mode & 0o077 for path in (made, made.parent)} == {0}
    for descriptor in scratch._held:
        os.close(descriptor)


@pytest.mark.usefixtures("temporary")
def test_a_worker_starts_on_a_full_disk(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    before = tempfile.gettempdir()
    monkeypatch.setattr(scratch, "disk_space", SimpleNamespace(free_bytes=lambda: 0))
    scratch.use_own_folder()
    assert tempfile.gettempdir() == before
    assert "no folder for temporary files" in caplog.text


def test_what_is_no_folder_of_a_worker_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    (scratch.root() / "link").symlink_to(tmp_path)
    (scratch.root() / "file").touch()
    scratch.remove_abandoned()
    assert (tmp_path / "precious").exists()
    assert {path.name for path in scratch.root().iterdir()} == {"link", "file"}
