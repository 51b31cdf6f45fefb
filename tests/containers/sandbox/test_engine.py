"""What an engine's odd answers become. (The rest of `Engine` is tested with a real one, by every run.)"""

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import docker
import pytest

from containers.protocol.verdicts import FaultCode
from containers.sandbox.engine import (
    Engine,
    EngineConflict,
    EngineRefused,
    EngineUnavailable,
    NotInEngine,
    code_of_message,
)

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


# --- Answers that are refusals, and answers that are none -------------------------------------------------------------


class Scripted(BaseHTTPRequestHandler):
    """An engine that answers every question with `answers` in turn, the last of them for ever: status and body."""

    answers: ClassVar[list[tuple[int, bytes]]] = []

    def do_GET(self) -> None:
        """Answer any question."""
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Take what is sent, and answer."""
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.do_GET()

    def address_string(self) -> str:
        """A socket in a folder has no address of a client."""
        return "client"

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Engine]:
    address = str(tmp_path / "engine.sock")
    with socketserver.UnixStreamServer(address, Scripted) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        client = docker.APIClient(base_url=f"unix://{address}", version="1.41")
        yield Engine(client, retry_seconds=1)
        client.close()
        server.shutdown()


AWAY = (503, '{"message": "shutting down"}')


def answer_with(*answers: tuple[int, str]) -> None:
    Scripted.answers = [(status, text.encode()) for status, text in answers]


@pytest.mark.parametrize(
    ("status", "words", "kind", "code"),
    [
        (404, "no such volume", NotInEngine, "internal"),
        (409, "volume is in use", EngineConflict, "internal"),
        (500, "something new", EngineRefused, "internal"),
        (500, "write /var/lib/docker/x: no space left on device", EngineRefused, "disk_full"),
        (503, "shutting down", EngineUnavailable, "engine_unavailable"),
    ],
)
def test_a_no_is_an_exception_of_its_kind_with_its_code(
    scripted: Engine, status: int, words: str, kind: type[EngineRefused], code: str
) -> None:
    answer_with((status, json.dumps({"message": words})))
    with pytest.raises(kind) as refused:
        scripted.create_volume({"name": "x"})
    assert type(refused.value) is kind
    assert refused.value.code == code
    assert words in str(refused.value)
    if isinstance(refused.value, EngineRefused):
        assert refused.value.explanation == words


def test_an_engine_that_comes_back_is_asked_again(scripted: Engine) -> None:
    answer_with(AWAY, AWAY, (200, '{"Id": "sha256:1"}'))
    assert scripted.has_image("sha256:1")


def test_an_engine_that_stays_away_is_given_up(scripted: Engine) -> None:
    answer_with(AWAY)
    with pytest.raises(EngineUnavailable):
        scripted.has_image("sha256:1")


def test_half_an_answer_is_none(scripted: Engine) -> None:
    answer_with((200, '{"stream": "Loaded image ID: sha'))
    with pytest.raises(EngineUnavailable):
        list(scripted.load_image(b""))


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("write /x: no space left on device", "disk_full"),
        ('500 Server Error: ("write /x: Disk quota exceeded")', "disk_full"),
        ("read /x: input/output error", "internal"),
        ("open /no space left on device: permission denied", None),  # a name in the image may look like it
        ("", None),
    ],
)
def test_only_the_end_of_a_message_tells_what_is_wrong_with_the_engine(message: str, code: FaultCode | None) -> None:
    assert code_of_message(message) == code
