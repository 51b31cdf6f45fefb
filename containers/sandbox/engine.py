"""The container engine, asked so that it may go away and come back.

The SDK reports a vanished engine in many ways (requests' ConnectionError and ReadTimeout, urllib3's
ProtocolError, a stream that just ends). Here it is one exception, EngineGone, and the calls that watch a
running container first wait `patience_seconds` for the engine to return: a restart of the engine must not
lose a container that outlived it.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, NotFound, create_api_error_from_http_exception
from docker.utils import kwargs_from_env

T = TypeVar("T")
log = logging.getLogger(__name__)

_GONE = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    DockerException,
    ConnectionError,
    TimeoutError,
)
#: What stands before each piece of a program's output: the stream's number, three zeros, the piece's length.
_FRAME_HEAD = 8


class EngineGone(Exception):
    """The engine does not answer, or stopped answering."""


@dataclass(frozen=True)
class State:
    """A container as the engine sees it.

    Times are seconds of the engine's clock since 1970, None before the event.
    """

    running: bool
    exit_code: int
    oom_killed: bool
    started: float | None
    finished: float | None


def connect() -> docker.DockerClient:
    """A client for the engine of DOCKER_HOST, or of the local socket. Raises EngineGone."""
    try:
        # the time-out is for one silent stretch: loading an image is silent while its largest layer is
        # unpacked
        return docker.DockerClient(version="auto", timeout=600, **kwargs_from_env())
    except _GONE as error:
        raise EngineGone(f"The container engine does not answer: {error}") from error


def timestamp(text: str) -> float | None:
    """Seconds since 1970 of an engine's time, or None for its "never" (the year 1)."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).timestamp() if moment.year > 1 else None


def answered(call: Callable[[], T]) -> T:
    """Make one call. Raises EngineGone when the engine does not answer it, APIError when it says no."""
    try:
        return call()
    except APIError as error:
        if error.response is not None and error.response.status_code == 503:
            raise EngineGone(str(error)) from error
        raise
    except _GONE as error:
        raise EngineGone(str(error)) from error


class Engine:
    """What this package asks of a container engine."""

    def __init__(self, docker_client: docker.DockerClient, *, patience_seconds: float = 120.0) -> None:
        self.docker = docker_client
        self.client: docker.APIClient = docker_client.api
        self.patience_seconds = patience_seconds

    def patiently(self, call: Callable[[], T]) -> T:
        """Make a call that may be repeated, until the engine answers or patience ends (EngineGone)."""
        give_up, pause = time.monotonic() + self.patience_seconds, 0.05
        while True:
            try:
                return answered(call)
            except EngineGone:
                if time.monotonic() + pause > give_up:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 2.0)

    def version(self) -> str:
        """The engine's name and version, for people."""
        value = answered(self.client.version)
        return f"{value.get('Platform', {}).get('Name') or 'Docker'} {value.get('Version', '?')}".strip()

    def data_folder(self) -> Path:
        """Where the engine keeps its images; in a container this process may not see it. Raises EngineGone."""
        info = answered(self.client.info)
        root = Path(info["DockerRootDir"])
        # with userns-remap a folder of that mapping, in which only its root may look
        return root.parent if "name=userns" in (info.get("SecurityOptions") or ()) else root

    def now(self) -> float:
        """The engine's clock, in seconds since 1970."""
        return timestamp(self.patiently(self.client.info)["SystemTime"]) or time.time()

    def has_image(self, image: str) -> bool:
        """Whether the engine has the image of this id."""
        try:
            return bool(self.patiently(lambda: self.client.inspect_image(image))["Id"] == image)
        except NotFound:
            return False

    def inspect(self, name: str) -> State | None:
        """A container's state, or None when there is none of this name."""
        try:
            value: dict[str, Any] = self.patiently(lambda: self.client.inspect_container(name))["State"]
        except NotFound:
            return None
        return State(
            running=value["Running"] or value["Paused"] or value["Restarting"],
            exit_code=value["ExitCode"],
            oom_killed=value["OOMKilled"],
            started=timestamp(value["StartedAt"]),
            finished=timestamp(value["FinishedAt"]),
        )

    def wait(self, name: str) -> None:
        """Return when the container does not run any more, or is no more."""
        while (state := self.inspect(name)) is not None and state.running:
            try:
                answered(lambda: self.client.wait(name, timeout=None))
            except (EngineGone, APIError) as error:
                log.info("Waiting for %s again: %s", name, error)
                time.sleep(0.05)

    def kill(self, name: str) -> None:
        """End a container at once. A container that has ended already, or is no more, is no error."""
        try:
            self.patiently(lambda: self.client.kill(name, "SIGKILL"))
        except APIError as error:
            if error.status_code not in (404, 409):
                raise

    def log_lines(self, name: str, *, follow: bool) -> Iterator[tuple[float, str]]:
        """A container's log so far, or until it ends: (time of the engine's clock, line).

        Raises EngineGone, NotFound.
        """
        options = {"stream": True, "follow": follow, "timestamps": True, "stdout": True, "stderr": True}
        rest = b""
        with closing(answered(lambda: self.client.logs(name, **options))) as stream:
            while (chunk := answered(lambda: next(stream, None))) is not None:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    stamp, _, text = line.decode(errors="replace").partition(" ")
                    yield timestamp(stamp) or 0.0, text

    def log_tail(self, name: str, size: int) -> bytes:
        """The last `size` bytes of what a container printed."""

        def read() -> bytes:
            tail = b""
            with closing(self.client.logs(name, stream=True, follow=False)) as stream:
                for chunk in stream:
                    tail = (tail + chunk)[-size:]
            return tail

        return self.patiently(read)

    def execute(self, name: str, command: list[str], user: str) -> Iterator[bytes]:
        """Run a program in a running container, and yield what it prints. Raises EngineGone, NotFound, APIError."""
        client = self.client
        created = self.patiently(lambda: client.exec_create(name, command, stderr=False, user=user))
        # Not exec_start(): the SDK reads below the buffer that holds what came together with the answer's head, so
        # under load the beginning is lost. Without an upgrade the output is the body of an ordinary answer.
        url = f"{client.base_url}/v{client.api_version}/exec/{created['Id']}/start"
        start = {"Detach": False, "Tty": False}
        answer = answered(lambda: client.post(url, json=start, stream=True, timeout=client.timeout))
        with closing(answer):
            try:
                answer.raise_for_status()
            except requests.HTTPError as error:
                raise create_api_error_from_http_exception(error) from error
            read: Callable[[int], bytes] = answer.raw.read
            while head := answered(partial(read, _FRAME_HEAD)):
                yield answered(partial(read, int.from_bytes(head[4:])))

    def remove_container(self, name: str) -> None:
        """Remove a container, running or not, with its anonymous volumes. None of this name is no error."""
        try:
            answered(lambda: self.client.remove_container(name, force=True, v=True))
        except APIError as error:
            if error.status_code == 404:
                return
            if error.status_code != 409:  # 409: somebody is removing it already
                raise
            self._until_gone(name)

    def remove_volume(self, name: str) -> None:
        """Remove a volume that no container uses any more. None of this name is no error."""
        with suppress(NotFound):
            answered(lambda: self.client.remove_volume(name))

    def _until_gone(self, name: str) -> None:
        give_up = time.monotonic() + 10
        while time.monotonic() < give_up:
            try:
                answered(lambda: self.client.inspect_container(name))
            except NotFound:
                return
            time.sleep(0.02)

    def labelled(self, label: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """All containers and all volumes with a label "key=value", as the engine lists them."""
        filters = {"label": label}
        containers = answered(lambda: self.client.containers(all=True, filters=filters))
        volumes = answered(lambda: self.client.volumes(filters=filters))
        return containers, volumes.get("Volumes") or []
