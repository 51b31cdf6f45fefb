"""The whole server as real processes, for tests that kill them: web, control worker, sandbox worker, sweeper.

The processes work on the test database, on the services that `./dev test` started, with a store, an instance name and
an engine label of their own.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

import redis
from django.conf import settings
from django.core.management import call_command
from django.db import connection

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 60


class Stack:
    """Start it, kill parts of it, stop it. `folder` holds its state and one log for each part."""

    def __init__(self, folder: Path, *, slots: str = "cpu:1") -> None:
        self.folder = folder
        self.instance = f"test-{uuid.uuid4().hex[:8]}"
        self.port = _free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._slots = slots
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start every part and wait until each is ready."""
        call_command("add_host", self.instance, token_file=self.folder / "token")
        for part in self.commands():
            self.start_part(part)
        wait_for(self._answers, "the web server to answer", START_SECONDS)
        for part in ("control", "scoring", "sandbox"):
            wait_for(partial(self._is_ready, part), f"{part} to be ready", START_SECONDS)

    def start_part(self, part: str) -> None:
        """Start a part, or start it again after a kill."""
        with (self.folder / f"{part}.log").open("ab") as log:
            self._processes[part] = subprocess.Popen(
                [sys.executable, *self.commands()[part]],
                cwd=REPOSITORY,
                env=self._environment(part),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, part: str) -> None:
        """kill -9 the part with its children."""
        process = self._processes.pop(part)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Stop everything that still runs."""
        for process in self._processes.values():
            os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._processes.clear()

    def flush_broker(self) -> None:
        """Lose every message: whatever was queued, reserved or bound is gone."""
        redis.Redis.from_url(settings.REDIS_URL).flushdb()

    def log(self, part: str) -> str:
        """What the part has printed so far."""
        return (self.folder / f"{part}.log").read_text(errors="replace")

    def commands(self) -> dict[str, list[str]]:
        """The parts and how each is started."""
        web = f"-m gunicorn leaderboard.wsgi --bind 127.0.0.1:{self.port} --worker-class gthread --threads 8"
        worker = "-m celery -A leaderboard worker -c 1"
        quiet = "--without-gossip --without-mingle --without-heartbeat -l INFO"
        return {
            "web": [*web.split(), "--no-control-socket"],
            "control": f"{worker} -n control@%h -Q control {quiet}".split(),
            "scoring": f"{worker} -n scoring@%h -Q scoring {quiet}".split(),
            "sandbox": ["-m", "containers"],
            "sweeper": ["manage.py", "sweep"],
        }

    def _environment(self, part: str) -> dict[str, str]:
        if part == "sandbox":
            return {
                **_without(os.environ, "DATABASE_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE"),
                "REX_SERVER_URL": self.address,
                "REX_HOST_TOKEN": (self.folder / "token").read_text().strip(),
                "REX_SLOTS": self._slots,
                "REX_STATE_DIR": str(self.folder / "host"),
                "REX_INSTANCE": self.instance,
            }
        database = connection.settings_dict
        user, password = database["USER"], database["PASSWORD"]
        where = f"{database['HOST']}:{database['PORT']}/{database['NAME']}"
        return {
            **os.environ,
            "DATABASE_URL": f"postgres://{user}:{password}@{where}",
            "SECRET_KEY": settings.SECRET_KEY,
            "SITE_URL": self.address,
            "STORE_DIR": str(settings.STORE_DIR),
            "REX_INSTANCE": self.instance,
            "LEASE_SECONDS": "30",  # as production's, longer than a part's start on a busy machine: none is lost here
            "NOTIFY_AGAIN_SECONDS": "2",
            "SWEEP_SECONDS": "2",
        }

    def _is_ready(self, part: str) -> bool:
        return " ready." in self.log(part)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/healthz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False


def wait_for(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait until `condition()` holds; an AssertionError that names `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.2)


def _without(environment: "os._Environ[str]", *names: str) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in names}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
