"""Images in an engine: load a rebuilt archive, look one up, remove one.

The engine is asked for the id that it has computed by itself, and that id, never a tag, is what containers
run by. The tag exists so that the engine's own pruning leaves the image alone and our clean-up knows what is
ours.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, ImageNotFound

from containers.intake.errors import ImageRejected
from containers.intake.layout import find_image
from containers.intake.limits import ArchiveLimits
from containers.intake.upload_archive import OuterArchive
from containers.protocol.verdicts import REJECTIONS

_LOADED: Final = re.compile(r"^Loaded image(?: ID)?: (sha256:[0-9a-f]{64})$", re.MULTILINE)

# How a message of an engine ends when its own state is the reason. Only the end counts: what stands before it
# may be a file name from the image, chosen to look like this.
_OUR_ENDINGS: Final = {
    "no space left on device": "disk_full",
    "disk quota exceeded": "disk_full",
    "input/output error": "internal",
    "read-only file system": "internal",
    "cannot allocate memory": "internal",
    "too many open files": "internal",
}

# How a message begins when the unpacking process gave up by itself (it was not killed), as seen on 20.10.
_UNPACKING_FAILED: Final = re.compile(r"Error processing tar file\((?!signal)|ApplyLayer exit status 1\b")
_MESSAGE_CHARACTERS: Final = 500

# Wider than any intake's, so that what one host accepted no other refuses.
_REBUILT_LIMITS: Final = ArchiveLimits(json_bytes=16 << 20)


class EngineFault(Exception):
    """The engine could not do it, and the image is not to blame. code: one of the worker's fault codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def load_image(client: docker.DockerClient, archive: Path, *, expected_id: str, tag: str) -> None:
    """Makes sure that the engine has the image `expected_id` ("sha256:<hex>"), and gives it our tag.

    archive: written by `check_archive`; anything else is refused before the engine sees it. tag:
    "repository:tag", its repository naming our instance. An image that is there is only tagged, since an id
    stands for its content. The client's time-out must allow for the slowest layer (some minutes). On failure
    nothing is left: no image that was not there before, no tag. Raises ImageRejected if the engine cannot
    unpack the layers, EngineFault for everything else.
    """
    with _faults():
        was_present = image_present(client, expected_id)
        if not was_present:
            _expect_rebuilt(archive, expected_id)
            _load(client, archive, expected_id)
        repository, _, name = tag.rpartition(":")
        try:
            client.api.tag(expected_id, repository, name)
        except BaseException:
            if not was_present:
                _remove_untagged(client, expected_id)
            raise


def image_present(client: docker.DockerClient, image_id: str) -> bool:
    """Whether the engine has the image of this id. Raises EngineFault if it does not answer."""
    with _faults():
        try:
            found: str = client.api.inspect_image(image_id)["Id"]
        except ImageNotFound:
            return False
        return found == image_id


def remove_image(client: docker.DockerClient, tag: str) -> bool:
    """Takes our tag away, and with the last tag the image. Returns False if a container still needs it.

    Raises EngineFault if the engine does not answer.
    """
    with _faults():
        try:
            client.api.remove_image(tag)
        except ImageNotFound:
            return True
        except APIError as error:
            if error.status_code == requests.codes.conflict:
                return False
            raise
        return True


def tagged(client: docker.DockerClient, repository: str) -> list[str]:
    """The names that our tags in this repository have ("<hex>" of "repository:<hex>"). Raises EngineFault."""
    with _faults():
        tags = [tag for image in client.api.images(name=repository) for tag in image["RepoTags"] or ()]
    return [tag.removeprefix(f"{repository}:") for tag in tags if tag.startswith(f"{repository}:")]


def _expect_rebuilt(archive: Path, expected_id: str) -> None:
    """Lets only an archive to the engine that names the expected image, and no tag: the engine would move it."""
    with archive.open("rb") as file:
        try:
            outer = OuterArchive(file.fileno(), archive.stat().st_size, _REBUILT_LIMITS)
            config = find_image(outer).config
            member = outer.find("manifest.json")
            manifest = outer.parse(outer.read_document(member, what=""), what="") if member else None
        except ImageRejected as error:
            raise _damaged(archive) from error
    if f"sha256:{hashlib.sha256(config).hexdigest()}" != expected_id or not manifest or manifest[0].get("RepoTags"):
        raise _damaged(archive)


def _load(client: docker.DockerClient, archive: Path, expected_id: str) -> None:
    loaded = set()
    with archive.open("rb") as file:
        for message in client.api.load_image(file):
            if "error" in message:
                raise _blamed(str(message["error"]))
            loaded.update(_LOADED.findall(str(message.get("stream", ""))))
    if not image_present(client, expected_id):
        for image_id in loaded:
            _remove_untagged(client, image_id)
        raise EngineFault(
            "image_unavailable",
            f"The engine loaded {archive.name}, but has no image {expected_id}. If it names images by their "
            "manifest, switch its containerd image store off.",
        )


def _remove_untagged(client: docker.DockerClient, image_id: str) -> None:
    """Removes an image that nobody has tagged, as far as the engine lets us: this runs after a failure."""
    with suppress(DockerException, requests.RequestException):
        if not client.api.inspect_image(image_id)["RepoTags"]:
            client.api.remove_image(image_id)


def _blamed(message: str) -> ImageRejected | EngineFault:
    """Whose fault the engine's complaint about a load is. The engine's own words stay on our side."""
    code = _our_code(message)
    if code is None and _UNPACKING_FAILED.match(message):
        return ImageRejected("not_unpackable", REJECTIONS["not_unpackable"])
    return EngineFault(code or "internal", message[:_MESSAGE_CHARACTERS])


def _our_code(message: str) -> str | None:
    text = message.casefold().rstrip(' \n.")')
    return next((code for ending, code in _OUR_ENDINGS.items() if text.endswith(ending)), None)


def _damaged(archive: Path) -> EngineFault:
    return EngineFault("image_unavailable", f"{archive.name} is not the archive that was checked at intake.")


@contextmanager
def _faults() -> Iterator[None]:
    """Turns whatever the SDK and the layers below it raise into an EngineFault."""
    try:
        yield
    except (ImageRejected, EngineFault):
        raise
    except ImageNotFound as error:
        raise EngineFault("image_unavailable", "The image was removed from the engine meanwhile.") from error
    except APIError as error:
        message = str(error)
        raise EngineFault(_our_code(message) or "internal", message[:_MESSAGE_CHARACTERS]) from error
    except FileNotFoundError as error:
        raise EngineFault("image_unavailable", f"The archive {error.filename} is gone.") from error
    # An engine that dies in mid-answer leaves a broken connection or half a JSON document, from whichever
    # layer.
    except (
        DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
        ValueError,
    ) as error:
        raise EngineFault("engine_unavailable", f"The engine does not answer: {error}") from error
