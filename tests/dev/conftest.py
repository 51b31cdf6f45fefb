"""State folders that PostgreSQL's own user can reach, which pytest's private ones are not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploy.local.paths import State
from deploy.local.processes import end_marked, marked
from deploy.local.record import running

REPOSITORY = Path(__file__).parents[2]
# Each first start would make the same database cluster, under secrets of its own.
MADE_ONCE = ("postgres", "credentials.json")


@contextmanager
def make_home() -> Iterator[Path]:
    """What /var/lib/rexg-dev is: the folder with one state folder per clone."""
    folder = Path(tempfile.mkdtemp(prefix="rexg-test-"))
    folder.chmod(0o711)
    yield folder
    end_marked(f"{folder}/", grace_seconds=5)
    shutil.rmtree(folder)


@pytest.fixture
def home() -> Iterator[Path]:
    with make_home() as folder:
        yield folder


@pytest.fixture
def state(home: Path) -> State:
    made = State(clone=home / "clone", root=home / "a")
    made.prepare()
    return made


@dataclass
class Services:
    """A running `tests.dev.services`."""

    state: State
    process: subprocess.Popen[str]

    @property
    def record(self) -> dict[str, Any]:
        return running(self.state) or {}

    @property
    def database(self) -> str:
        return str(self.record["services"]["DATABASE_URL"])

    @property
    def broker(self) -> str:
        return str(self.record["services"]["REDIS_URL"])

    @property
    def left(self) -> set[int]:
        """Its processes that live."""
        return {process.pid for process in marked(f"{self.state.root}:")}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@dataclass
class Start:
    """Starts services in a state folder of this home. A new one begins with a copy of what a `first` start has made."""

    home: Path
    first: Path | None = None
    started: list[Services] = field(default_factory=list)

    def __call__(self, name: str) -> Services:
        root = self.home / name
        if self.first and not root.exists():
            root.mkdir(mode=0o711)
            made = [str(self.first / part) for part in MADE_ONCE]
            subprocess.run(["cp", "-a", *made, str(root)], check=True)
        command = [sys.executable, "-m", "tests.dev.services", str(root)]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        services = Services(State(REPOSITORY, root), process)
        self.started.append(services)
        assert process.stdout
        if process.stdout.readline() != "ready\n":
            raise ChildProcessError(f"the services {name} ended with {process.wait()}")
        return services

    def stop_all(self) -> None:
        for services in self.started:
            services.stop()
            if services.process.stdout:
                services.process.stdout.close()


@pytest.fixture(scope="session")
def first() -> Iterator[Path]:
    """The state folder of services that were started for the first time, and stopped."""
    with make_home() as home:
        starter = Start(home)
        services = starter("first")
        assert services.record["ready"]
        starter.stop_all()
        yield services.state.root


@pytest.fixture
def start(home: Path, first: Path) -> Iterator[Start]:
    starter = Start(home, first)
    yield starter
    starter.stop_all()


@pytest.fixture(scope="module")
def services(first: Path) -> Iterator[Services]:
    """For tests that change nothing."""
    with make_home() as home:
        starter = Start(home, first)
        yield starter("one")
        starter.stop_all()


def eventually(condition: Callable[[], bool], seconds: float = 15) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False
