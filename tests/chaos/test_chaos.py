"""A short round of chaos, and that chaos would notice what it looks for."""

import os
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

import pytest

from leaderboard.models import RunCase, Submission
from leaderboard.states import RunState
from tests.chaos import verdict
from tests.chaos.disturbances import KINDS, plan

REPOSITORY = Path(__file__).resolve().parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts an engine and mounts disks of its own")


def first_rounds(seed: int, count: int):
    return list(islice(plan(seed), count))


def test_the_same_seed_gives_the_same_sequence():
    assert first_rounds(7, 50) == first_rounds(7, 50)
    assert first_rounds(7, 50) != first_rounds(8, 50)


def test_every_kind_of_failure_has_its_turn():
    rounds = first_rounds(7, len(KINDS))
    assert {one.name for round_ in rounds for one in round_.disturbances} == set(KINDS)


def test_nothing_else_fails_during_a_deployment():
    deployments = [one for one in first_rounds(7, 200) if "deployment" in str(one)]
    assert deployments
    assert all(len(one.disturbances) == 1 for one in deployments)


@needs_root
@pytest.mark.engine
@pytest.mark.timeout(300)
def test_disturbed_runs_end_as_undisturbed_ones():
    """This seed restarts PostgreSQL, then kills a GPU host's worker and restarts its engine in the middle of a run."""
    before = set(Path(tempfile.gettempdir()).glob("rexg-chaos-*"))
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--rounds", "2", "--seed", "1822"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "chaos ok: 2 rounds" in done.stdout
    assert set(Path(tempfile.gettempdir()).glob("rexg-chaos-*")) <= before
