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
from containers.intake.errors import SAVE_AGAIN, ImageRejected, human_size, shown
from containers.intake.layer_filesystem import LayerTree
from containers.intake.layout import StoredLayer
from containers.intake.limits import ArchiveLimits, InflatedBytes
from containers.intake.streams import WatchedStream, compression_of, gunzip
from containers.intake.upload_archive import OuterArchive

_MAGIC_BYTES: Final = 16
_WORTH_A_WARNING_BYTES: Final = 1 << 20
_MAX_PLACES: Final = 1000
_MAX_WARNINGS: Final = 5
_OTHERS_MAY_ENTER: Final = 0o001
_OTHERS_MAY_READ: Final = 0o004


class LayerReader:
    """Reads the layers of one image in turn, with bounds over all of them together."""

    def __init__(self, archive: OuterArchive, limits: ArchiveLimits, budget: InflatedBytes) -> None:
        self._archive = archive
        self._limits = limits
        self._budget = budget
        self._headers = tar.Headers(
            limits.layer_members,
            what="The layers of the image hold",
            advice="Leave out files that the algorithm does not need (package caches, data sets).",
        )
        self.unreadable = Unreadable()

    def copy(
        self, layer: StoredLayer, diff_id: str, what: str, sink: IO[bytes] | None, read: Callable[[int], None]
    ) -> int:
        """Verifies a layer while writing it, inflated, to `sink` (None: only verifies it); its size in bytes.

        what: names the layer in a refusal. read: is told the number of stored bytes read so far.
        """
        inflated, stored = hashlib.sha256(), hashlib.sha256()
        size = 0
        beginning = b""  # collected, for the first piece can be a single byte

        def watch(piece: bytes) -> None:
            nonlocal size, beginning
            if len(beginning) < _MAGIC_BYTES:
                beginning += piece[: _MAGIC_BYTES - len(beginning)]
                _refuse_compression(beginning, what)
            size += len(piece)
            self._budget.add(len(piece))
            inflated.update(piece)
            if sink is not None:
                sink.write(piece)

        first_bytes = self._archive.open(layer.member).read(_MAGIC_BYTES)
        chunks = _told(self._archive.open(layer.member), read)
        if compression_of(first_bytes) == "gzip":
            chunks = gunzip(_hashed(chunks, stored), what=what, max_members=self._limits.gzip_members)
        else:
            stored = inflated
        self._look_through(WatchedStream(chunks, watch), what)
        if f"sha256:{inflated.hexdigest()}" != diff_id:
            raise _wrong_digest(what)
        if layer.digest is not None and f"sha256:{stored.hexdigest()}" != layer.digest:
            raise _wrong_digest(what)
        return size

    def _look_through(self, stream: WatchedStream, what: str) -> None:
        tree = LayerTree(self._headers, what)
        for member in tar.members(stream, self._headers, what=what):
            tree.add(member)
            self.unreadable.see(member)
        tree.end()
        stream.drain()


class Unreadable:
    """Finds large files that only their owner can read, or that lie where only their owner can enter.

    /root has mode 0700 in most base images, and weights are often downloaded to /root/.cache.
    """

    def __init__(self) -> None:
        self._closed: dict[str, int] = {}  # folder -> bytes of the files below it
        self._private: dict[str, int] = {}  # file -> bytes

    def see(self, member: tar.Member) -> None:
        """Take note of a member of the layer, in the archive's order."""
        name = member.name.removeprefix("./").strip("/")
        if member.kind == "folder":
            if member.mode & _OTHERS_MAY_ENTER:
                self._closed.pop(name, None)
            elif len(self._closed) < _MAX_PLACES:
                self._closed.setdefault(name, 0)
        elif member.kind == "file":
            self._see_file(name, member)

    def _see_file(self, name: str, member: tar.Member) -> None:
        self._private.pop(name, None)
        if self._closed:
            end = name.rfind("/")
            while end > 0:
                folder = name[:end]
                if folder in self._closed:
                    self._closed[folder] += member.size
                    return
                end = name.rfind("/", 0, end)
        large = member.size >= _WORTH_A_WARNING_BYTES
        if large and not member.mode & _OTHERS_MAY_READ and len(self._private) < _MAX_PLACES:
            self._private[name] = member.size

    def warnings(self) -> list[str]:
        """Sentences for the team, the largest first, at most five."""
        folders = [(size, f"The folder {shown('/' + name)}") for name, size in self._closed.items()]
        files = [(size, f"The file {shown('/' + name)}") for name, size in self._private.items()]
        places = sorted((place for place in folders + files if place[0] >= _WORTH_A_WARNING_BYTES), reverse=True)
        return [
            f"{what} ({human_size(size)}) can be read by its owner only, so not by the user that the server "
            "runs containers as. Add RUN chmod -R a+rX for it to the Dockerfile, or store the files "
            "elsewhere."
            for size, what in places[:_MAX_WARNINGS]
        ]


def _told(chunks: Iterable[bytes], read: Callable[[int], None]) -> Iterator[bytes]:
    done = 0
    for chunk in chunks:
        done += len(chunk)
        yield chunk
        read(done)


def _hashed(chunks: Iterable[bytes], digest: Any) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _refuse_compression(beginning: bytes, what: str) -> None:
    """The engine looks for compression by itself: what looks compressed would be inflated a second time."""
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
