"""check_archive: the way of an upload from an unknown file to an archive that the engine may load.

The cheap questions come first (what file is it, which image, for which platform, is there something to run),
so that a common mistake is answered before gigabytes are hashed. Memory stays constant; disk is at most the
inflated archive (only where the upload is gzip'd, and without a name) and the rebuilt one.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from containers.intake.errors import SAVE_AGAIN, ImageRejected
from containers.intake.image_config import ImageConfig, read_config
from containers.intake.layers import LayerReader
from containers.intake.layout import ImageParts, StoredLayer, find_image
from containers.intake.limits import ArchiveLimits, InflationLimit
from containers.intake.tar import BLOCK_BYTES
from containers.intake.upload_archive import open_upload

# The fraction of the work that is done when a gzip'd upload is inflated, and when the layers are copied. What is left
# is the digest of the rebuilt archive.
_INFLATED_AT: Final = 0.3
_COPIED_AT: Final = 0.9


@dataclass(frozen=True)
class CheckedImage:
    """A verified image. `blob` and `size` describe the rebuilt archive, `image_id` what the engine will call it."""

    image_id: str  # "sha256:<hex>" of the rebuilt configuration
    blob: str  # "sha256:<hex>" of the rebuilt archive
    size: int  # bytes of the rebuilt archive
    layers: int
    uncompressed_bytes: int  # of all layers, each counted once
    warnings: list[str]  # sentences for the team
    config: dict[str, Any]  # entrypoint, cmd, env (names), env_overridden, user, working_dir, volumes, labels, history


def check_archive(
    source: Path,
    destination: Path,
    *,
    limits: ArchiveLimits | None = None,
    progress: Callable[[float], None] | None = None,
) -> CheckedImage:
    """Verify the image archive at `source` and write a rebuilt docker-archive to `destination`.

    The same image gives the same bytes, whichever tool saved it. `destination` appears complete or not at
    all; during the work a file with the suffix `.part` lies beside it. progress: is called with a rising fraction,
    0 to 1; what it raises ends the work and is passed on. Raises ImageRejected for what is wrong with the
    image, OSError for what is wrong here (a full disk).
    """
    limits = limits or ArchiveLimits()
    on_progress = progress or _ignore
    with open_upload(source, destination.parent, limits, lambda done: on_progress(done * _INFLATED_AT)) as upload:
        parts = find_image(upload)
        config = read_config(parts.config, limits)
        _expect_as_many_layers(parts, config)
        layers = _numbered(parts.layers, config.diff_ids)
        stored_bytes = sum(layer.member.size for layer, _ in layers) or 1
        reader = LayerReader(
            upload,
            limits,
            InflationLimit(limits, source.stat().st_size),
            lambda read: on_progress(_INFLATED_AT + (_COPIED_AT - _INFLATED_AT) * read / stored_bytes),
        )
        with _complete_or_absent(destination) as part:
            uncompressed_bytes = _rebuild(reader, layers, len(parts.layers), config, part)
            blob, size = _digest(part), part.stat().st_size
    on_progress(1.0)
    return CheckedImage(
        image_id=_image_id(config),
        blob=blob,
        size=size,
        layers=len(config.diff_ids),
        uncompressed_bytes=uncompressed_bytes,
        warnings=config.warnings + reader.unreadable.warnings(),
        config=config.summary,
    )


def _expect_as_many_layers(parts: ImageParts, config: ImageConfig) -> None:
    if len(parts.layers) != len(config.diff_ids):
        raise ImageRejected(
            "missing_part",
            f"The configuration and the archive list different numbers of layers: {len(config.diff_ids)} and "
            f"{len(parts.layers)}. {SAVE_AGAIN}",
        )


def _numbered(layers: list[StoredLayer], diff_ids: list[str]) -> dict[tuple[StoredLayer, str], int]:
    """Each layer with the digest of its content, and its number in the image, from 1.

    An image may have the same layer twice, as one file with two names or as two files: the former is here once.
    """
    numbers: dict[tuple[StoredLayer, str], int] = {}
    for number, layer in enumerate(zip(layers, diff_ids, strict=True), start=1):
        numbers.setdefault(layer, number)
    return numbers


@contextmanager
def _complete_or_absent(destination: Path) -> Iterator[Path]:
    """A path beside `destination` that becomes it in the end, and is removed if something goes wrong."""
    part = destination.with_name(destination.name + ".part")
    try:
        yield part
        part.replace(destination)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


# --- The rebuilt archive ----------------------------------------------------------------------------------------------


def _rebuild(
    reader: LayerReader, layers: dict[tuple[StoredLayer, str], int], count: int, config: ImageConfig, path: Path
) -> int:
    """Verify every layer and write each content once, then the documents. Returns the bytes of the layers written."""
    sizes: dict[str, int] = {}
    with path.open("wb") as target:
        for (layer, diff_id), number in layers.items():
            what = f"Layer {number} of {count}"
            if diff_id in sizes:
                reader.copy(layer, diff_id, what, None)
            else:
                sizes[diff_id] = _append_layer(reader, layer, diff_id, what, target)
        _append_documents(config, target)
        target.flush()
        os.fsync(target.fileno())
    return sum(sizes.values())


def _append_layer(reader: LayerReader, layer: StoredLayer, diff_id: str, what: str, target: IO[bytes]) -> int:
    """Write one layer as a member; its header is filled in afterwards, when the inflated size is known."""
    start = target.tell()
    target.write(bytes(BLOCK_BYTES))
    size = reader.copy(layer, diff_id, what, target)
    target.write(bytes(-size % BLOCK_BYTES))
    end = target.tell()
    target.seek(start)
    target.write(_header(_layer_name(diff_id), size))
    target.seek(end)
    return size


def _append_documents(config: ImageConfig, target: IO[bytes]) -> None:
    config_name = _image_id(config).removeprefix("sha256:") + ".json"
    layers = [_layer_name(diff_id) for diff_id in config.diff_ids]
    # No RepoTags: an engine would move the tags named here away from the images that have them.
    manifest = json.dumps([{"Config": config_name, "RepoTags": None, "Layers": layers}]).encode()
    for name, data in ((config_name, config.rebuilt), ("manifest.json", manifest)):
        target.write(_header(name, len(data)) + data + bytes(-len(data) % BLOCK_BYTES))
    target.write(bytes(2 * BLOCK_BYTES))


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)  # one block: sizes of 8 GiB and more in base 256


def _layer_name(diff_id: str) -> str:
    return diff_id.removeprefix("sha256:") + ".tar"


def _image_id(config: ImageConfig) -> str:
    return "sha256:" + hashlib.sha256(config.rebuilt).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _ignore(_: float) -> None:
    pass
