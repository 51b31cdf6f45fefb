"""The clone's own engine, for real, beside the one that the other tests use."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import LocalError
from deploy.local.engine import answers, find_engine, own_address, prepare_engine
from deploy.local.paths import State
from deploy.local.processes import marked
from deploy.local.supervisor import Supervisor
from tests.dev.conftest import REPOSITORY

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts an engine of its own")


def interfaces() -> set[str]:
    return {name for _index, name in socket.if_nameindex()}


@needs_root
@pytest.mark.engine
def test_an_engine_of_its_own_answers_and_disturbs_no_other(state: State) -> None:
    others = [address for address in [os.environ.get("DOCKER_HOST")] if address and answers(address)]
    before = interfaces()
    with Supervisor(state, "test", print) as supervisor:
        supervisor.start([prepare_engine(state, print)])
        assert answers(own_address(state))
        assert find_engine({"DOCKER_HOST": own_address(state)}) == own_address(state)
        assert interfaces() == before
    assert not answers(own_address(state))
    assert marked(f"{state.root}:") == set()
    assert all(answers(address) for address in others)
    assert str(state.root) not in Path("/proc/self/mountinfo").read_text()


@needs_root
@pytest.mark.engine
@pytest.mark.skipif(shutil.which("ip") is None, reason="makes a bridge with iproute2's ip")
def test_a_bridge_of_another_daemon_survives(home: Path) -> None:
    """In a network namespace of the test's own."""
    start = f"{sys.executable} -m tests.dev.services {home / 'a'} engine"
    script = f"ip link add docker0 type bridge && {start} && ip link show docker0"
    done = subprocess.run(
        ["unshare", "--net", "bash", "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert str(home) not in Path("/proc/self/mountinfo").read_text()
    assert done.returncode == 0, done.stderr
    assert "ready" in done.stdout
    assert "docker0" in done.stdout


def test_a_named_engine_that_does_not_answer_is_an_error(home: Path) -> None:
    with pytest.raises(LocalError, match="DOCKER_HOST"):
        find_engine({"DOCKER_HOST": f"unix://{home}/nobody.sock"})
