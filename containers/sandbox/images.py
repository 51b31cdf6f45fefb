"""Loading a rebuilt archive into an engine, so that what is there afterwards is the image that was checked.

The engine is asked for the id that it has computed by itself, and that id, never a tag, is what containers
run by. The tag exists so that the engine's own pruning leaves the image alone and our clean-up knows what is
ours.
"""

import hashlib
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from containers.intake.errors import ImageRejected
from containers.intake.layout import find_image
from containers.intake.limits import ArchiveLimits
from containers.intake.upload_archive import UploadArchive
from containers.protocol.faults import HostFault
from containers.protocol.verdicts import REJECTIONS
from containers.sandbox.engine import Engine, EngineRefused, NotInEngine, code_of_message

_LOADED: Final = re.compile(r"^Loaded image(?: ID)?: (sha256:[0-9a-f]{64})$", re.MULTILINE)

# How a message begins when the unpacking process gave up by itself (it was not killed), as seen on 20.10.
_UNPACKING_FAILED: Final = re.compile(r"Error processing tar file\((?!signal)|ApplyLayer exit status 1\b")
_MESSAGE_CHARACTERS: Final = 500

# Wider than any intake's, so that what one host accepted no other refuses.
_REBUILT_LIMITS: Final = ArchiveLimits(json_bytes=16 << 20)


class ImageUnavailable(HostFault):
    """The image could not be made available on the host, and the image is not to blame."""

    default_code = "image_unavailable"


def load_image(engine: Engine, archive: Path, *, expected_id: str, tag: str) -> None:
    """Make sure that the engine has the image `expected_id` ("sha256:<hex>"), and give it our tag.

    archive: written by `check_archive`; anything else is refused before the engine sees it. tag:
    "repository:tag", its repository naming our instance. An image that is there is only tagged, since an id
    stands for its content. On failure nothing is left: no image that was not there before, no tag. Raises
    ImageRejected if the engine cannot unpack the layers, HostFault for everything else.
    """
    was_present = engine.has_image(expected_id)
    try:
        if not was_present:
            _expect_rebuilt(archive, expected_id)
            _load(engine, archive, expected_id)
        try:
            engine.tag_image(expected_id, tag)
        except BaseException:
            if not was_present:
                _remove_untagged(engine, expected_id)
            raise
    except NotInEngine as error:
        raise ImageUnavailable("The image was removed from the engine meanwhile.") from error
    except FileNotFoundError as error:
        raise ImageUnavailable(f"The archive {error.filename} is gone.") from error


def _expect_rebuilt(archive: Path, expected_id: str) -> None:
    """Let only an archive to the engine that names the expected image and no tag, which the engine would move."""
    with archive.open("rb") as file:
        try:
            members = UploadArchive(file.fileno(), archive.stat().st_size, _REBUILT_LIMITS)
            config = find_image(members).config
            member = members.find("manifest.json")
            manifest = members.parse(members.read_document(member, what=""), what="") if member else None
        except ImageRejected as error:
            raise _damaged(archive) from error
    if f"sha256:{hashlib.sha256(config).hexdigest()}" != expected_id or not manifest or manifest[0].get("RepoTags"):
        raise _damaged(archive)


def _load(engine: Engine, archive: Path, expected_id: str) -> None:
    loaded = set()
    with archive.open("rb") as file:
        for message in engine.load_image(file):
            if "error" in message:
                raise _load_failure(str(message["error"]))
            loaded.update(_LOADED.findall(str(message.get("stream", ""))))
    if not engine.has_image(expected_id):
        for image_id in loaded:
            _remove_untagged(engine, image_id)
        raise ImageUnavailable(
            f"The engine loaded {archive.name}, but has no image {expected_id}. If it names images by their "
            "manifest, switch its containerd image store off."
        )


def _remove_untagged(engine: Engine, image_id: str) -> None:
    """Remove an image that nobody has tagged, as far as the engine lets us: this runs after a failure."""
    with suppress(HostFault):
        if not engine.image_tags(image_id):
            engine.remove_image(image_id)


def _load_failure(message: str) -> ImageRejected | EngineRefused:
    """Whose fault the engine's complaint about a load is. The engine's own words stay on our side."""
    code = code_of_message(message)
    if code is None and _UNPACKING_FAILED.match(message):
        return ImageRejected("not_unpackable", REJECTIONS["not_unpackable"])
    return EngineRefused(message[:_MESSAGE_CHARACTERS], code=code)


def _damaged(archive: Path) -> ImageUnavailable:
    return ImageUnavailable(f"{archive.name} is not the archive that was checked at intake.")
