"""After a crash of everything: what is written down names processes that are gone, and their numbers are others'."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from deploy.local.engine import answers, own_address, prepare_engine
from deploy.local.paths import State, write_json
from deploy.local.processes import Process
from deploy.local.record import running, supervisor_of, take_lock
from deploy.local.supervisor import Supervisor
from tests.dev.conftest import REPOSITORY, Start, eventually
from tests.dev.test_commands import dev
from tests.dev.test_engine import needs_root


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process of somebody else, which has a number that was ours."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def process_of(popen: subprocess.Popen[Any]) -> Process:
    found = Process.of(popen.pid)
    assert found
    return found


def as_written_before(state: State, **record: object) -> None:
    write_json(state.run / "supervisor.json", {"purpose": "up", "ready": True, **record})


def records(stranger: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    """What a dead supervisor may have left, with the number of a stranger: by an older version, now, before a boot."""
    said = process_of(stranger).to_json()
    earlier = said | {"started": int(said["started"]) - 1}
    return [
        {"pid": stranger.pid},
        {"pid": stranger.pid, "supervisor": stranger.pid},
        {"pid": stranger.pid, "supervisor": earlier},
        {"pid": stranger.pid, "supervisor": said | {"boot": "another"}},
    ]


def test_up_comes_up_and_down_ends_nobody_elses_process(home: Path, stranger: subprocess.Popen[bytes]) -> None:
    state = State(clone=REPOSITORY, root=home / "a")
    state.prepare()
    as_written_before(state, pid=stranger.pid)
    services = {name: os.environ[name] for name in ("DOCKER_HOST",) if name in os.environ}
    try:
        started = dev(state.root, "up", **services)
        assert started.returncode == 0, started.stderr
        assert "Up in" in started.stderr
        told = dev(state.root, "status").stdout
        assert "stack     up" in told
        assert "web" in told
    finally:
        stopped = dev(state.root, "down")
    assert stopped.stderr == "Stopped.\n"
    assert dev(state.root, "status").returncode == 3
    assert stranger.poll() is None


def test_no_record_of_a_dead_supervisor_is_believed(state: State, stranger: subprocess.Popen[bytes]) -> None:
    for record in records(stranger):
        as_written_before(state, **record)
        assert running(state) is None
        with take_lock(state):  # the next one has just begun and has written nothing yet
            found = running(state)
            assert found is not None
            assert not found["ready"], record
    assert stranger.poll() is None


def test_a_supervisor_of_a_release_without_instants_can_be_stopped(stranger: subprocess.Popen[bytes]) -> None:
    """It wrote down its number alone; whatever else has that number now is nobody's."""
    with subprocess.Popen(["/bin/sh", "-c", "sleep 60; true", "deploy.local"]) as old:
        try:
            record = {"pid": old.pid, "ready": True}
            assert eventually(lambda: supervisor_of(record) == Process.of(old.pid))  # once the shell has its name
            assert supervisor_of({"pid": stranger.pid, "ready": True}) is None
        finally:
            old.kill()
    assert supervisor_of({"pid": old.pid}) is None
    assert supervisor_of({}) is None


def test_a_supervisor_is_believed_from_its_first_moment(state: State) -> None:
    as_written_before(state, pid=1)
    with Supervisor(state, "test", print):
        found = running(state)
        assert found is not None
        assert (found["purpose"], found["ready"]) == ("test", False)
    assert running(state) is None


def test_a_signal_reaches_no_later_process_with_the_same_number(stranger: subprocess.Popen[bytes]) -> None:
    process = process_of(stranger)
    Process(process.pid, process.started - 1).send(signal.SIGKILL)
    with pytest.raises(subprocess.TimeoutExpired):
        stranger.wait(0.2)
    process.send(signal.SIGTERM)
    assert stranger.wait(10) == -signal.SIGTERM
    process.send(signal.SIGTERM)  # nobody's any more


def test_one_that_waits_to_be_buried_is_dead(stranger: subprocess.Popen[bytes]) -> None:
    said = process_of(stranger).to_json()
    assert Process.from_json(said)
    os.kill(stranger.pid, signal.SIGKILL)
    os.waitid(os.P_PID, stranger.pid, os.WEXITED | os.WNOWAIT)
    assert Process.from_json(said) is None


def test_a_database_starts_although_its_old_number_is_anothers(start: Start) -> None:
    services = start("one")
    record = json.loads(Path(services.state.run / "supervisor.json").read_text())
    assert record["supervisor"] == process_of(services.process).to_json(), "by more than a number"
    services.stop()
    data = services.state.root / "postgres" / "data"
    # Somebody who reads in its folder, and whose command line names it: a pager, say.
    with subprocess.Popen(["sleep", "1000"], cwd=data, executable="/bin/sleep") as reader:
        (data / "postmaster.pid").write_text(f"{reader.pid}\n{data}\n")
        with suppress(PermissionError):
            (data / "postmaster.pid").chmod(0o666)
        assert start("one").record["ready"]
        assert reader.poll() is None
        reader.kill()


@needs_root
@pytest.mark.engine
def test_an_engine_starts_although_the_numbers_of_its_daemons_are_others(
    state: State, stranger: subprocess.Popen[bytes]
) -> None:
    folder = state.engine / "exec" / "containerd"
    folder.mkdir(parents=True)
    for pid_file in (folder / "containerd.pid", state.run / "dockerd.pid"):
        pid_file.write_text(str(stranger.pid))
    with Supervisor(state, "test", print) as supervisor:
        supervisor.start([prepare_engine(state, print)])
        assert answers(own_address(state))
        assert (folder / "containerd.pid").read_text() != str(stranger.pid)
    assert stranger.poll() is None
