"""Which parts a stack has, in which order and environment.

Services first (database, broker, engine), all at once; then static files, migrations and the GPU host's token; then
the server's own processes, all at once. DATABASE_URL, REDIS_URL and DOCKER_HOST of the caller stand for services
that are not ours.
"""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from deploy.healthcheck import status_of_site
from deploy.local import LocalError, apt
from deploy.local.broker import HOST, TEST_DATABASE, broker_url, prepare_broker
from deploy.local.credentials import Credentials, load_credentials
from deploy.local.engine import find_engine, own_address, prepare_engine
from deploy.local.mail import maildir, prepare_mail
from deploy.local.paths import State
from deploy.local.ports import FIRST, Ports, claim_ports, remembered_ports
from deploy.local.postgres import database_url, ensure_database, prepare_postgres
from deploy.local.proxy import prepare_proxy, socket_of
from deploy.local.static import collect_static
from deploy.local.supervisor import Part, Supervisor

MANAGEMENT = frozenset({"postgres", "broker"})
SERVICES = MANAGEMENT | {"engine"}
SERVICE_OF = {"DATABASE_URL": "postgres", "REDIS_URL": "broker", "DOCKER_HOST": "engine"}
# With Django's settings named, Celery would load Django.
SERVER_ONLY = (
    *("DATABASE_URL", "SECRET_KEY", "STORE_DIR", "STATIC_ROOT"),
    *("EMAIL_HOST_PASSWORD", "DJANGO_SETTINGS_MODULE"),
)

WEB = "-m gunicorn --config {settings} --bind unix:{socket} --workers {workers} --graceful-timeout 3"
# The parts that answer requests, by the role of deploy/gunicorn_settings.py; the number of their processes.
WEB_PARTS = {"pages": ("web", 2), "uploads": ("uploads", 1), "hosts": ("hosts", 1), "streams": ("streams", 1)}
# Nobody listens to gossip: remote control is off, and the database knows who does what.
WORKER = """-m celery -A leaderboard worker --hostname {queue}@%h --queues {queue} --concurrency {processes}
    --without-gossip --without-mingle --without-heartbeat --loglevel INFO"""
# Apart: a check of an image may take minutes, and the scores of a run must not wait for it.
PROCESSES = {"control": 1, "scoring": 2}


@dataclass(frozen=True)
class Stack:
    """The stack of one clone, its ports and secrets chosen and its services found or about to be ours."""

    state: State
    ports: Ports
    credentials: Credentials
    own: frozenset[str]  # the services that we start
    outer: Mapping[str, str]  # the caller's environment, completed with the services' addresses
    lasting: bool = True  # whether the database is the developer's, and not the tests' own

    def environment(self) -> dict[str, str]:
        """For the server's processes and manage.py."""
        values = {
            # A developer's disk need not have as much room as production's.
            "FREE_BYTES": "500000000",
            "REX_FREE_BYTES": "500M",
            **self.outer,
            "PYTHONPATH": str(self.state.clone),
            "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
            "SECRET_KEY": self.credentials.secret_key,
            "SITE_URL": self.address,
            "STORE_DIR": str(self.state.store),
            "STATIC_ROOT": str(self.state.static),
            "REX_INSTANCE": self.state.instance,
            **self._mail(),
            # A pinned stack takes no package from the user's own folders.
            "PYTHONNOUSERSITE": "1",
        }
        if chromium := find_chromium(self.outer):
            values["REX_CHROMIUM"] = chromium
        return values

    def _mail(self) -> dict[str, str]:
        """The developer's mail server, or ours and the page with what it took."""
        if self.outer.get("EMAIL_HOST"):
            return {}
        address = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(self.ports.mail)}
        return {**address, "SHOWN_MAILS_DIR": str(maildir(self.state))}

    def test_environment(self) -> dict[str, str]:
        """The same with, on our own broker, another database: workers of a stack that is up must not help.

        Mail servers are the tests' own.
        """
        values = {name: value for name, value in self.environment().items() if name not in self._mail()}
        if "broker" in self.own:
            values["REDIS_URL"] = broker_url(self.ports.broker, self.credentials.broker_server, database=TEST_DATABASE)
        return values

    def host_environment(self) -> dict[str, str]:
        """For the sandbox worker: what a GPU host has, so neither the database nor the server's secrets."""
        values = {name: value for name, value in self.environment().items() if name not in SERVER_ONLY}
        if "broker" in self.own:
            values["REDIS_URL"] = broker_url(self.ports.broker, self.credentials.broker_host, HOST)
        return values | {
            "REX_SERVER_URL": self.address,
            "REX_HOST_TOKEN": self.host_token_file.read_text().strip(),
            "REX_SLOTS": self.outer.get("REX_SLOTS", "cpu:1"),
            "REX_STATE_DIR": str(self.state.root / "host"),
        }

    @property
    def address(self) -> str:
        """Where the site is."""
        return f"http://127.0.0.1:{self.ports.web}"

    @property
    def host_token_file(self) -> Path:
        """One token per database: a token means nothing to another one."""
        database = "own" if "postgres" in self.own else sha256(self.outer["DATABASE_URL"].encode()).hexdigest()[:8]
        return self.state.root / f"host-token-{database}"

    def services(self, wanted: Collection[str], say: Callable[[str], None]) -> dict[str, Callable[[], Part]]:
        """The wanted services that are ours to start, by name: what prepares each, the longest work last."""
        makers: dict[str, Callable[[], Part]] = {
            "engine": lambda: prepare_engine(self.state, say),
            "broker": lambda: prepare_broker(self.state, self.ports.broker, self.credentials),
            "postgres": lambda: prepare_postgres(
                self.state, self.ports.postgres, self.credentials.postgres, lasting=self.lasting
            ),
        }
        return {name: make for name, make in makers.items() if name in wanted and name in self.own}

    def application(self) -> list[Part]:
        """The server's own processes."""
        server, host = self.environment(), self.host_environment()
        python, manage = sys.executable, str(self.state.clone / "manage.py")
        mail = [] if self.outer.get("EMAIL_HOST") else [prepare_mail(self.state, self.ports.mail)]
        return [
            *mail,
            *(self.web_part(role) for role in WEB_PARTS),
            prepare_proxy(self.state, self.ports.web),
            *(Part(queue, (python, *_worker(queue)), server, ready=is_celery_ready) for queue in PROCESSES),
            Part("sandbox", (python, "-m", "containers"), host, ready=is_celery_ready),
            Part("sweeper", (python, manage, "sweep"), server, ready=lambda _log: True),
        ]

    def web_part(self, role: str) -> Part:
        """The processes of a role of deploy/gunicorn_settings.py."""
        name, workers = WEB_PARTS[role]
        address = socket_of(self.state, role)
        gunicorn = self.state.clone / "deploy" / "gunicorn_settings.py"
        return Part(
            name,
            (sys.executable, *WEB.format(settings=gunicorn, socket=address, workers=workers).split()),
            self.environment() | {"WEB_ROLE": role, "TRUSTED_PROXIES": "1"},
            ready=lambda _log: is_healthy(address),
        )


def find_stack(
    state: State,
    environment: Mapping[str, str],
    wanted: Collection[str],
    say: Callable[[str], None],
    *,
    lasting: bool = True,
) -> Stack:
    """The stack to start now: chooses ports, and looks for an engine if one is wanted. For supervisors."""
    before, ports = remembered_ports(state), claim_ports(state)
    for name in FIRST if before else ():
        if getattr(ports, name) != getattr(before, name):
            say(f"Another program has port {getattr(before, name)}: {name} moves to {getattr(ports, name)}.")
    credentials = load_credentials(state)
    outer = {name: value for name, value in environment.items() if name != "REX_DEV_STATE"}
    own = {service for variable, service in SERVICE_OF.items() if not outer.get(variable)}
    if "engine" in wanted:
        if engine := find_engine(outer):
            own.discard("engine")
        outer["DOCKER_HOST"] = engine or own_address(state)
    if "postgres" in own:
        outer["DATABASE_URL"] = database_url(ports.postgres, credentials.postgres)
    if "broker" in own:
        outer["REDIS_URL"] = broker_url(ports.broker, credentials.broker_server)
    return Stack(state, ports, credentials, frozenset(own), outer, lasting)


def describe(stack: Stack, available: Collection[str]) -> dict[str, object]:
    """What other commands need to know to use this running stack."""
    addresses = {name: stack.outer[name] for name in SERVICE_OF if name in stack.outer}
    return {
        "own": sorted(stack.own),
        "available": sorted(available),
        "lasting": stack.lasting,
        "services": addresses,
        "address": stack.address,
    }


def attach(state: State, environment: Mapping[str, str], record: Mapping[str, Any]) -> Stack:
    """The stack that another command of this clone runs, from what `describe` told."""
    ports = remembered_ports(state)
    if ports is None or not record.get("ready"):
        raise LocalError(
            f"`./dev {record.get('purpose', 'up')}` of this clone is just starting: try again in a moment."
        )
    outer = {**environment, **record["services"]}
    return Stack(state, ports, load_credentials(state), frozenset(record["own"]), outer, record.get("lasting", True))


def start_services(supervisor: Supervisor, stack: Stack, wanted: Collection[str]) -> None:
    """Start the wanted services that are ours, and have the database exist."""
    if services := stack.services(wanted, supervisor.say):
        supervisor.say(f"Starting {', '.join(services)} ...")
        supervisor.start(make() for make in services.values())
    if "postgres" in wanted and "postgres" in stack.own:
        ensure_database(stack.ports.postgres, stack.credentials.postgres)


def start_application(supervisor: Supervisor, stack: Stack) -> None:
    """Collect static files, migrate the database, give the local GPU host its token, start the server's processes."""
    (stack.state.store / "incoming").mkdir(mode=0o700, exist_ok=True)
    collect_static(stack.state, stack.environment(), supervisor.say)
    supervisor.say("Preparing the database ...")
    _manage(supervisor, stack, "migrate", "--no-input")
    # A token whose file was lost is of no use to anybody: the host gets a new one.
    renew = () if stack.host_token_file.exists() else ("--renew",)
    _manage(supervisor, stack, "add_host", "local", "--token-file", str(stack.host_token_file), *renew)
    parts = stack.application()
    supervisor.say(f"Starting {', '.join(part.name for part in parts)} ...")
    supervisor.start(parts)


def _worker(queue: str) -> list[str]:
    return WORKER.format(queue=queue, processes=PROCESSES[queue]).split()


def is_celery_ready(log: str) -> bool:
    """Whether a worker listens to its queues; with remote control off its log is the only witness."""
    return " ready." in log


def is_healthy(socket: Path) -> bool:
    """Whether the processes behind a socket say so themselves."""
    try:
        return status_of_site(str(socket), "127.0.0.1") == http.client.OK
    except (OSError, http.client.HTTPException):
        return False


def find_chromium(environment: Mapping[str, str]) -> str | None:
    """The browser of the tests."""
    chosen = environment.get("REX_CHROMIUM")
    return chosen or apt.find_program(*apt.TEST_PROGRAMS[apt.BROWSER])


def _manage(supervisor: Supervisor, stack: Stack, *arguments: str) -> None:
    log = stack.state.logs / "prepare.log"
    command = [sys.executable, str(stack.state.clone / "manage.py"), *arguments]
    with log.open("wb") as out:
        code = supervisor.run(command, stack.environment(), output=out)
    if code:
        lines = log.read_text(errors="replace").strip().splitlines()
        raise LocalError(f"manage.py {arguments[0]} failed: {lines[-1] if lines else f'exit code {code}'} (log: {log})")
