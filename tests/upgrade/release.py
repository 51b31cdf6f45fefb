"""The code of a release, ours or an earlier one, as the processes of a server and of its GPU hosts.

Nothing of it is imported: a release is started as an operator starts it, in its own folder, with the environment
variables that every release knows.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import docker

from tests.upgrade.databases import Database

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 60
STOP_SECONDS = 15
# With Django's settings named, Celery would load Django.
SERVER_ONLY = frozenset({"DATABASE_URL", "SECRET_KEY", "STORE_DIR", "DJANGO_SETTINGS_MODULE"})
WEB = "-m gunicorn leaderboard.wsgi --bind 127.0.0.1:{port} --worker-class gthread --threads 8 --no-control-socket"
QUIET = "--without-gossip --without-mingle --without-heartbeat --loglevel INFO"


class Processes:
    """Programs of one release, each with a log of its own in `folder`. Leaving the context stops them."""

    def __init__(self, code: Path, folder: Path) -> None:
        self.code = code
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def spawn(self, part: str, arguments: str, environment: Mapping[str, str]) -> None:
        """Start a part: Python with these arguments."""
        with (self.folder / f"{part}.log").open("ab") as log:
            self._running[part] = subprocess.Popen(
                [sys.executable, *arguments.split()],
                cwd=self.code,
                env={**environment, "PYTHONPATH": str(self.code)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, part: str) -> None:
        """kill -9 the part with its children."""
        process = self._running.pop(part)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, *parts: str) -> None:
        """Stop these parts, or all that still run, as an operator does."""
        stopping = [self._running.pop(part) for part in parts or list(self._running)]
        for process in stopping:
            os.killpg(process.pid, signal.SIGTERM)
        for process in stopping:
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def log(self, part: str) -> str:
        """What the part has printed so far."""
        path = self.folder / f"{part}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def has_printed(self, part: str, text: str) -> bool:
        """Whether the part has printed `text`; an AssertionError when it has ended."""
        process = self._running[part]
        assert process.poll() is None, f"{part} has ended: {self.log(part)[-2000:]}"
        return text in self.log(part)


@dataclass
class Server:
    """The server of a release on a database, a store and a broker prefix of its own."""

    processes: Processes
    database: Database
    store: Path
    environment: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=dict)
    instance: str = field(default_factory=lambda: f"upgrade-{uuid.uuid4().hex[:8]}")
    port: int = field(default_factory=lambda: free_port())

    @property
    def address(self) -> str:
        """Where the site is."""
        return f"http://127.0.0.1:{self.port}"

    def manage(self, *arguments: str, standard_input: str = "", **settings: str) -> str:
        """Run a command of manage.py and return what it printed; AssertionError when it fails."""
        made = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.processes.code,
            env=self._environment() | settings,
            input=standard_input,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert made.returncode == 0, f"manage.py {' '.join(arguments)}: {made.stdout}{made.stderr}"
        return made.stdout

    def start_web(self, **settings: str) -> None:
        """Start the web server. `wait_until_ready` says when it answers."""
        self.processes.spawn("web", WEB.format(port=self.port), self._environment() | settings)

    def start_worker(self, *queues: str) -> None:
        """Start a worker of these queues, named after the first one."""
        name = queues[0]
        arguments = f"-m celery -A leaderboard worker -c {len(queues)} -n {name}@%h -Q {','.join(queues)} {QUIET}"
        self.processes.spawn(name, arguments, self._environment())

    def start_sweeper(self) -> None:
        """Start the sweeper."""
        self.processes.spawn("sweeper", "manage.py sweep", self._environment())

    def wait_until_ready(self, *parts: str) -> None:
        """Return when these parts, of those that have been started, can be used."""
        for part in parts:
            if part == "web":
                wait_for(self._answers, "the web server to answer", START_SECONDS)
            else:
                wait_for(partial(self.processes.has_printed, part, " ready."), f"{part} to be ready", START_SECONDS)

    def _answers(self) -> bool:
        self.processes.has_printed("web", "")
        try:
            with urllib.request.urlopen(f"{self.address}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _environment(self) -> dict[str, str]:
        return {
            **self.environment,
            "PYTHONPATH": str(self.processes.code),
            "DATABASE_URL": self.database.url,
            "STORE_DIR": str(self.store),
            "SITE_URL": self.address,
            "REX_INSTANCE": self.instance,
            **self.settings,
        }


@dataclass(frozen=True)
class GpuHost:
    """A real worker: the package `containers` of a release, with a state folder that may come from an earlier one."""

    processes: Processes
    server: Server
    name: str
    token: str
    state: Path

    def start(self, slots: str = "cpu:1") -> None:
        """Start it; it says hello by itself."""
        self.processes.spawn(self.name, "-m containers", self.environment(slots))

    def wait_until_ready(self) -> None:
        """Return when it listens to the broker."""
        wait_for(lambda: self.processes.has_printed(self.name, " ready."), self.name, START_SECONDS)

    def environment(self, slots: str) -> dict[str, str]:
        """What a GPU host has: neither the database nor the server's secrets."""
        given = {name: value for name, value in self.server.environment.items() if name not in SERVER_ONLY}
        return given | {
            "REX_SERVER_URL": self.server.address,
            "REX_HOST_TOKEN": self.token,
            "REX_SLOTS": slots,
            "REX_STATE_DIR": str(self.state),
            "REX_INSTANCE": self.server.instance,
        }


def remove_from_engine(server: Server) -> None:
    """Take away what hosts that were killed have left, and the images of this instance."""
    instance, environment = server.instance, dict(server.environment)
    label = {"label": f"rexgrounding.instance={instance}"}
    with closing(docker.from_env(timeout=120, environment=environment).api) as engine:
        for container in engine.containers(all=True, filters=label):
            engine.remove_container(container["Id"], force=True, v=True)
        for volume in engine.volumes(filters=label)["Volumes"] or ():
            engine.remove_volume(volume["Name"])
        for image in engine.images():
            for tag in image["RepoTags"] or ():
                if tag.startswith(f"rexgrounding-{instance}/"):
                    engine.remove_image(tag, force=True)


def wait_for(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait until `condition()` holds; an AssertionError that names `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.1)


def free_port() -> int:
    """A port of the loopback that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
