"""The site as real processes: nginx with the shipped rules, and gunicorn with the shipped settings, on a free port.

It works on the database and broker that the environment names. `split` is what `./dev` and production run; without it
one gunicorn serves everything, as it was before there were roles.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from deploy.local.credentials import Credentials
from deploy.local.paths import State
from deploy.local.ports import Ports
from deploy.local.proxy import prepare_proxy
from deploy.local.stack import WEB_PARTS, Stack
from deploy.local.supervisor import Part

CLONE = Path(__file__).resolve().parents[1]
START_SECONDS = 60.0
WORDS = {"track": "main", "algorithm": "Grounder", "method": "A frozen text encoder conditions a U-Net. " * 4}
WORDS |= {"external": "none", "external_data": ""}
BOUNDARY = "a-boundary-that-no-image-has"


@dataclass
class RealSite:
    """A running site."""

    folder: Path
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def connect(self, seconds: float = 30.0) -> socket.socket:
        """A connection to it, as any client's."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """An answer, and its content."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body or None, dict(headers or {}))
            answer = connection.getresponse()
            return answer, answer.read()

    def log(self, name: str) -> str:
        """What a process has said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")


@contextmanager
def running_site(folder: Path, environment: Mapping[str, str], *, split: bool = True) -> Iterator[RealSite]:
    """The site, up; stopped at the end. `environment` has STORE_DIR, DATABASE_URL and REDIS_URL."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = int(probe.getsockname()[1])
    state = State(CLONE, folder)
    state.run.mkdir(parents=True, exist_ok=True)
    site = RealSite(folder, port)
    try:
        for part in _split(state, port, environment) if split else [_alone(port, environment)]:
            part.prepare()
            with (folder / f"{part.name}.log").open("wb") as log:
                site.processes[part.name] = _started(part, log)
        _wait_until_well(site)
        yield site
    finally:
        for process in site.processes.values():
            process.terminate()
        for process in site.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()


def _split(state: State, port: int, environment: Mapping[str, str]) -> list[Part]:
    """The parts of `./dev up` that answer requests."""
    outer = {name: value for name, value in environment.items() if name != "STATIC_ROOT"}
    stack = Stack(state, Ports(port, 0, 0, 0), Credentials(environment["SECRET_KEY"], "", "", ""), frozenset(), outer)
    web = map(stack.web_part, WEB_PARTS)
    ours = {"STORE_DIR": environment["STORE_DIR"], "STATIC_ROOT": "", "REX_INSTANCE": environment["REX_INSTANCE"]}
    changed = [Part(part.name, part.command, {**part.environment, **ours}, part.ready) for part in web]
    return [*changed, prepare_proxy(state, port)]


def _alone(port: int, environment: Mapping[str, str]) -> Part:
    command = f"-m gunicorn leaderboard.wsgi --bind 127.0.0.1:{port} --worker-class gthread --workers 2 --threads 8"
    ours = {**environment, "SITE_URL": f"http://127.0.0.1:{port}", "STATIC_ROOT": "", "PYTHONPATH": str(CLONE)}
    return Part("web", (sys.executable, *command.split(), "--no-control-socket"), ours, lambda _log: True)


def _started(part: Part, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(part.command, env=dict(part.environment), cwd="/", stdout=log, stderr=subprocess.STDOUT)


def _wait_until_well(site: RealSite) -> None:
    give_up = time.monotonic() + START_SECONDS
    for path in ("/healthz", "/worker/v1/nothing"):
        while True:
            with suppress(OSError, http.client.HTTPException):
                if site.ask("GET", path)[0].status in {200, 404}:
                    break
            if time.monotonic() > give_up or any(one.poll() is not None for one in site.processes.values()):
                raise AssertionError("\n".join(site.log(name)[-3000:] for name in site.processes))
            time.sleep(0.1)
    _wait_for_uploads(site, give_up)


def _wait_for_uploads(site: RealSite, give_up: float) -> None:
    while site.ask("POST", "/submit/none/")[0].status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        assert time.monotonic() < give_up, site.log("uploads")
        time.sleep(0.1)


# --- what a team's browser sends --------------------------------------------------------------------------------------


def browser_headers(session: str, length: int | None) -> dict[str, str]:
    """Of an upload by the form; the token of the form goes with `form_body`."""
    headers = {
        "Cookie": f"rexg_session={session}; rexg_csrf={'t' * 32}",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
    }
    return headers if length is None else {**headers, "Content-Length": str(length)}


def form_body(image: bytes, **words: str) -> tuple[bytes, bytes, bytes]:
    """The form's words, the image, and the end: together a body."""
    fields = {**WORDS, **words, "csrfmiddlewaretoken": "t" * 32}
    head = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    file = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="image.tar"\r\n\r\n'
    return (head + file).encode(), image, f"\r\n--{BOUNDARY}--\r\n".encode()


def request_head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    """As it goes over the line."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
