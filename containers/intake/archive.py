"""check_archive: the journey of an upload from an unknown file to an archive that the engine may load.

The cheap questions come first (what file is it, which image, for which platform, is there something to run),
so that an honest mistake is answered before gigabytes are hashed. Memory stays constant; disk is at most the
inflated archive (only where the upload is gzip'd, and without a name) and the rebuilt one.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from containers.intake.config import ImageConfig, read_config
from containers.intake.errors import SAVE_AGAIN, ImageRejected
from containers.intake.layers import LayerReader
from containers.intake.layout import StoredLayer, find_image
from containers.intake.limits import ArchiveLimits, InflatedBytes
from containers.intake.tar import BLOCK_BYTES
from containers.intake.upload_archive import opened

# The shares of the three steps in the progress that is told: inflating a gzip'd upload, layers, and the final
# digest.
_INFLATED_AT: Final = 0.3
_COPIED_AT: Final = 0.9


@dataclass(frozen=True)
class CheckedImage:
    """A verified image: `blob` and `size` describe the rebuilt archive, `image_id` is the engine's name for it."""

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
    """Verifies the image archive at `source` and writes a rebuilt docker-archive to `destination`.

    The same image gives the same bytes, whichever tool saved it. `destination` appears complete or not at
    all; during the work a file with the suffix `.part` lies beside it. progress: is told a rising fraction, 0
    to 1; what it raises ends the work and is passed on. Raises ImageRejected for what is wrong with the
    image, OSError for what is wrong here (a full disk).
    """
    limits = limits or ArchiveLimits()
    tell = progress or _tell_nobody
    part = destination.with_name(destination.name + ".part")
    with opened(source, destination.parent, limits, lambda done: tell(done * _INFLATED_AT)) as archive:
        parts = find_image(archive)
        config = read_config(parts.config, limits)
        if len(parts.layers) != len(config.diff_ids):
            raise ImageRejected(
                "missing_part",
                f"The configuration and the archive list different numbers of layers: {len(config.diff_ids)} and "
                f"{len(parts.layers)}. {SAVE_AGAIN}",
            )
        reader = LayerReader(archive, limits, InflatedBytes(limits, source.stat().st_size))
        try:
            with part.open("wb") as target:
                uncompressed = _write_layers(reader, parts.layers, config.diff_ids, target, tell)
                _write_documents(config, target)
                target.flush()
                os.fsync(target.fileno())
            blob = _digest(part)
            size = part.stat().st_size
            part.replace(destination)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    tell(1.0)
    return CheckedImage(
        image_id=_image_id(config),
        blob=blob,
        size=size,
        layers=len(config.diff_ids),
        uncompressed_bytes=uncompressed,
        warnings=config.warnings + reader.unreadable.warnings(),
        config=config.summary,
    )


def _write_layers(
    reader: LayerReader,
    layers: list[StoredLayer],
    diff_ids: list[str],
    target: IO[bytes],
    tell: Callable[[float], None],
) -> int:
    """Verifies every layer and writes each once, in the image's order. Returns the bytes of those written."""
    # An image may have the same layer twice, as one file with two names or as two files.
    verified: set[tuple[StoredLayer, str]] = set()
    written: set[str] = set()
    all_bytes = sum(layer.member.size for layer in layers) or 1
    uncompressed = read_before = 0
    for number, (layer, diff_id) in enumerate(zip(layers, diff_ids, strict=True), start=1):

        def read(size: int, before: int = read_before) -> None:
            tell(_INFLATED_AT + (_COPIED_AT - _INFLATED_AT) * (before + size) / all_bytes)

        what = f"Layer {number} of {len(layers)}"
        if diff_id not in written:
            uncompressed += _append_layer(reader, layer, diff_id, what, target, read)
        elif (layer, diff_id) not in verified:
            reader.copy(layer, diff_id, what, None, read)
        written.add(diff_id)
        verified.add((layer, diff_id))
        read_before += layer.member.size
    return uncompressed


def _append_layer(
    reader: LayerReader,
    layer: StoredLayer,
    diff_id: str,
    what: str,
    target: IO[bytes],
    read: Callable[[int], None],
) -> int:
    """Writes one layer as a member; its header is filled in afterwards, when the inflated size is known."""
    start = target.tell()
    target.write(bytes(BLOCK_BYTES))
    size = reader.copy(layer, diff_id, what, target, read)
    target.write(bytes(-size % BLOCK_BYTES))
    end = target.tell()
    target.seek(start)
    target.write(_header(_layer_name(diff_id), size))
    target.seek(end)
    return size


def _write_documents(config: ImageConfig, target: IO[bytes]) -> None:
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


def _tell_nobody(_: float) -> None:
    pass
