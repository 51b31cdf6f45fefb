"""Bytes of an upload: parts of a file, and a stream that is watched as it is read."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final

CHUNK_BYTES: Final = 1 << 20


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
