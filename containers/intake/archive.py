"""check_archive: the way of an upload from an unknown file to an archive that the engine may load.

The cheap questions come first (what file is it, which image, for which platform, is there something to run),
so that a common mistake is answered before gigabytes are hashed. Memory stays constant; disk is at most the
inflated archive (only where the upload is compressed, and without a name) and the rebuilt one.
"""

import hashlib
import json
import os
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from containers.intake.errors import SAVE_AGAIN, ImageRejected
from containers.intake.home import home_of, is_root
from containers.intake.image_config import ImageConfig, read_config
from containers.intake.image_filesystem import ImageFilesystem
from containers.intake.layers import CopiedLayer, LayerReader
from containers.intake.layout import ImageParts, StoredLayer, find_image
from containers.intake.limits import ArchiveLimits, InflationLimit
from containers.intake.modes import ModeOpener
from containers.intake.program import check_program, named_paths
from containers.intake.tar import BLOCK_BYTES
from containers.intake.upload_archive import open_upload

# The fraction of the work that is done when a compressed upload is inflated, and when the layers are copied. What is
# left is the digest of the rebuilt archive.
_INFLATED_AT: Final = 0.3
_COPIED_AT: Final = 0.9


@dataclass(frozen=True)
class CheckedImage:
    """A verified image. `blob` and `size` describe the rebuilt archive, `image_id` what the engine will call it.

    `original_*`: the digests of the configuration and of the layers' contents as they were uploaded. Two originals can
    become one image: by their history, and by modes that were opened.
    """

    image_id: str  # "sha256:<hex>" of the rebuilt configuration
    blob: str  # "sha256:<hex>" of the rebuilt archive
    size: int  # bytes of the rebuilt archive
    layers: int
    uncompressed_bytes: int  # of all layers, each counted once
    warnings: list[str]  # sentences for the team
    config: dict[str, Any]  # entrypoint, cmd, env (names), env_overridden, user, home, working_dir, volumes, ...
    original_image_id: str  # "sha256:<hex>": the image's id on the team's machine
    original_diff_ids: list[str]


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
        layers = list(zip(parts.layers, config.diff_ids, strict=True))
        stored_bytes = sum(layer.member.size for layer, _ in set(layers)) or 1
        image = _Image(config)
        reader = LayerReader(
            upload,
            limits,
            InflationLimit(limits, source.stat().st_size),
            image.modes,
            on_read=lambda read: on_progress(_INFLATED_AT + (_COPIED_AT - _INFLATED_AT) * read / stored_bytes),
            on_passwd=image.open_home,
        )
        with _complete_or_absent(destination) as part:
            with part.open("wb") as target:
                rebuilt = _copy_layers(reader, layers, image, target)
                warnings = check_program(config.command, image.filesystem)
                document = config.rebuilt(rebuilt.diff_ids, image.home)
                _append_documents(document, rebuilt.diff_ids, target)
                target.flush()
                os.fsync(target.fileno())
            blob, size = _digest(part), part.stat().st_size
    on_progress(1.0)
    return CheckedImage(
        image_id=_image_id(document),
        blob=blob,
        size=size,
        layers=len(layers),
        uncompressed_bytes=sum(rebuilt.sizes.values()),
        warnings=config.warnings + warnings + image.modes.warnings(),
        config=config.summary | {"home": image.home},
        original_image_id=config.image_id,
        original_diff_ids=config.diff_ids,
    )


def _expect_as_many_layers(parts: ImageParts, config: ImageConfig) -> None:
    if len(parts.layers) != len(config.diff_ids):
        raise ImageRejected(
            "missing_part",
            f"The configuration and the archive list different numbers of layers: {len(config.diff_ids)} and "
            f"{len(parts.layers)}. {SAVE_AGAIN}",
        )


class _Image:
    """What the layers so far make together."""

    def __init__(self, config: ImageConfig) -> None:
        self.filesystem = ImageFilesystem()
        self.modes = ModeOpener(
            [*named_paths(config.command), config.folder, config.home or ""], as_root=is_root(config.user)
        )
        self._config = config
        self._passwd: bytes | None = None

    @property
    def home(self) -> str:
        """HOME of the image's user."""
        return self._config.home or home_of(self._config.user, self._passwd)

    def open_home(self, passwd: bytes) -> None:
        """Let the home that this /etc/passwd gives be opened from here on."""
        self.modes.add_named(home_of(self._config.user, passwd))

    def add(self, layer: CopiedLayer) -> None:
        """Put one more layer over those before."""
        self.filesystem.merge(layer.root)
        if layer.sets_passwd:
            self._passwd = layer.passwd


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


@dataclass(frozen=True)
class _RebuiltLayers:
    """The layers as they are in the rebuilt archive: each in order, and each content's size."""

    diff_ids: list[str]
    sizes: dict[str, int]


def _copy_layers(
    reader: LayerReader, layers: list[tuple[StoredLayer, str]], image: _Image, target: IO[bytes]
) -> _RebuiltLayers:
    """Verify every layer and write each content once.

    An image may have the same layer twice, as one file with two names or as two files: the former is read once.
    """
    rebuilt = _RebuiltLayers([], {})
    left = Counter(layers)
    copied: dict[tuple[StoredLayer, str], CopiedLayer] = {}
    for number, layer in enumerate(layers, start=1):
        if layer not in copied:
            copied[layer] = _append_layer(reader, *layer, f"Layer {number} of {len(layers)}", target, rebuilt.sizes)
        image.add(copied[layer])
        rebuilt.diff_ids.append(copied[layer].diff_id)
        left[layer] -= 1
        if not left[layer]:
            del copied[layer]  # its names may take many megabytes
    return rebuilt


def _append_layer(
    reader: LayerReader, layer: StoredLayer, diff_id: str, what: str, target: IO[bytes], sizes: dict[str, int]
) -> CopiedLayer:
    """Write one layer as a member; its header is filled in afterwards, when its digest and inflated size are known.

    sizes: of the contents that are there; one of them is not written again.
    """
    start = target.tell()
    target.write(bytes(BLOCK_BYTES))
    copied = reader.copy(layer, diff_id, what, target)
    if copied.diff_id in sizes:
        target.seek(start)
        target.truncate()
        return copied
    sizes[copied.diff_id] = copied.size
    target.write(bytes(-copied.size % BLOCK_BYTES))
    end = target.tell()
    target.seek(start)
    target.write(_header(_layer_name(copied.diff_id), copied.size))
    target.seek(end)
    return copied


def _append_documents(document: bytes, diff_ids: list[str], target: IO[bytes]) -> None:
    config_name = _image_id(document).removeprefix("sha256:") + ".json"
    layers = [_layer_name(diff_id) for diff_id in diff_ids]
    # No RepoTags: an engine would move the tags named here away from the images that have them.
    manifest = json.dumps([{"Config": config_name, "RepoTags": None, "Layers": layers}]).encode()
    for name, data in ((config_name, document), ("manifest.json", manifest)):
        target.write(_header(name, len(data)) + data + bytes(-len(data) % BLOCK_BYTES))
    target.write(bytes(2 * BLOCK_BYTES))


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)  # one block: sizes of 8 GiB and more in base 256


def _layer_name(diff_id: str) -> str:
    return diff_id.removeprefix("sha256:") + ".tar"


def _image_id(document: bytes) -> str:
    return "sha256:" + hashlib.sha256(document).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _ignore(_: float) -> None:
    pass
