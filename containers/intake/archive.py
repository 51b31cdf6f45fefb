"""check_archive: the way of an upload from an unknown file to an archive that the engine may load.

The cheap questions come first (what file is it, which image, for which platform, is there something to run),
so that a common mistake is answered before gigabytes are hashed. Memory stays constant; disk is at most the
inflated archive (only where the upload is compressed, and without a name) and the rebuilt one.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

from containers.intake.errors import SAVE_AGAIN, ImageRejected
from containers.intake.home import home_of, is_root
from containers.intake.image_config import ImageConfig, read_config
from containers.intake.image_filesystem import ImageFilesystem
from containers.intake.layers import CopiedLayer, LayerReader
from containers.intake.layout import StoredLayer, find_image
from containers.intake.limits import ArchiveLimits, InflationLimit
from containers.intake.modes import ModeOpener
from containers.intake.named import hidden_warnings, named_places
from containers.intake.program import check_program
from containers.intake.rebuilt_archive import RebuiltArchive
from containers.intake.upload_archive import UploadArchive, open_upload

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
    original_image_id: str  # "sha256:<hex>" of the uploaded configuration: the id in every store but containerd's
    original_diff_ids: list[str]
    file_bytes: list[int]  # of each layer's files: 0 where a layer has none, or only empty ones


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
    with (
        open_upload(source, destination.parent, limits, lambda done: on_progress(done * _INFLATED_AT)) as upload,
        _complete_or_absent(destination) as part,
    ):
        stored = _Stored.find(upload, limits, source.stat().st_size)
        with part.open("wb") as target:
            image = _rebuild(stored, target, on_progress)
            target.flush()
            os.fsync(target.fileno())
        blob, size = _digest(part), part.stat().st_size
    on_progress(1.0)
    return CheckedImage(
        image_id=image.image_id,
        blob=blob,
        size=size,
        layers=len(stored.layers),
        uncompressed_bytes=image.layer_bytes,
        warnings=stored.config.warnings + image.warnings,
        config=stored.config.summary | {"home": image.home},
        original_image_id=stored.config.image_id,
        original_diff_ids=stored.config.diff_ids,
        file_bytes=image.file_bytes,
    )


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


# --- The image, as it is stored and as it becomes ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Stored:
    """The image in an uploaded archive: its configuration, and its layers with the digests that it states for them."""

    upload: UploadArchive
    limits: ArchiveLimits
    upload_bytes: int
    config: ImageConfig
    layers: list[tuple[StoredLayer, str]]

    @classmethod
    def find(cls, upload: UploadArchive, limits: ArchiveLimits, upload_bytes: int) -> "_Stored":
        """Raises ImageRejected."""
        parts = find_image(upload)
        config = read_config(parts.config, limits)
        if len(parts.layers) != len(config.diff_ids):
            raise ImageRejected(
                "missing_part",
                f"The configuration and the archive list different numbers of layers: {len(config.diff_ids)} and "
                f"{len(parts.layers)}. {SAVE_AGAIN}",
            )
        layers = list(zip(parts.layers, config.diff_ids, strict=True))
        return cls(upload, limits, upload_bytes, config, layers)

    def reader(self, modes: ModeOpener, on_read: Callable[[float], None]) -> LayerReader:
        """A reader of these layers; on_read is called with the fraction that was read."""
        total = sum(layer.member.size for layer, _ in set(self.layers)) or 1
        inflation_limit = InflationLimit(self.limits, self.upload_bytes)
        return LayerReader(self.upload, self.limits, inflation_limit, modes, lambda read: on_read(read / total))


@dataclass(frozen=True)
class _Rebuilt:
    """The image as it was written. layer_bytes: of its layers, each counted once; file_bytes: of each one's files."""

    image_id: str
    layer_bytes: int
    file_bytes: list[int]
    home: str
    warnings: list[str]


def _rebuild(stored: _Stored, target: IO[bytes], on_progress: Callable[[float], None]) -> _Rebuilt:
    """Verify the image and write it, and once more where something that its settings name stayed closed."""
    image = _Copy(stored, (), target)
    image.write(lambda read: on_progress(_INFLATED_AT + (_COPIED_AT - _INFLATED_AT) * read))
    warnings = check_program(stored.config.command, image.filesystem)
    places = named_places(stored.config, image.home, image.filesystem)
    if image.modes.has_closed(places):
        image = _Copy(stored, places, target)
        image.write(lambda _: on_progress(_COPIED_AT))
    image_id = image.archive.finish(stored.config.rebuilt(image.archive.diff_ids, image.home))
    return _Rebuilt(
        image_id,
        sum(image.archive.sizes.values()),
        image.file_bytes,
        image.home,
        [*warnings, *hidden_warnings(places), *image.modes.warnings()],
    )


class _Copy:
    """The layers on their way into the rebuilt archive, and what those so far make together.

    named: places that are opened wherever they lie.
    """

    def __init__(self, stored: _Stored, named: Iterable[str], target: IO[bytes]) -> None:
        self.filesystem = ImageFilesystem()
        self.modes = ModeOpener(named, as_root=is_root(stored.config.user))
        self.archive = RebuiltArchive(target)
        self.file_bytes: list[int] = []
        self._stored = stored
        self._passwd: bytes | None = None

    @property
    def home(self) -> str:
        """HOME of the image's user."""
        return self._stored.config.home or home_of(self._stored.config.user, self._passwd)

    def write(self, on_read: Callable[[float], None]) -> None:
        """Verify every layer and write each content once. Raises ImageRejected.

        An image may have the same layer twice, as one file with two names or as two files: the former is read once.
        """
        layers = self._stored.layers
        reader = self._stored.reader(self.modes, on_read)
        left = Counter(layers)
        copied: dict[tuple[StoredLayer, str], CopiedLayer] = {}
        for number, layer in enumerate(layers, start=1):
            if layer not in copied:
                copied[layer] = self.archive.write(partial(reader.copy, *layer, f"Layer {number} of {len(layers)}"))
            self._add(copied[layer])
            left[layer] -= 1
            if not left[layer]:
                del copied[layer]  # its names may take many megabytes

    def _add(self, layer: CopiedLayer) -> None:
        """Put one more layer over those before."""
        self.archive.add(layer)
        self.file_bytes.append(layer.file_bytes)
        self.filesystem.merge(layer.root)
        if layer.sets_passwd:
            self._passwd = layer.passwd


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _ignore(_: float) -> None:
    pass
