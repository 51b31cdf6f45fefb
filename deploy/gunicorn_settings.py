"""gunicorn, by `./dev` and in production: `python -m gunicorn --config deploy/gunicorn_settings.py`.

WEB_ROLE says which requests nginx sends here. Each role has processes and threads of its own, so that no number of
uploads can take those of the pages, nor either of them those of the GPU hosts. Without a role it serves everything,
as before there were roles. The variable GUNICORN_CMD_ARGS overrides any of it.
"""

import os
import resource
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from leaderboard import settings

MANAGE = Path(__file__).resolve().parents[1] / "manage.py"


class Role(NamedTuple):
    """The size of a role. A connection to the database is held by the threads that work, not by those that wait."""

    workers: int
    threads: int


# An upload occupies a thread for as long as it takes; what is left over says no to who comes on top.
ROLES = {
    "": Role(3, 12),
    "pages": Role(3, 12),
    "uploads": Role(1, settings.UPLOADS_AT_ONCE + 16),
    "hosts": Role(2, 32),
    "streams": Role(1, 1),
}
role = os.environ.get("WEB_ROLE", "")
if role not in ROLES:
    raise SystemExit(f"WEB_ROLE must be one of {', '.join(filter(None, ROLES))}, not {role!r}.")

wsgi_app = "leaderboard.streams.app:application" if role == "streams" else "leaderboard.wsgi"
# nginx's way in; under systemd the socket of rexg-web@ROLE.socket takes its place.
bind = f"unix:/run/rexg/{role or 'web'}.sock"
umask = 0o007

worker_class = "asgi" if role == "streams" else "gthread"
asgi_lifespan, asgi_loop = "off", "asyncio"
worker_connections = settings.STREAMS_AT_ONCE + 100  # of the streams; those on top are told so
workers, threads = ROLES[role]
if role == "uploads":
    os.nice(10)  # nobody waits for a byte of an upload as people wait for a page
timeout = 120

# A reload (HUP) starts new workers at once and lets old ones finish what they are receiving, for at most so long.
graceful_timeout = 5 if role == "streams" else 1800

worker_tmp_dir = "/dev/shm"  # noqa: S108 - heartbeat files in memory: a busy disk must not look like a dead worker
control_socket_disable = True
accesslog = None  # nginx writes one


# Each upload has a connection, a file and two places; where shells begin with 1024 open files, that is too few.
_, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))


def on_starting(server: Any) -> None:
    """End at once when this server may not or cannot start; workers that say so would be started anew for ever."""
    if role == "uploads":
        server.cfg.set("threads", threads)  # what GUNICORN_CMD_ARGS says is meant for pages
    if not settings.IS_HTTPS:
        return
    command = [sys.executable, str(MANAGE), "check", "--deploy", "--tag", "web"]
    check = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if check.returncode:
        raise SystemExit(check.returncode)


# gunicorn asks for a MiB in advance and copies what is left of it for each of our reads: `./dev bench many-uploads`.
MOST_AT_ONCE = 128 << 10


def post_worker_init(worker: Any) -> None:
    """Let everybody who follows a run come back at once, after a restart: asyncio would let only 100 wait."""
    if role == "streams":
        worker.loop.create_server = partial(worker.loop.create_server, backlog=2048)


class TooSlow(TimeoutError):
    """A body that comes too slowly. The site makes words of it."""


class PacedSocket:
    """A connection whose sender may neither fall silent nor trickle, while a body is read from it.

    What counts is the time that we wait for the sender: our own disk's pauses are not held against anybody.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._waited = 0.0
        self._received = 0

    def recv(self, size: int) -> bytes:
        """The next bytes. Raises TimeoutError."""
        before = self.connection.gettimeout()
        silent = float(settings.UPLOAD_SILENT_SECONDS)
        self.connection.settimeout(silent if before is None else min(before, silent))
        began = time.monotonic()
        try:
            found = self.connection.recv(min(size, MOST_AT_ONCE))
        finally:
            self.connection.settimeout(before)
        self._count(time.monotonic() - began, len(found))
        return found

    def _count(self, waited: float, received: int) -> None:
        self._waited += waited
        self._received += received
        if self._waited > settings.UPLOAD_PACE_SECONDS:
            if self._received < settings.UPLOAD_LEAST_RATE * settings.UPLOAD_PACE_SECONDS:
                raise TooSlow(f"{self._received} bytes in {self._waited:.0f} seconds")
            self._waited, self._received = 0.0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


def pre_request(_worker: Any, request: Any) -> None:
    """Watch over the pace of the request's body: nginx knows no pace, and gunicorn waits for ever."""
    if role != "streams":  # which read no body
        request.unreader.sock = PacedSocket(request.unreader.sock)


def post_request(_worker: Any, request: Any, _environ: Any, _response: Any) -> None:
    """The next request on this connection has a pace of its own."""
    if role != "streams" and isinstance(request.unreader.sock, PacedSocket):
        request.unreader.sock = request.unreader.sock.connection
