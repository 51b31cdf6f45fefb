"""A whole server to maltreat: every process and service private, in one temporary folder that is always removed.

The supervisor of `./dev` runs it, so a part that dies by itself starts again as under systemd, and nothing survives
this process, even when it is killed. The server's store and the GPU host's folder are small file systems of their own,
which can be filled. No Django here: its settings are read when the services' addresses are known.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import requests
from docker.errors import DockerException

from deploy.local import LocalError
from deploy.local.broker import broker_url, prepare_broker
from deploy.local.credentials import load_credentials
from deploy.local.engine import own_address, prepare_engine, unmount_below
from deploy.local.paths import State
from deploy.local.ports import Ports
from deploy.local.postgres import database_url, prepare_postgres
from deploy.local.stack import SERVICES, Stack, start_application, start_services
from deploy.local.supervisor import Part, Supervisor

MIB = 1 << 20
# What the disks hold: two uploads with their checks; an image on its way beside the host's reserve.
DISKS = {"store": 768 * MIB, "host": 640 * MIB}
READY_SECONDS = 60
QUICK = {
    "LEASE_SECONDS": "6",
    "DOORBELL_SECONDS": "2",
    "SWEEP_SECONDS": "1",
    "REX_SLOTS": "cpu:2",
    "SCORING_CASE_SECONDS": "60",
    "FREE_BYTES": "4000000",
    "REX_FREE_BYTES": "4M",
}
# In this order a new version is brought in: deploy/README.md, "Upgrades".
DEPLOYMENT = (("web",), ("control",), ("scoring", "sweeper"), ("sandbox",))

Say = Callable[[str], None]


@dataclass
class Lab:
    """The running server, and everything that can be done to it."""

    stack: Stack
    supervisor: Supervisor
    live_restore: bool = False

    @property
    def state(self) -> State:
        return self.stack.state

    @property
    def instance(self) -> str:
        """What the server's and the host's objects in the engine are labelled with."""
        return self.state.instance

    @property
    def temporary(self) -> Path:
        """Where the server's processes put temporary files."""
        return self.state.root / "tmp"

    @property
    def engine_data(self) -> Path:
        return self.state.root / "engine" / "data"

    def engine(self) -> docker.APIClient:
        """A new client of the engine."""
        return docker.APIClient(base_url=own_address(self.state), timeout=120, version="auto")

    def take_down(self, name: str, number: signal.Signals) -> None:
        """End a part and leave it down. The engine dies alone: containers do not run inside its service."""
        self.supervisor.take_down(name, number, alone=name == "engine")

    def bring_up(self, name: str) -> None:
        """Start a part, a service prepared as at its first start, unless another failure's end has done it."""
        if not self.supervisor.is_running(name):
            self.supervisor.bring_up(self._prepared(name))

    def wait_until_ready(self) -> None:
        """Return when every part is up again; LocalError after a minute."""
        deadline = time.monotonic() + READY_SECONDS
        for name in [running.part.name for running in self.supervisor.parts]:
            while not self.supervisor.is_ready(name):
                self.supervisor.tend()
                if time.monotonic() > deadline:
                    raise LocalError(f"{name} is not ready after {READY_SECONDS} s: {self.state.logs}")
                time.sleep(0.05)

    def flush_broker(self) -> None:
        """Lose every message; a broker that is down has lost them already."""
        import redis

        with suppress(redis.ConnectionError), closing(redis.Redis.from_url(self.stack.outer["REDIS_URL"])) as broker:
            broker.flushall()

    def let_containers_survive(self, survive: bool) -> None:
        """Switch the engine's live-restore on or off, without a restart."""
        self.live_restore = survive
        self._configure_engine()
        if not self.supervisor.is_running("engine"):
            return  # another failure has it down: it reads its settings when it comes back
        daemon = next(running for running in self.supervisor.parts if running.part.name == "engine")
        daemon.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            self.supervisor.tend()
            with suppress(DockerException, requests.RequestException), closing(self.engine()) as client:
                if client.info()["LiveRestoreEnabled"] == survive:
                    return
            time.sleep(0.05)
        raise LocalError("the engine does not take over its setting of live-restore")

    def restart_engine(self) -> None:
        """End every container and start the engine anew."""
        self.let_containers_survive(False)
        self.take_down("engine", signal.SIGTERM)
        self.bring_up("engine")
        self.wait_until_ready()

    def fill(self, disk: str) -> None:
        """Leave no free byte on one of the small disks."""
        folder = self.state.root / disk
        with _filler(folder).open("wb") as file:
            size = 0
            with suppress(OSError):  # somebody else writes at the same time: the rest in smaller steps
                for step in (MIB, 4096):
                    while (free := shutil.disk_usage(folder).free) >= step:
                        os.posix_fallocate(file.fileno(), size, free // step * step)
                        size += free // step * step

    def free(self, disk: str) -> None:
        """Make the disk's space free again."""
        _filler(self.state.root / disk).unlink(missing_ok=True)

    def deploy(self) -> None:
        """Bring in a new version: migrate, then every process in the documented order, stopped with SIGTERM."""
        migrate = [sys.executable, str(self.state.clone / "manage.py"), "migrate", "--no-input", "--verbosity=0"]
        if self.supervisor.run(migrate, self.stack.environment()):
            raise LocalError("the migrations failed")
        for step in DEPLOYMENT:
            for name in step:
                self.take_down(name, signal.SIGTERM)
                self.bring_up(name)

    def _prepared(self, name: str) -> Part:
        stack = self.stack
        if name == "postgres":
            return prepare_postgres(self.state, stack.ports.postgres, stack.credentials.postgres)
        if name == "broker":
            return prepare_broker(self.state, stack.ports.broker, stack.credentials)
        if name == "engine":
            return self._engine_part()
        return self.supervisor.part(name)

    def _engine_part(self) -> Part:
        self._configure_engine()
        part = prepare_engine(self.state, self.supervisor.say)
        return replace(part, command=(*part.command, "--config-file", str(self._engine_settings)))

    @property
    def _engine_settings(self) -> Path:
        return self.state.root / "daemon.json"

    def _configure_engine(self) -> None:
        self._engine_settings.write_text(json.dumps({"live-restore": self.live_restore}))

    def start(self) -> None:
        """Start the services, then the server."""
        start_services(self.supervisor, self.stack, SERVICES - {"engine"})
        self.supervisor.start([self._engine_part()])
        start_application(self.supervisor, self.stack)

    def remove_containers(self) -> None:
        """Before the engine goes for good: with live-restore they would outlive it."""
        with suppress(DockerException, requests.RequestException), closing(self.engine()) as client:
            for container in client.containers(all=True, filters={"label": f"rexgrounding.instance={self.instance}"}):
                client.remove_container(container["Id"], force=True, v=True)


@contextmanager
def running_lab(say: Say) -> Iterator[Lab]:
    """The server, up; afterwards nothing of it is left, whatever happened."""
    if os.geteuid() != 0:
        raise LocalError("chaos starts an engine and mounts file systems of its own: run it as root.")
    home = Path(tempfile.mkdtemp(prefix="rexg-chaos-"))
    home.chmod(0o711)
    state = State(clone=Path(__file__).resolve().parents[2], root=home / f"chaos-{secrets.token_hex(3)}")
    try:
        state.prepare()
        for disk, size in DISKS.items():
            _mount(state.root / disk, size)
        (state.root / "tmp").mkdir(mode=0o700)
        with Supervisor(state, "chaos", say) as supervisor:
            lab = Lab(_stack(state), supervisor)
            try:
                lab.start()
                yield lab
            finally:
                lab.remove_containers()
    finally:
        unmount_below(home)
        shutil.rmtree(home, ignore_errors=True)


def _stack(state: State) -> Stack:
    """A stack of which everything is our own, on ports that are free now."""
    credentials, ports = load_credentials(state), Ports(*_free_ports(3))
    outer = {name: value for name, value in os.environ.items() if name not in ("REX_DEV_STATE", "DEBUG")}
    outer |= QUICK | {
        "TMPDIR": str(state.root / "tmp"),
        "DATABASE_URL": database_url(ports.postgres, credentials.postgres),
        "REDIS_URL": broker_url(ports.broker, credentials.broker_server),
        "DOCKER_HOST": own_address(state),
    }
    return Stack(state, ports, credentials, frozenset(SERVICES), outer)


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _mount(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "rexg-chaos", str(folder)], check=True)


def _filler(folder: Path) -> Path:
    return folder / "filler"
