"""How parts are started, and that nothing outlives their supervisor."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local.paths import State
from deploy.local.processes import marked
from deploy.local.supervisor import Part, Supervisor
from tests.dev.conftest import eventually


def sleeper(name: str) -> Part:
    return Part(name, ("sleep", "600"), {"PATH": os.defpath}, ready=lambda _log: True)


def test_what_prepares_a_part_works_beside_the_parts_that_were_named_before(state: State) -> None:
    with Supervisor(state, "test", print) as supervisor:

        def parts() -> Iterator[Part]:
            yield sleeper("first")
            assert supervisor.is_running("first")
            yield sleeper("second")

        supervisor.start(parts())
        assert supervisor.is_running("second")
    assert marked(f"{state.root}:") == set()


def test_a_part_that_is_ready_before_its_start_returns_is_seen_to_be(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, log = subprocess.Popen, state.logs / "quick.log"
    log.write_text("of an earlier start: ready\n")

    def returns_late(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        process = real(*arguments, **options)
        assert eventually(lambda: log.read_text().count("ready") == 2)
        return process

    monkeypatch.setattr(subprocess, "Popen", returns_late)  # as where the child runs first, on a busy machine
    command = ("sh", "-c", "echo ready; exec sleep 600")
    part = Part("quick", command, {"PATH": os.defpath}, ready=lambda said: said == "ready\n", ready_seconds=5)
    with Supervisor(state, "test", print) as supervisor:
        supervisor.start([part])


def test_what_a_command_leaves_running_ends_with_the_supervisor(state: State) -> None:
    with Supervisor(state, "test", print) as supervisor:
        assert supervisor.run(["sh", "-c", "setsid sleep 600 &"], {"PATH": os.defpath}) == 0
        assert eventually(lambda: len(marked(f"{state.root}:")) == 1)
    assert marked(f"{state.root}:") == set()
