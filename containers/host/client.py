"""The GPU host's side of the server's worker API.

Every call that must not be lost is repeated, with growing pauses, for as long as the server does not answer:
a deployment or a broken line only delays. An answer ends it, and a refusal is an exception of its own kind,
because each means something else to the caller. `interrupted` is asked between attempts and chunks, so that a
cancelled batch does not wait for a server that is away.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeVar

import requests

from containers.protocol.orders import Order
from containers.protocol.reports import Blob, Report

T = TypeVar("T")
log = logging.getLogger(__name__)

TIMEOUT: Final = (5.0, 60.0)  # seconds to connect, seconds without a byte
CHUNK: Final = 1 << 20
_TRY_AGAIN: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class ServerRefused(Exception):
    """The server answered, and the answer is no."""


class TokenRevoked(ServerRefused):
    """The host's token is not accepted (any more)."""


class NotOnServer(ServerRefused):
    """The server does not have what was asked for."""


class LeaseLost(ServerRefused):
    """The batch is not this host's: taken, cancelled, or given to another attempt."""


class WrongDigest(ServerRefused):
    """What was uploaded did not arrive as announced."""


class ServerUnavailable(Exception):
    """The server could not be reached or had an error of its own; the same call may succeed later."""


class Interrupted(Exception):
    """The caller does not want the answer any more."""


class _Token(requests.auth.AuthBase):
    """Sets the header in a way that a ~/.netrc cannot override."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


@dataclass
class Backoff:
    """Growing pauses between attempts, in seconds, each varied by a quarter so that hosts do not ask all at once."""

    first: float = 0.2
    longest: float = 15.0
    _next: float = field(default=0.0, init=False)

    def wait(self, interrupted: Callable[[], bool]) -> None:
        """Sleep for the next pause. Raises Interrupted."""
        self._next = min(self.longest, 2 * self._next or self.first)
        until = time.monotonic() + self._next * random.uniform(0.75, 1.25)  # noqa: S311 - not a secret
        while (left := until - time.monotonic()) > 0:
            if interrupted():
                raise Interrupted
            time.sleep(min(left, 0.25))


class ServerClient:
    """The worker API. One object per thread: a requests session is not made for several."""

    def __init__(
        self, url: str, token: str, *, interrupted: Callable[[], bool] = lambda: False, longest_pause: float = 15.0
    ) -> None:
        self._base = url.rstrip("/") + "/worker/v1/"
        self._interrupted = interrupted
        self._longest_pause = longest_pause
        self._session = requests.Session()
        self._session.auth = _Token(token)

    def hello(
        self,
        *,
        version: str,
        slots: list[dict[str, Any]],
        engine: str,
        free_bytes: int | None,
        trouble: str,
        gpus: dict[str, Any] | None = None,
        can: Sequence[str] | None = None,
        machine: dict[str, int] | None = None,
    ) -> dict[str, Any]:
        """Introduce this host; `trouble` is why it offers less than it has. Raises TokenRevoked, Interrupted.

        `gpus`, `can` and `machine` are left out for a server that does not read them.
        """
        body: dict[str, Any] = {
            "version": version,
            "slots": slots,
            "engine": engine,
            "free_bytes": free_bytes,
            "trouble": trouble,
        }
        if gpus is not None:
            body["gpus"] = gpus
        if can is not None:
            body["can"] = list(can)
        if machine is not None:
            body["machine"] = machine
        return self._json("hello", body)

    def claim(self, batch: str, *, key: str, slot: str) -> dict[str, Any]:
        """Claim a batch; the same key gets the same order again. Raises LeaseLost, TokenRevoked, Interrupted."""
        return self._json(f"batches/{batch}/claim", {"key": key, "slot": slot})

    def heartbeat(self, order: Order, done: int) -> None:
        """Say that the batch is alive; one attempt. Raises LeaseLost, TokenRevoked, ServerUnavailable."""
        path = f"batches/{order.batch}/heartbeat"
        self._once("POST", path, json={"fence": order.fence, "done": done}, timeout=(5.0, 10.0))

    def upload(self, order: Order, name: str, path: Path, blob: Blob) -> None:
        """Send one output file. Raises LeaseLost, WrongDigest, TokenRevoked, Interrupted."""
        headers = {"X-Content-SHA256": blob.blob.removeprefix("sha256:"), "Content-Type": "application/octet-stream"}

        def send() -> None:
            with path.open("rb") as file:
                url = f"batches/{order.batch}/outputs/{name}"
                # an empty file object would be sent without a length
                data = file if blob.size else b""
                self._once("PUT", url, params={"fence": order.fence}, data=data, headers=headers)

        self._until_answered(send)

    def report(self, batch: str, report: Report) -> None:
        """Deliver the report. Raises LeaseLost, TokenRevoked, Interrupted."""
        self._json(f"batches/{batch}/report", report.to_json())

    def download(self, digest: str, size: int, target: Path) -> None:
        """Download a blob to `target`, going on where an earlier attempt ended; its content is not checked here.

        Raises NotOnServer, TokenRevoked, Interrupted, OSError.
        """
        backoff = self._backoff()
        while (have := target.stat().st_size if target.exists() else 0) < size:
            try:
                self._download_rest(digest, have, size, target)
            except ServerUnavailable as error:
                log.warning("Download of %s broke off: %s", digest, error)
                backoff.wait(self._interrupted)

    def _download_rest(self, digest: str, have: int, size: int, target: Path) -> None:
        headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
        with self._once("GET", f"blobs/{digest}", headers=headers, stream=True) as response:
            resumed = response.status_code == HTTPStatus.PARTIAL_CONTENT
            with target.open("ab" if resumed else "wb") as file:
                have = have if resumed else 0
                try:
                    for chunk in response.iter_content(CHUNK):
                        if self._interrupted():
                            raise Interrupted
                        have += len(chunk)
                        if have > size:
                            raise ServerRefused(f"{digest} is longer than the {size} bytes announced.")
                        file.write(chunk)
                except requests.RequestException as error:
                    raise ServerUnavailable(str(error)) from error
            if have < size:
                raise ServerUnavailable("the connection ended early")

    def _backoff(self) -> Backoff:
        return Backoff(longest=self._longest_pause)

    def _json(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            try:
                value = self._once("POST", path, json=body).json()
            except requests.JSONDecodeError as error:
                raise ServerUnavailable(f"{path}: the answer is not JSON") from error
            if not isinstance(value, dict):
                raise ServerRefused(f"{path}: the answer is not an object")
            return value

        return self._until_answered(ask)

    def _until_answered(self, call: Callable[[], T]) -> T:
        backoff = self._backoff()
        while True:
            if self._interrupted():
                raise Interrupted
            try:
                return call()
            except ServerUnavailable as error:
                log.warning("The server does not answer, trying again: %s", error)
                backoff.wait(self._interrupted)

    def _once(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request. Raises ServerUnavailable, or the kind of ServerRefused that the status means."""
        options.setdefault("timeout", TIMEOUT)
        try:
            # a redirect would carry the token elsewhere
            response = self._session.request(method, self._base + path, allow_redirects=False, **options)
        except requests.RequestException as error:
            raise ServerUnavailable(str(error)) from error
        status = response.status_code
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRY_AGAIN:
            raise ServerUnavailable(f"{method} {path}: HTTP {status}")
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            kind = _REFUSALS.get(status, ServerRefused)
            raise kind(f"{method} {path}: HTTP {status}: {response.text[:300]}")
        return response


_REFUSALS: Final[dict[int, type[ServerRefused]]] = {
    HTTPStatus.UNAUTHORIZED: TokenRevoked,
    HTTPStatus.FORBIDDEN: TokenRevoked,
    HTTPStatus.NOT_FOUND: NotOnServer,
    HTTPStatus.CONFLICT: LeaseLost,
    HTTPStatus.UNPROCESSABLE_ENTITY: WrongDigest,
}
