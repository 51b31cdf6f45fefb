"""Bytes of an upload: parts of a file, gzip inflated in bounded pieces, a stream that is watched as it is read."""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from containers.intake.errors import SAVE_AGAIN, ImageRejected

CHUNK_BYTES: Final = 1 << 20

# Input is fed to zlib in small slices: at the end of each gzip member zlib copies what is left of the slice,
# and a file of a million empty members (20 bytes each) would otherwise cost a gigabyte of copying per
# megabyte.
_FEED_BYTES: Final = 32 << 10

_COMPRESSIONS: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7-zip"),
)


def compression_of(first_bytes: bytes) -> str | None:
    """The compression that the first 16 bytes of a file announce, as the engine tells it; else None."""
    if first_bytes[1:4] == b"\x2a\x4d\x18" and first_bytes[0] & 0xF0 == 0x50:
        return "zstd"  # a skippable frame, which a zstd file may begin with
    return next((name for magic, name in _COMPRESSIONS if first_bytes.startswith(magic)), None)


class FileRange:
    """Bytes [offset, offset + size) of an open file, read in order. Several ranges may share one file."""

    def __init__(self, descriptor: int, offset: int, size: int) -> None:
        self._descriptor = descriptor
        self._at = offset
        self._end = offset + size

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end."""
        data = os.pread(self._descriptor, min(size, self._end - self._at), self._at)
        self._at += len(data)
        return data

    def skip(self, size: int) -> int:
        """Moves on by `size` bytes; returns how many there were."""
        skipped = min(size, self._end - self._at)
        self._at += skipped
        return skipped

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(CHUNK_BYTES):
            yield chunk


def gunzip(chunks: Iterable[bytes], *, what: str, max_members: int) -> Iterator[bytes]:
    """The inflated content of a gzip file of one or more members, in pieces of at most 1 MiB."""
    inflater = None
    members = 0
    for chunk in chunks:
        for start in range(0, len(chunk), _FEED_BYTES):
            data = chunk[start : start + _FEED_BYTES]
            while data:
                if inflater is None:
                    members += 1
                    if members > max_members:
                        raise ImageRejected("damaged", f"{what} is cut into too many gzip parts. {SAVE_AGAIN}")
                    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
                try:
                    piece = inflater.decompress(data, CHUNK_BYTES)
                except zlib.error as error:
                    raise ImageRejected("damaged", f"{what} is damaged (gzip). {SAVE_AGAIN}") from error
                if piece:
                    yield piece
                data = inflater.unconsumed_tail
                if inflater.eof:
                    data, inflater = inflater.unused_data, None
    if inflater is not None or not members:
        raise ImageRejected("truncated", f"{what} ends too early. {SAVE_AGAIN}")


class WatchedStream:
    """A stream over pieces of bytes; `on_piece` is called with each once, in order, as it is fetched."""

    def __init__(self, pieces: Iterable[bytes], on_piece: Callable[[bytes], object]) -> None:
        self._pieces = iter(pieces)
        self._on_piece = on_piece
        self._piece = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end."""
        data = self._piece[self._at : self._at + size]
        self._at += len(data)
        while len(data) < size and self._fetch():
            more = self._piece[: size - len(data)]
            self._at = len(more)
            data += more
        return data

    def skip(self, size: int) -> int:
        """Moves on by `size` bytes; returns how many there were."""
        left = size
        while left > (here := len(self._piece) - self._at):
            left -= here
            if not self._fetch():
                return size - left
        self._at += left
        return size

    def drain(self) -> None:
        """Fetches all the rest."""
        while self._fetch():
            pass

    def _fetch(self) -> bool:
        self._piece = next(self._pieces, b"")
        self._at = 0
        if self._piece:
            self._on_piece(self._piece)
        return bool(self._piece)
