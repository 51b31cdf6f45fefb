"""What a `./dev chaos` leaves that was killed with -9, and its guardian too."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from deploy.local.leftovers import CHAOS, remove_abandoned
from deploy.local.paths import State
from deploy.local.processes import MARK
from deploy.local.record import take_lock


@pytest.fixture
def chaos(home: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    made = State(clone=home / "clone", root=home / f"{CHAOS}x" / "chaos-1")
    made.prepare()
    take_lock(made).close()
    return made


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_an_abandoned_chaos_is_removed_with_its_mounts_and_processes(chaos: State) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "rexg-test", str(chaos.store)], check=True)
    with subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: f"{chaos.root}:1"}) as left:
        remove_abandoned(print)
        assert left.wait(10) < 0
    assert not chaos.root.parent.exists()
    assert str(chaos.root) not in Path("/proc/self/mountinfo").read_text()


def test_one_that_runs_is_left_alone(chaos: State) -> None:
    with take_lock(chaos):
        remove_abandoned(print)
    assert chaos.store.is_dir()
