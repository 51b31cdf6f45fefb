"""The container engine: the one module that knows Docker's SDK, and everything that this package asks of an engine.

The SDK reports a vanished engine in many ways (requests' ConnectionError and ReadTimeout, urllib3's ProtocolError,
half a JSON document, a stream that just ends). Here it is one exception, EngineUnavailable, and a refusal is another,
EngineRefused. Both are an EngineError, a fault of ours that knows its code.

Calls that may be repeated and watch a running container first wait `retry_seconds` for the engine to come back: a
restart of the engine must not lose a container that outlived it.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, ParamSpec, TypeVar

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, StreamParseError, create_api_error_from_http_exception
from docker.utils import kwargs_from_env

from containers.protocol.faults import HostFault
from containers.protocol.verdicts import FaultCode
from containers.sandbox.image_settings import ImageSettings
from containers.sandbox.spec import Config

T = TypeVar("T")
P = ParamSpec("P")
log = logging.getLogger(__name__)

#: For one silent stretch of an answer: loading an image is silent while its largest layer is unpacked.
_TIMEOUT_SECONDS: Final = 600
#: For the first question, which any engine answers at once.
_CONNECT_SECONDS: Final = 30
_NO_ANSWER: Final = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    DockerException,
    StreamParseError,
    OSError,
)
#: What stands before each piece of a program's output: the stream's number, three zeros, the piece's length.
_FRAME_HEAD: Final = 8
_REMOVAL_SECONDS: Final = 10.0

# How a message of an engine ends when its own state is the reason. Only the end counts: what stands before it
# may be a file name from the image, chosen to look like this.
_CODES_BY_ENDING: Final[dict[str, FaultCode]] = {
    "no space left on device": "disk_full",
    "disk quota exceeded": "disk_full",
    "input/output error": "internal",
    "read-only file system": "internal",
    "cannot allocate memory": "internal",
    "too many open files": "internal",
}


class EngineError(HostFault):
    """The engine did not do what it was asked for."""


class EngineUnavailable(EngineError):
    """The engine does not answer, or stopped answering."""

    default_code = "engine_unavailable"


class EngineRefused(EngineError):
    """The engine answered, and the answer is no. `explanation`: its own words; the message names the request, too."""

    def __init__(self, message: str, *, explanation: str = "", code: FaultCode | None = None) -> None:
        super().__init__(message, code=code or code_of_message(message))
        self.explanation = explanation or message


class NotInEngine(EngineRefused):
    """The engine has no object of this name (HTTP 404)."""


class EngineConflict(EngineRefused):
    """The object's state does not allow it (HTTP 409): it is in use, has ended, or is being removed already."""


def code_of_message(message: str) -> FaultCode | None:
    """The fault that an engine's message ends with, None when it is no known one."""
    text = message.casefold().rstrip(' \n.")')
    return next((code for ending, code in _CODES_BY_ENDING.items() if text.endswith(ending)), None)


@dataclass(frozen=True)
class ContainerState:
    """A container as the engine sees it.

    Times are seconds of the engine's clock since 1970, None before the event.
    """

    running: bool
    exit_code: int
    oom_killed: bool
    started: float | None
    finished: float | None

    @property
    def seconds(self) -> float:
        """How long it ran; 0 before it has ended."""
        if self.started is None or self.finished is None:
            return 0.0
        return max(0.0, self.finished - self.started)


class Engine:
    """What this package asks of a container engine. Safe for threads, as far as the SDK's client is.

    Every method raises EngineError, but for a refusal that its docstring calls no error.
    """

    def __init__(self, client: docker.APIClient, *, retry_seconds: float = 120.0) -> None:
        client.trust_env = False  # an engine is behind no proxy; nor has each question to read the whole environment
        self._client = client
        self._retry_seconds = retry_seconds

    @classmethod
    def connect(cls) -> "Engine":
        """The engine of DOCKER_HOST, or of the local socket. Raises EngineUnavailable."""
        try:
            client = docker.APIClient(version="auto", timeout=_CONNECT_SECONDS, **kwargs_from_env())
        except _NO_ANSWER as error:
            raise EngineUnavailable(f"The container engine does not answer: {error}") from error
        client.timeout = _TIMEOUT_SECONDS
        return cls(client)

    # --- The engine itself --------------------------------------------------------------------------------------

    def ping(self, seconds: float) -> None:
        """Have the engine answer within so many seconds. One that hangs takes the connection and says nothing."""
        _ask(_raise_for_status, _ask(self._client.get, f"{self._client.base_url}/_ping", timeout=seconds))

    def info(self) -> dict[str, Any]:
        """What the engine says of itself and its machine, as its API does."""
        value: dict[str, Any] = _ask(self._client.info)
        return value

    def version(self) -> str:
        """The engine's name and version, for people."""
        value = _ask(self._client.version)
        return f"{value.get('Platform', {}).get('Name') or 'Docker'} {value.get('Version', '?')}".strip()

    def data_folder(self) -> Path:
        """Where the engine keeps its images; in a container this process may not see it."""
        info = self.info()
        root = Path(info["DockerRootDir"])
        # with userns-remap a folder of that mapping, in which only its root may look
        return root.parent if "name=userns" in (info.get("SecurityOptions") or ()) else root

    def now(self) -> float:
        """The engine's clock, in seconds since 1970."""
        return _seconds(self._retrying(self._client.info)["SystemTime"]) or time.time()

    def labelled(self, label: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """All containers and all volumes with a label "key=value", as the engine lists them."""
        filters = {"label": label}
        containers = _ask(self._client.containers, all=True, filters=filters)
        volumes = _ask(self._client.volumes, filters=filters)
        return containers, volumes.get("Volumes") or []

    # --- Containers ---------------------------------------------------------------------------------------------

    def create_container(self, name: str, config: Config) -> None:
        """Create a container; `config` is the JSON object of the engine's API."""
        _ask(self._client.create_container_from_config, config, name)

    def start_container(self, name: str) -> None:
        """Start a container that was created."""
        _ask(self._client.start, name)

    def inspect_container(self, name: str) -> ContainerState | None:
        """A container's state, or None when there is none of this name."""
        try:
            value: dict[str, Any] = self._retrying(self._client.inspect_container, name)["State"]
        except NotInEngine:
            return None
        return ContainerState(
            running=value["Running"] or value["Paused"] or value["Restarting"],
            exit_code=value["ExitCode"],
            oom_killed=value["OOMKilled"],
            started=_seconds(value["StartedAt"]),
            finished=_seconds(value["FinishedAt"]),
        )

    def container_id(self, name: str) -> str:
        """The id of a container by its name, as the kernel's control groups have it."""
        return str(self._retrying(self._client.inspect_container, name)["Id"])

    def wait_for_end(self, name: str) -> None:
        """Return when the container does not run any more, or is no more."""
        while (state := self.inspect_container(name)) is not None and state.running:
            try:
                _ask(self._client.wait, name, timeout=None)
            except EngineError as error:
                log.info("Waiting for %s again: %s", name, error)
                time.sleep(0.05)

    def kill_container(self, name: str) -> None:
        """End a container at once. A container that has ended already, or is no more, is no error."""
        with suppress(NotInEngine, EngineConflict):
            self._retrying(self._client.kill, name, "SIGKILL")

    def remove_container(self, name: str) -> None:
        """Remove a container, running or not, with its anonymous volumes. None of this name is no error."""
        try:
            _ask(self._client.remove_container, name, force=True, v=True)
        except NotInEngine:
            return
        except EngineConflict:  # somebody is removing it already
            self._wait_for_removal(name)

    def _wait_for_removal(self, name: str) -> None:
        give_up = time.monotonic() + _REMOVAL_SECONDS
        while time.monotonic() < give_up:
            try:
                _ask(self._client.inspect_container, name)
            except NotInEngine:
                return
            time.sleep(0.02)

    # --- What containers print ----------------------------------------------------------------------------------

    def log_lines(self, name: str, *, follow: bool) -> Iterator[tuple[float, str]]:
        """A container's log so far, or until it ends: (seconds of the engine's clock since 1970, line)."""
        options = {"stream": True, "follow": follow, "timestamps": True, "stdout": True, "stderr": True}
        rest = b""
        with closing(_ask(self._client.logs, name, **options)) as stream:
            while (chunk := _ask(lambda: next(stream, None))) is not None:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    stamp, _, text = line.decode(errors="replace").partition(" ")
                    yield _seconds(stamp) or 0.0, text

    def log_so_far(self, name: str) -> list[tuple[float, str]]:
        """The lines of a container's log as it is now, asked for again while the engine is away."""
        return self._retrying(lambda: list(self.log_lines(name, follow=False)))

    def log_tail(self, name: str, size: int) -> bytes:
        """The last `size` bytes of what a container printed."""

        def read() -> bytes:
            tail = b""
            with closing(self._client.logs(name, stream=True, follow=False)) as stream:
                for chunk in stream:
                    tail = (tail + chunk)[-size:]
            return tail

        return self._retrying(read)

    def execute(self, name: str, command: list[str], user: str) -> Iterator[bytes]:
        """Run a program in a running container, and yield what it prints."""
        client = self._client
        created = self._retrying(client.exec_create, name, command, stderr=False, user=user)
        # Not exec_start(): the SDK reads below the buffer that holds what came together with the answer's head, so
        # under load the beginning is lost. Without an upgrade the output is the body of an ordinary answer.
        url = f"{client.base_url}/v{client.api_version}/exec/{created['Id']}/start"
        start = {"Detach": False, "Tty": False}
        answer = _ask(client.post, url, json=start, stream=True, timeout=client.timeout)
        with closing(answer):
            _ask(_raise_for_status, answer)
            read: Callable[[int], bytes] = answer.raw.read
            while head := _ask(read, _FRAME_HEAD):
                yield _ask(read, int.from_bytes(head[4:]))

    # --- Volumes ------------------------------------------------------------------------------------------------

    def create_volume(self, config: Config) -> None:
        """Create a volume; `config` are the arguments of the SDK's create_volume."""
        _ask(self._client.create_volume, **config)

    def remove_volume(self, name: str) -> None:
        """Remove a volume that no container uses any more. None of this name is no error."""
        with suppress(NotInEngine):
            _ask(self._client.remove_volume, name)

    # --- Images (how one of ours is loaded and kept: containers/sandbox/images.py) --------------------------------

    def image_id(self, name: str) -> str | None:
        """The id ("sha256:<hex>") of an image by its tag or id, or None when there is none of this name."""
        with suppress(NotInEngine):
            return str(self._inspect_image(name)["Id"])
        return None

    def has_image(self, image_id: str) -> bool:
        """Whether the engine has the image of this id ("sha256:<hex>")."""
        return self.image_id(image_id) == image_id

    def image_tags(self, name: str) -> list[str]:
        """All tags of an image."""
        return list(_ask(self._client.inspect_image, name)["RepoTags"] or ())

    def image_settings(self, name: str) -> ImageSettings:
        """What an image says about how to run it."""
        return ImageSettings.read(self._inspect_image(name)["Config"] or {})

    def tags_in(self, repository: str) -> list[str]:
        """All tags "repository:tag" of a repository, with the repository."""
        tags = [tag for image in _ask(self._client.images, name=repository) for tag in image["RepoTags"] or ()]
        return [tag for tag in tags if tag.startswith(f"{repository}:")]

    def load_image(self, archive: IO[bytes] | bytes) -> Iterator[dict[str, Any]]:
        """Load a docker-archive and yield the engine's messages, an "error" among them where it failed."""
        messages = _ask(self._client.load_image, archive)
        while (message := _ask(lambda: next(messages, None))) is not None:
            yield message

    def tag_image(self, image_id: str, tag: str) -> None:
        """Give an image a tag "repository:tag"."""
        repository, _, name = tag.rpartition(":")
        _ask(self._client.tag, image_id, repository, name)

    def remove_image(self, name: str) -> bool:
        """Take a tag away, and with the last one the image; none of this name is no error.

        Returns False if a container still needs the image.
        """
        try:
            _ask(self._client.remove_image, name)
        except NotInEngine:
            return True
        except EngineConflict:
            return False
        return True

    def _inspect_image(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = self._retrying(self._client.inspect_image, name)
        return value

    # --- Asking -------------------------------------------------------------------------------------------------

    def _retrying(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make a call that may be repeated, until the engine answers or `retry_seconds` are over."""
        give_up, pause = time.monotonic() + self._retry_seconds, 0.05
        while True:
            try:
                return _ask(call, *args, **kwargs)
            except EngineUnavailable:
                if time.monotonic() + pause > give_up:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 2.0)


def _ask(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make one call. Raises EngineUnavailable when the engine does not answer it, EngineRefused when it says no."""
    try:
        return call(*args, **kwargs)
    except APIError as error:
        raise _refusal(error) from error
    except _NO_ANSWER as error:
        raise EngineUnavailable(str(error)) from error


def _refusal(error: APIError) -> EngineError:
    if error.status_code == requests.codes.unavailable:
        return EngineUnavailable(str(error))
    kinds: dict[int | None, type[EngineRefused]] = {
        requests.codes.not_found: NotInEngine,
        requests.codes.conflict: EngineConflict,
    }
    kind = kinds.get(error.status_code, EngineRefused)
    return kind(str(error), explanation=error.explanation or "")


def _raise_for_status(answer: requests.Response) -> None:
    try:
        answer.raise_for_status()
    except requests.HTTPError as error:
        raise create_api_error_from_http_exception(error) from error


def _seconds(text: str) -> float | None:
    """Seconds since 1970 of an engine's time, or None for its "never" (the year 1)."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).timestamp() if moment.year > 1 else None
