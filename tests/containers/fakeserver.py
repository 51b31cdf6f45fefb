"""The server's worker API over a real socket, with the failures that a test asks for.

`reads` and `knows` play servers of other versions: the further fields that a hello may have, and the codes of a report.

`fail(path, how, times)`: the next `times` requests whose path contains `path` get an HTTP status (a number), or are
carried out and then left without an answer ("lose").
"""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from containers.protocol.verdicts import FAULTS, REJECTIONS

TOKEN = "host-token"
HELLO = ("version", "slots", "engine", "free_bytes", "trouble")
Failure = int | Literal["lose"]


class FakeServer:
    """What the server would keep in its database, and the socket."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.blobs: dict[str, bytes] = {}
        self.claims: dict[str, str] = {}  # batch -> key
        self.outputs: dict[str, bytes] = {}
        self.reports: list[dict[str, Any]] = []
        self.beats: list[int] = []
        self.hellos: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.ranges: list[str] = []
        self.called_off: set[str] = set()
        self.reads: list[str] | None = ["gpus"]
        self.knows = {*FAULTS, *REJECTIONS}
        self._failures: list[tuple[str, Failure]] = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"fake": self})
        self._http = _Quiet(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def fail(self, path: str, how: Failure, times: int = 1) -> None:
        with self._lock:
            self._failures += [(path, how)] * times

    def stop_failing(self) -> None:
        with self._lock:
            self._failures.clear()

    def failure(self, path: str) -> Failure | None:
        with self._lock:
            self.requests.append(path)
            for item in self._failures:
                if item[0] in path:
                    self._failures.remove(item)
                    return item[1]
        return None

    def put_blob(self, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blobs[digest] = content
        return digest

    def offer(self, order: dict[str, Any], content: bytes = b"input") -> str:
        """Make an order claimable, every case with the same volume, and return the batch's id."""
        for case in order["cases"]:
            case["blob"], case["size"] = self.put_blob(content), len(content)
        self.orders[order["batch"]] = order
        return str(order["batch"])


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    fake: FakeServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        failure = self.fake.failure(self.path)
        if isinstance(failure, int):
            self._answer(failure, {"detail": "as the test asked"})
            return
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(401, {})
            return
        status, value = self._route(body)
        if failure == "lose":
            self.close_connection = True
            return
        self._answer(status, value)

    def _answer(self, status: int, value: dict[str, Any] | bytes) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _route(self, body: bytes) -> tuple[int, dict[str, Any] | bytes]:
        path = self.path.removeprefix("/worker/v1/")
        if path.startswith("blobs/"):
            return self._blob(path.removeprefix("blobs/"))
        if path == "hello":
            said, reads = json.loads(body), self.fake.reads
            if set(said) - {*HELLO, *(reads or ())}:
                return 400, {"detail": "request has unknown fields"}
            self.fake.hellos.append(said)
            return 200, {"lease_seconds": 4, "instance": "test"} | ({} if reads is None else {"reads": reads})
        if match := re.fullmatch(r"batches/([^/]+)/outputs/([^/?]+)\?fence=(\d+)", path):
            return self._output(match[1], match[2], int(match[3]), body)
        batch, _, action = path.removeprefix("batches/").partition("/")
        handler = {"claim": self._claim, "heartbeat": self._heartbeat, "report": self._report}[action]
        return handler(batch, json.loads(body))

    def _blob(self, digest: str) -> tuple[int, bytes]:
        if digest not in self.fake.blobs:
            return 404, b""
        content = self.fake.blobs[digest]
        if match := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            if match[1] != "0":
                self.fake.ranges.append(self.headers["Range"])
            return 206, content[int(match[1]) :]
        return 200, content

    def _claim(self, batch: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        key = self.fake.claims.setdefault(batch, body["key"])
        if batch not in self.fake.orders or key != body["key"]:
            return 409, {"detail": "taken"}
        return 200, self.fake.orders[batch]

    def _valid(self, batch: str, fence: int) -> bool:
        return batch not in self.fake.called_off and self.fake.orders[batch]["fence"] == fence

    def _heartbeat(self, batch: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if not self._valid(batch, body["fence"]):
            return 409, {"go_on": False, "why": "cancelled"}
        self.fake.beats.append(body["done"])
        return 200, {"go_on": True}

    def _output(self, batch: str, name: str, fence: int, body: bytes) -> tuple[int, dict[str, Any] | bytes]:
        if not self._valid(batch, fence):
            return 409, {"detail": "stale"}
        if hashlib.sha256(body).hexdigest() != self.headers["X-Content-SHA256"]:
            return 422, {"detail": "wrong digest"}
        self.fake.outputs[name] = body
        return 204, b""

    def _report(self, batch: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if not self._valid(batch, body["fence"]):
            return 409, {"detail": "stale"}
        if {code for code in (body.get("rejected"), (body["fault"] or {}).get("code")) if code} - self.fake.knows:
            return 400, {"detail": "report.fault.code is not valid"}
        if body not in self.fake.reports:  # a repeat changes nothing
            self.fake.reports.append(body)
        return 200, {"accepted": True}
