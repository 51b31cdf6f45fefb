"""A whole server to maltreat: every process and service private, in one temporary folder that is always removed.

The supervisor of `./dev` runs it, so a part that dies by itself starts again as under systemd, and nothing survives
this process; what is left of it when it is killed goes at the next start. What can become full (the server's store, the
database, the first GPU host's folder and its engine's) are small file systems of their own. There are two GPU hosts,
each with an engine; `neighbour` is the one that may be lost. No Django here: its settings are read when the services'
addresses are known.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import requests
from docker.errors import DockerException

from deploy.local import LocalError
from deploy.local.broker import broker_url, prepare_broker
from deploy.local.credentials import load_credentials
from deploy.local.engine import own_address, prepare_engine
from deploy.local.leftovers import CHAOS, remove_abandoned
from deploy.local.mounts import unmount_below
from deploy.local.paths import State
from deploy.local.ports import Ports
from deploy.local.postgres import database_url, prepare_postgres
from deploy.local.processes import Process, send, with_descendants
from deploy.local.stack import SERVICES, Stack, is_celery_ready, start_application, start_services
from deploy.local.supervisor import Part, Supervisor
from tests.chaos import disks

READY_SECONDS = 60
QUICK = {
    "LEASE_SECONDS": "6",
    "NOTIFY_AGAIN_SECONDS": "2",
    "SWEEP_SECONDS": "1",
    "REX_SLOTS": "cpu:2",
    "SCORING_CASE_SECONDS": "60",
    "FREE_BYTES": "4000000",
    "REX_FREE_BYTES": "4M",
}
# In this order a new version is brought in: deploy/README.md, "Upgrades".
DEPLOYMENT = (("web", "uploads", "hosts"), ("control",), ("scoring", "sweeper"), ("sandbox",))

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
    def neighbour(self) -> State:
        """The other GPU host's folder."""
        return State(clone=self.state.clone, root=self.state.root / "neighbour")

    @property
    def machines(self) -> tuple[State, State]:
        """The GPU hosts: each has `host`, its worker's folder, and `engine`, its engine's."""
        return self.state, self.neighbour

    def engine(self, machine: State | None = None) -> docker.APIClient:
        """A new client of a machine's engine."""
        return docker.APIClient(base_url=own_address(machine or self.state), timeout=120, version="auto")

    def take_down(self, name: str, number: signal.Signals) -> None:
        """End a part and leave it down. The engine dies alone: containers do not run inside its service."""
        self.supervisor.take_down(name, number, alone=name == "engine")

    def freeze(self, name: str, number: signal.Signals = signal.SIGSTOP) -> None:
        """Stop a part with what it started, as on a machine that hangs; of the engine its daemon alone."""
        daemon = _processes([self.supervisor.record["parts"][name]])
        send(daemon if name == "engine" else with_descendants(daemon), number)

    def thaw(self, name: str) -> None:
        """Let a frozen part go on, as if no time had passed."""
        self.freeze(name, signal.SIGCONT)

    def lose_neighbour(self) -> None:
        """The other GPU host's machine dies, with everything on it."""
        programs: set[Process] = set()
        with suppress(DockerException, requests.RequestException), closing(self.engine(self.neighbour)) as client:
            found = [client.inspect_container(one["Id"])["State"]["Pid"] for one in client.containers()]
            programs = _processes(found)
        for name in ("neighbour", "neighbour-engine"):
            self.supervisor.take_down(name, signal.SIGKILL)
        send(programs, signal.SIGKILL)

    def find_neighbour(self) -> None:
        """It comes back, long after anybody counted on it."""
        for name in ("neighbour-engine", "neighbour"):
            self.bring_up(name)

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
        disks.fill(self.state.root / disk)

    def free(self, disk: str) -> None:
        """Make the disk's space free again."""
        disks.free(self.state.root / disk)

    def deploy(self, *, drain: bool = False) -> None:
        """Bring in a new version: migrate, then every process in the documented order, stopped with SIGTERM.

        A host that is drained has nothing to do when its turn comes.
        """
        migrate = [sys.executable, str(self.state.clone / "manage.py"), "migrate", "--no-input", "--verbosity=0"]
        if self.supervisor.run(migrate, self.stack.environment()):
            raise LocalError("the migrations failed")
        for step in DEPLOYMENT:
            if drain and step == ("sandbox",):
                self._drain(True)
            for name in step:
                self.take_down(name, signal.SIGTERM)
                self.bring_up(name)
        if drain:
            self._drain(False)

    def _drain(self, is_draining: bool) -> None:
        """Switch the first host's draining on, and wait until it has nothing to do; or off."""
        from leaderboard.models import Attempt, Host

        Host.objects.filter(name="local").update(draining=is_draining)
        deadline = time.monotonic() + READY_SECONDS
        while is_draining and Attempt.objects.filter(host__name="local", ended_at=None).exists():
            self.supervisor.tend()
            if time.monotonic() > deadline:
                raise LocalError("the drained host does not come to an end")
            time.sleep(0.1)

    def _prepared(self, name: str) -> Part:
        stack = self.stack
        if name == "postgres":
            return prepare_postgres(self.state, stack.ports.postgres, stack.credentials.postgres)
        if name == "broker":
            return prepare_broker(self.state, stack.ports.broker, stack.credentials)
        if name == "engine":
            return self._engine_part()
        if name == "neighbour-engine":
            return self._neighbours_engine()
        return self.supervisor.part(name)

    def _engine_part(self) -> Part:
        self._configure_engine()
        part = prepare_engine(self.state, self.supervisor.say)
        return replace(part, command=(*part.command, "--config-file", str(self._engine_settings)))

    def _neighbours_engine(self) -> Part:
        return replace(prepare_engine(self.neighbour, self.supervisor.say), name="neighbour-engine")

    def _neighbours_worker(self) -> Part:
        token = self.neighbour.root / "token"
        add = [sys.executable, str(self.state.clone / "manage.py"), "add_host", "neighbour", "--token-file", str(token)]
        if self.supervisor.run(add, self.stack.environment()):
            raise LocalError("the second GPU host could not be added")
        environment = self.stack.host_environment() | {
            "DOCKER_HOST": own_address(self.neighbour),
            "REX_HOST_TOKEN": token.read_text().strip(),
            "REX_STATE_DIR": str(self.neighbour.root / "host"),
            "REX_SLOTS": "cpu:1",
            "REX_SANDBOX_UID": "60700",  # limits are per user id, and the machines share a kernel
        }
        return Part("neighbour", (sys.executable, "-m", "containers"), environment, ready=is_celery_ready)

    @property
    def _engine_settings(self) -> Path:
        return self.state.root / "daemon.json"

    def _configure_engine(self) -> None:
        self._engine_settings.write_text(json.dumps({"live-restore": self.live_restore}))

    def start(self) -> None:
        """Start the services, then the server."""
        start_services(self.supervisor, self.stack, SERVICES - {"engine"})
        self.supervisor.start([self._engine_part(), self._neighbours_engine()])
        start_application(self.supervisor, self.stack)
        self.supervisor.start([self._neighbours_worker()])

    def remove_containers(self) -> None:
        """Before the engine goes for good: with live-restore they would outlive it."""
        ours = {"label": f"rexgrounding.instance={self.instance}"}
        for machine in self.machines:
            with suppress(DockerException, requests.RequestException), closing(self.engine(machine)) as client:
                for container in client.containers(all=True, filters=ours):
                    client.remove_container(container["Id"], force=True, v=True)


@contextmanager
def running_lab(say: Say) -> Iterator[Lab]:
    """The server, up; afterwards nothing of it is left, whatever happened."""
    if os.geteuid() != 0:
        raise LocalError("chaos starts an engine and mounts file systems of its own: run it as root.")
    remove_abandoned(say)
    home = Path(tempfile.mkdtemp(prefix=CHAOS))
    home.chmod(0o711)
    state = State(clone=Path(__file__).resolve().parents[2], root=home / f"chaos-{secrets.token_hex(3)}")
    try:
        state.prepare()
        with Supervisor(state, "chaos", say) as supervisor:  # its lock says that this is in use
            for disk, size in disks.SIZES.items():
                disks.mount(state.root / disk, size)
            (state.root / "tmp").mkdir(mode=0o700)
            lab = Lab(_stack(state), supervisor)
            lab.neighbour.prepare()
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
    credentials, ports = load_credentials(state), Ports(*_free_ports(4))
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


def _processes(pids: Iterable[int]) -> set[Process]:
    return {process for pid in pids if (process := Process.of(pid))}
