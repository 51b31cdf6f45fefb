"""One layer on its way from the upload to the rebuilt archive: inflated, hashed, looked through, and copied.

All four happen in one pass. The layer's own tar headers are read for three reasons: to bound what the engine
will unpack (entries, sparse files, kinds it cannot handle), to refuse what it could not unpack, and to warn
about files that the sandbox's user will not be able to read, the commonest reason for which an honest image
fails.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Final

from containers.intake import tar
from containers.intake.errors import SAVE_AGAIN, ImageRejected, human_size, quoted
from containers.intake.layer_filesystem import LayerFilesystem
from containers.intake.layout import StoredLayer
from containers.intake.limits import ArchiveLimits, InflationLimit
from containers.intake.streams import WatchedStream, compression_of, gunzip
from containers.intake.upload_archive import UploadArchive

_MAGIC_BYTES: Final = 16
_WORTH_A_WARNING_BYTES: Final = 1 << 20
_MAX_PLACES: Final = 1000
_MAX_WARNINGS: Final = 5
_OTHERS_MAY_ENTER: Final = 0o001
_OTHERS_MAY_READ: Final = 0o004


class LayerReader:
    """Reads the layers of one image in turn, with bounds over all of them together.

    `on_read` is called with the number of stored bytes read so far, of all layers. `unreadable`: what was found on the
    way and is worth a warning.
    """

    def __init__(
        self,
        archive: UploadArchive,
        limits: ArchiveLimits,
        inflation_limit: InflationLimit,
        on_read: Callable[[int], None],
    ) -> None:
        self.unreadable = UnreadableFiles()
        self._archive = archive
        self._limits = limits
        self._inflation_limit = inflation_limit
        self._on_read = on_read
        self._read_bytes = 0
        self._entry_limit = tar.EntryLimit(
            limits.layer_members,
            what="The layers of the image hold",
            advice="Leave out files that the algorithm does not need (package caches, data sets).",
        )

    def copy(self, layer: StoredLayer, diff_id: str, what: str, target: IO[bytes] | None) -> int:
        """Verify a layer while writing it, inflated, to `target` (None: only verify it).

        what: names the layer in a refusal. Returns its inflated size in bytes. Raises ImageRejected.
        """
        content = _Content(what, self._inflation_limit, target)
        stored_digest = hashlib.sha256()
        chunks = self._counted(self._archive.open(layer.member))
        first_bytes = self._archive.open(layer.member).read(_MAGIC_BYTES)
        if compression_of(first_bytes) == "gzip":
            chunks = gunzip(_hashed(chunks, stored_digest), what=what, max_members=self._limits.gzip_members)
        else:
            stored_digest = content.digest
        self._check_entries(WatchedStream(chunks, content.add), what)
        if f"sha256:{content.digest.hexdigest()}" != diff_id:
            raise _wrong_digest(what)
        if layer.digest is not None and f"sha256:{stored_digest.hexdigest()}" != layer.digest:
            raise _wrong_digest(what)
        return content.size

    def _counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._read_bytes += len(chunk)
            yield chunk
            self._on_read(self._read_bytes)

    def _check_entries(self, stream: WatchedStream, what: str) -> None:
        filesystem = LayerFilesystem(self._entry_limit, what)
        for member in tar.members(stream, self._entry_limit, what=what):
            filesystem.add(member)
            self.unreadable.add(member)
        filesystem.finish()
        stream.drain()


class _Content:
    """A layer's inflated bytes as they pass: bounded, hashed, and written to `target`."""

    def __init__(self, what: str, inflation_limit: InflationLimit, target: IO[bytes] | None) -> None:
        self.size = 0
        self.digest = hashlib.sha256()
        self._what = what
        self._inflation_limit = inflation_limit
        self._target = target
        self._beginning = b""  # collected, for the first piece can be a single byte

    def add(self, piece: bytes) -> None:
        """Take the next piece. Raises ImageRejected."""
        if len(self._beginning) < _MAGIC_BYTES:
            self._beginning += piece[: _MAGIC_BYTES - len(self._beginning)]
            _refuse_compression(self._beginning, self._what)
        self.size += len(piece)
        self._inflation_limit.add(len(piece))
        self.digest.update(piece)
        if self._target is not None:
            self._target.write(piece)


class UnreadableFiles:
    """Finds large files that only their owner can read, or whose folders only their owner can enter.

    /root has mode 0700 in most base images, and weights are often downloaded to /root/.cache.
    """

    def __init__(self) -> None:
        self._closed_folders: dict[str, int] = {}  # folder -> bytes of the files below it
        self._private_files: dict[str, int] = {}  # file -> bytes

    def add(self, member: tar.Member) -> None:
        """Look at the next entry of a layer."""
        name = member.name.removeprefix("./").strip("/")
        if member.kind == "folder":
            if member.mode & _OTHERS_MAY_ENTER:
                self._closed_folders.pop(name, None)
            elif len(self._closed_folders) < _MAX_PLACES:
                self._closed_folders.setdefault(name, 0)
        elif member.kind == "file":
            self._add_file(name, member)

    def _add_file(self, name: str, member: tar.Member) -> None:
        self._private_files.pop(name, None)
        if self._closed_folders:
            end = name.rfind("/")
            while end > 0:
                folder = name[:end]
                if folder in self._closed_folders:
                    self._closed_folders[folder] += member.size
                    return
                end = name.rfind("/", 0, end)
        large = member.size >= _WORTH_A_WARNING_BYTES
        if large and not member.mode & _OTHERS_MAY_READ and len(self._private_files) < _MAX_PLACES:
            self._private_files[name] = member.size

    def warnings(self) -> list[str]:
        """Sentences for the team, the largest first, at most five."""
        folders = [(size, f"The folder {quoted('/' + name)}") for name, size in self._closed_folders.items()]
        files = [(size, f"The file {quoted('/' + name)}") for name, size in self._private_files.items()]
        places = sorted((place for place in folders + files if place[0] >= _WORTH_A_WARNING_BYTES), reverse=True)
        return [
            f"{what} ({human_size(size)}) can be read by its owner only, so not by the user that the server "
            "runs containers as. Add RUN chmod -R a+rX for it to the Dockerfile, or store the files "
            "elsewhere."
            for size, what in places[:_MAX_WARNINGS]
        ]


def _hashed(chunks: Iterable[bytes], digest: Any) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _refuse_compression(beginning: bytes, what: str) -> None:
    """Refuse content that looks compressed: the engine looks by itself, and would inflate it a second time."""
    compression = compression_of(beginning)
    if compression:
        raise ImageRejected(
            "compression",
            f"{what} is compressed with {compression}, which is not supported. Save the image with docker "
            "save, or build it with gzip layers (--output "
            "type=oci,compression=gzip,force-compression=true).",
        )


def _wrong_digest(what: str) -> ImageRejected:
    return ImageRejected("wrong_digest", f"{what} does not match its digest. {SAVE_AGAIN}")
