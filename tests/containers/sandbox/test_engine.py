"""What the SDK would lose of an engine's answer. (The rest of `Engine` is tested with a real one, by every run.)"""

import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import docker
import pytest

from containers.sandbox.engine import Engine

OUTPUT = [b"the beginning", b"the rest"]


class InOneBreath(BaseHTTPRequestHandler):
    """An engine under load: a program's first output leaves together with the answer's head, in one piece."""

    def do_POST(self) -> None:
        """Create a program in a container, or start it."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/start"):
            frames = b"".join(b"\1\0\0\0" + len(part).to_bytes(4, "big") + part for part in OUTPUT)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n" + frames)
        else:
            self.wfile.write(b'HTTP/1.1 201 Created\r\nContent-Length: 14\r\n\r\n{"Id": "1234"}')

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Engine]:
    address = str(tmp_path / "engine.sock")
    with socketserver.UnixStreamServer(address, InOneBreath) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        client = docker.APIClient(base_url=f"unix://{address}", version="1.41")
        yield Engine(client)
        client.close()
        server.shutdown()


def test_the_beginning_of_a_dump_is_not_lost(hasty: Engine) -> None:
    assert list(hasty.execute("holder", ["dump"], "1000")) == OUTPUT
