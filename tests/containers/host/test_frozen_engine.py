"""A container engine that hangs, for real: the host says so within seconds, and that it is over."""

import os
import shutil
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from containers.host import engine_watch
from containers.host.agent import Agent
from containers.host.config import Settings
from containers.host.engine_watch import EngineWatch
from containers.sandbox.engine import Engine, EngineUnavailable
from deploy.local.engine import own_address, prepare_engine
from deploy.local.paths import State
from deploy.local.supervisor import Supervisor
from tests.containers.conftest import shut, wait_until
from tests.containers.fakeserver import FakeServer

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root starts an engine of its own"),
]

CLIENT_SECONDS = 600
PATIENCE_SECONDS = 60.0  # an engine that just thawed, on a busy machine


class Daemon:
    """An engine of this test's own, which can be frozen."""

    def __init__(self, supervisor: Supervisor, state: State) -> None:
        self._pid = supervisor.record["parts"]["engine"]
        self.address = own_address(state)

    def freeze(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)
        while any(path.read_text().rpartition(")")[2].split()[0] != "T" for path in self._threads()):
            time.sleep(0.01)  # a thread at work may answer a last time before it sees the signal

    def _threads(self) -> Iterable[Path]:
        return Path(f"/proc/{self._pid}/task").glob("*/stat")

    def thaw(self) -> None:
        os.kill(self._pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    root = Path(tempfile.mkdtemp(prefix="rexg-test-"))
    root.chmod(0o711)
    state = State(clone=root / "clone", root=root / "a")
    state.prepare()
    with Supervisor(state, "test", print) as supervisor:
        supervisor.start([prepare_engine(state, print)])
        made = Daemon(supervisor, state)
        yield made
        made.thaw()
    shutil.rmtree(root)


@pytest.fixture
def frozen_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine of a test that does not answer for a second hangs."""
    monkeypatch.setattr(engine_watch, "PING_SECONDS", 1.0)
    monkeypatch.setattr(engine_watch, "LOOK_SECONDS", 2.0)


def connect(daemon: Daemon) -> docker.APIClient:
    return docker.APIClient(base_url=daemon.address, version="auto", timeout=CLIENT_SECONDS)


@pytest.mark.usefixtures("frozen_soon")
def test_a_host_whose_engine_hangs_says_so_and_when_it_is_over(
    daemon: Daemon, host_settings: Settings, server: FakeServer
) -> None:
    settings = replace(host_settings, sandbox=replace(host_settings.sandbox, instance="frozen"))
    with closing(connect(daemon)) as client:
        agent = Agent(settings, Engine(client))
        agent.start()
        try:
            wait_until(lambda: server.hellos and server.hellos[-1]["slots"])
            daemon.freeze()
            wait_until(lambda: server.hellos[-1]["trouble"])
            assert "does not answer" in server.hellos[-1]["trouble"]
            assert server.hellos[-1]["slots"] == []
            agent.run_batch(str(uuid.uuid4()))  # a message that a healthy host may get next time
            assert not [path for path in server.requests if "claim" in path]
            told = len(server.hellos)
            wait_until(lambda: len(server.hellos) > told + 1)  # it goes on saying so
            daemon.thaw()
            wait_until(lambda: server.hellos[-1]["slots"])
            assert server.hellos[-1]["trouble"] == ""
        finally:
            daemon.thaw()
            shut(agent)


def test_a_ping_ends_in_time(daemon: Daemon) -> None:
    with closing(connect(daemon)) as client:
        engine = Engine(client)
        engine.ping(PATIENCE_SECONDS)
        daemon.freeze()
        began = time.monotonic()
        with pytest.raises(EngineUnavailable):
            engine.ping(0.5)
        assert time.monotonic() - began < PATIENCE_SECONDS, "it waited for as long as the client of the engine does"
        daemon.thaw()
        engine.ping(PATIENCE_SECONDS)


class Slow:
    """A look at the engine that takes as long as a test says; the engine itself answers."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.looks = 0

    def __call__(self) -> str | None:
        self.looks += 1
        self.go_on.wait(60)
        return None


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.go_on.set()


def test_a_look_that_takes_long_holds_up_nobody_and_only_a_very_long_one_is_trouble(
    engine: Engine, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_watch, "LOOK_SECONDS", 0.05)
    watch = EngineWatch(engine, slow)
    assert "not looked at yet" in (watch.problem() or "")
    slow.go_on.set()
    wait_until(lambda: watch.problem() is None)
    slow.go_on.clear()
    assert watch.problem() is None  # images may be on their way out
    looks = slow.looks
    monkeypatch.setattr(engine_watch, "LONGEST_LOOK_SECONDS", 0.0)
    assert "busy with one request" in (watch.problem() or "")
    assert slow.looks == looks
    slow.go_on.set()
    wait_until(lambda: watch.problem() is None)


def test_what_a_look_finds_is_told(engine: Engine) -> None:
    found: list[str | None] = ["It is short of disk space.", None]
    look: Callable[[], str | None] = lambda: found.pop(0)  # noqa: E731
    watch = EngineWatch(engine, look)
    assert (watch.problem(), watch.problem()) == ("It is short of disk space.", None)
