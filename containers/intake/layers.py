"""One layer on its way from the upload to the rebuilt archive: inflated, hashed, looked through, opened, and copied.

All of it happens in one pass. The layer's own tar headers are read for four reasons: to bound what the engine will
unpack (entries, sparse files, kinds it cannot handle), to refuse what it could not unpack, to learn what the image
makes of /etc/passwd and of its program, and to open modes (`modes`). For that a header block is written anew, in its
place; a layer of which nothing has to be opened stays as it is, byte for byte.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

from containers.intake import tar
from containers.intake.compression import MAGIC_BYTES, can_inflate, compression_of, inflate
from containers.intake.errors import SAVE_AGAIN, ImageRejected
from containers.intake.home import PASSWD_BYTES
from containers.intake.layer_filesystem import BEGINNING_BYTES, LayerFilesystem, TextLimit
from containers.intake.layout import StoredLayer
from containers.intake.limits import ArchiveLimits, InflationLimit
from containers.intake.modes import ModeOpener
from containers.intake.streams import WatchedStream
from containers.intake.tree import OPAQUE, Folder
from containers.intake.upload_archive import UploadArchive

_USERS: Final = "etc/passwd"
# A header block may be written anew until its file's beginning was looked at.
_HELD_BACK_BYTES: Final = tar.BLOCK_BYTES + BEGINNING_BYTES


@dataclass(frozen=True)
class CopiedLayer:
    """What became of a layer, and what an image gets by it.

    diff_id: the digest of its content as it is now; size: of that, in bytes; file_bytes: those of its files. root: its
    files, in names. passwd: its /etc/passwd where it is one that can be read; sets_passwd: whether it has one at all,
    or takes it away.
    """

    diff_id: str
    size: int
    file_bytes: int
    root: Folder
    passwd: bytes | None
    sets_passwd: bool


class LayerReader:
    """Reads the layers of one image in turn, with bounds over all of them together.

    `on_read` is called with the number of stored bytes read so far, of all layers.
    """

    def __init__(
        self,
        archive: UploadArchive,
        limits: ArchiveLimits,
        inflation_limit: InflationLimit,
        modes: ModeOpener,
        on_read: Callable[[int], None],
    ) -> None:
        self._archive = archive
        self._limits = limits
        self._inflation_limit = inflation_limit
        self._modes = modes
        self._on_read = on_read
        self._read_bytes = 0
        self._text_limit = TextLimit()
        self._entry_limit = tar.EntryLimit(
            limits.layer_members,
            what="The layers of the image hold",
            advice="Leave out files that the algorithm does not need (package caches, data sets).",
        )

    def copy(self, layer: StoredLayer, diff_id: str, what: str, target: IO[bytes] | None) -> CopiedLayer:
        """Verify a layer while writing it, inflated and opened, to `target` (None: only verify it).

        what: names the layer in a refusal. Raises ImageRejected.
        """
        content = _Content(what, self._inflation_limit, target)
        stored_digest: Any = hashlib.sha256()
        chunks = self._counted(self._archive.open(layer.member))
        compression = compression_of(self._archive.open(layer.member).read(MAGIC_BYTES))
        if compression and can_inflate(compression):
            chunks = inflate(
                compression, _hashed(chunks, stored_digest), what=what, max_parts=self._limits.compressed_parts
            )
        else:
            stored_digest = content.digest
        root, passwd, file_bytes = self._read_entries(WatchedStream(chunks, content.add), content, what)
        content.finish()
        if f"sha256:{content.digest.hexdigest()}" != diff_id:
            raise _wrong_digest(what)
        if layer.digest is not None and f"sha256:{stored_digest.hexdigest()}" != layer.digest:
            raise _wrong_digest(what)
        rebuilt = f"sha256:{content.rebuilt_digest.hexdigest()}"
        return CopiedLayer(rebuilt, content.size, file_bytes, root, passwd, sets_passwd=_sets_passwd(root))

    def _counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._read_bytes += len(chunk)
            yield chunk
            self._on_read(self._read_bytes)

    def _read_entries(self, stream: WatchedStream, content: "_Content", what: str) -> tuple[Folder, bytes | None, int]:
        """The layer's files, its /etc/passwd, and how many bytes its files have; modes are set on the way."""
        filesystem = LayerFilesystem(self._entry_limit, what, self._text_limit)
        reader = tar.Reader(stream, self._entry_limit, what=what)
        passwd, file_bytes = None, 0
        for member in reader:
            file_bytes += member.size if member.kind == "file" else 0
            beginning = reader.take(BEGINNING_BYTES) if member.kind == "file" else b""
            place = filesystem.add(member, beginning)
            if place is None:
                continue
            mode = self._modes.mode(member, place)
            if mode != member.mode:
                content.set_mode(member.offset - tar.BLOCK_BYTES, mode)
            if place.path == _USERS and member.kind == "file" and member.size <= PASSWD_BYTES:
                passwd = beginning + reader.take(PASSWD_BYTES)
        filesystem.finish()
        stream.drain()
        return filesystem.root, passwd, file_bytes


class _Content:
    """A layer's inflated bytes as they pass: bounded, hashed as they came and as they go, and written to `target`.

    The latest of them are held back, so that a header block that was just read can still be changed.
    """

    def __init__(self, what: str, inflation_limit: InflationLimit, target: IO[bytes] | None) -> None:
        self.size = 0
        self.digest = hashlib.sha256()  # of what came
        self._rebuilt_digest: Any = None  # of what goes, once that is something else
        self._what = what
        self._inflation_limit = inflation_limit
        self._target = target
        self._beginning = b""  # collected, for the first piece can be a single byte
        self._held = b""
        self._gone = 0  # how much of `_held` is not held any more
        self._gone_to = 0  # the same, counted from the layer's beginning

    @property
    def rebuilt_digest(self) -> Any:
        """The digest of the content as it was written."""
        return self._rebuilt_digest or self.digest

    def add(self, piece: bytes) -> None:
        """Take the next piece. Raises ImageRejected."""
        if len(self._beginning) < MAGIC_BYTES:
            self._beginning += piece[: MAGIC_BYTES - len(self._beginning)]
            _refuse_compression(self._beginning, self._what)
        self.size += len(piece)
        self._inflation_limit.add(len(piece))
        self._let_go(self.size - len(piece) - _HELD_BACK_BYTES)
        self._held = self._held[self._gone :] + piece
        self._gone = 0

    def set_mode(self, header_at: int, mode: int) -> None:
        """Change the mode in the header block that begins at `header_at` of the layer."""
        self._let_go(header_at)
        header = self._held[self._gone : self._gone + tar.BLOCK_BYTES]
        self._gone += len(header)
        self._gone_to += len(header)
        if self._rebuilt_digest is None:
            self._rebuilt_digest = self.digest.copy()
        self._write(header, tar.with_mode(header, mode))

    def finish(self) -> None:
        """To be called after the last piece."""
        self._let_go(self.size)

    def _let_go(self, end: int) -> None:
        """Hash and write what is held up to `end`, as it is."""
        length = end - self._gone_to
        if length > 0:
            data = memoryview(self._held)[self._gone : self._gone + length]
            self._gone += length
            self._gone_to = end
            self._write(data, data)

    def _write(self, before: bytes | memoryview, after: bytes | memoryview) -> None:
        self.digest.update(before)
        if self._rebuilt_digest is not None:
            self._rebuilt_digest.update(after)
        if self._target is not None:
            self._target.write(after)


def _sets_passwd(layer: Folder) -> bool:
    etc = layer.get("etc", {})
    return OPAQUE in layer or not isinstance(etc, dict) or OPAQUE in etc or "passwd" in etc


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
            f"{what} is compressed with {compression} in a way that is not supported. Save the image with docker save, "
            "or build it with layers compressed once, with gzip or zstd (--output type=oci,compression=gzip).",
        )


def _wrong_digest(what: str) -> ImageRejected:
    return ImageRejected("wrong_digest", f"{what} does not match its digest. {SAVE_AGAIN}")
