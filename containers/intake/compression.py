"""What compressed files inflate to, in bounded pieces: gzip, xz and zstd, as their tools and engines write them.

A file may be several parts one after the other (gzip members, xz streams, zstd frames, of which some may be passed
over); behind the last one nothing may follow. What a part may need of memory is bounded too: its window (zstd) or
dictionary (xz) is at most 128 MiB, which `xz -9` and `zstd --ultra -22` keep to.
"""

import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from containers.intake.errors import SAVE_AGAIN, ImageRejected
from containers.intake.streams import CHUNK_BYTES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: Enough of a file to tell its compression.
MAGIC_BYTES: Final = 16
WINDOW_BYTES: Final = 128 << 20

# Input is fed in small slices: at the end of each part inflaters copy what is left of the slice, and a file of
# a million empty members (20 bytes each) would otherwise cost a gigabyte of copying per megabyte.
_FEED_BYTES: Final = 32 << 10

_MAGICS: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7-zip"),
)
# Those of which engines know nothing: in a layer such bytes are the name of its first file.
_UNKNOWN_TO_ENGINES: Final = (
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"LZIP", "lzip"),
    (b"\x5d\0\0", "lzma"),
    (b"\x1f\x9d", "compress"),
    (b"Rar!\x1a\x07", "rar"),
)
_XZ_OVERHEAD_BYTES: Final = 1 << 20  # what its decoder needs beside the dictionary
_XZ_PADDING: Final = 4  # between streams and behind the last one, zeros are allowed in groups of four
_ZSTD_OPTIONS: Final = {int(zstd.DecompressionParameter.window_log_max): WINDOW_BYTES.bit_length() - 1}
# By which words of its library a refusal is told from damage; a test holds each of them.
_TOO_MUCH_MEMORY: Final = ("Memory usage limit exceeded", "too much memory")
_ANOTHER_DICTIONARY: Final = "Dictionary mismatch"


class _Part(Protocol):
    """An inflater for one part of a file."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes:
        """The next piece; where there is more than `max_length`, ask again without data."""
        ...


class _GzipMember:
    """zlib's inflater with the manners of the others."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflater.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflater.decompress(self._inflater.unconsumed_tail + data, max_length)


@dataclass(frozen=True)
class _Format:
    begin: Callable[[], _Part]
    padding: int = 0  # zeros between parts are allowed in groups of so many


_FORMATS: Final[dict[str, _Format]] = {
    "gzip": _Format(_GzipMember),
    "xz": _Format(
        lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=WINDOW_BYTES + _XZ_OVERHEAD_BYTES),
        padding=_XZ_PADDING,
    ),
    "zstd": _Format(lambda: zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)),
}


def compression_of(first_bytes: bytes) -> str | None:
    """The compression that the first 16 bytes of a file announce, as the engine tells it; else None."""
    if first_bytes[1:4] == b"\x2a\x4d\x18" and first_bytes[0] & 0xF0 == 0x50:
        return "zstd"  # a skippable frame, which a zstd file may begin with
    return next((name for magic, name in _MAGICS if first_bytes.startswith(magic)), None)


def any_compression_of(first_bytes: bytes) -> str | None:
    """The same, also for what no engine inflates."""
    known = compression_of(first_bytes)
    return known or next((name for magic, name in _UNKNOWN_TO_ENGINES if first_bytes.startswith(magic)), None)


def can_inflate(compression: str) -> bool:
    """Whether `inflate` knows this compression."""
    return compression in _FORMATS


def inflate(compression: str, chunks: Iterable[bytes], *, what: str, max_parts: int) -> Iterator[bytes]:
    """The inflated content of a file, in pieces of at most 1 MiB.

    compression: one that `can_inflate`. what: names the file in a refusal. Raises ImageRejected.
    """
    return _Inflater(compression, what, max_parts).pieces(chunks)


class _Inflater:
    def __init__(self, compression: str, what: str, max_parts: int) -> None:
        self._name = compression
        self._format = _FORMATS[compression]
        self._what = what
        self._parts_left = max_parts
        self._part: _Part | None = None
        self._padding: int | None = None  # zeros since the last part; None before the first

    def pieces(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            for start in range(0, len(chunk), _FEED_BYTES):
                yield from self._feed(chunk[start : start + _FEED_BYTES])
        if self._part is not None or self._padding is None:
            raise ImageRejected("truncated", f"{self._what} ends too early. {SAVE_AGAIN}")
        if self._padding:
            raise self._damaged()

    def _feed(self, data: bytes) -> Iterator[bytes]:
        while data := data if self._part else self._without_padding(data):
            part = self._part or self._begin()
            while True:
                try:
                    piece = part.decompress(data, CHUNK_BYTES)
                except (zlib.error, lzma.LZMAError, zstd.ZstdError) as error:
                    raise self._refusal(str(error)) from error
                data = b""
                if piece:
                    yield piece
                if part.eof:
                    data, self._part, self._padding = part.unused_data, None, 0
                    break
                if part.needs_input:
                    break

    def _begin(self) -> _Part:
        if self._padding:
            raise self._damaged()
        if self._parts_left == 0:
            raise ImageRejected("damaged", f"{self._what} is cut into too many {self._name} parts. {SAVE_AGAIN}")
        self._parts_left -= 1
        self._part = self._format.begin()
        return self._part

    def _without_padding(self, data: bytes) -> bytes:
        if self._padding is None or not self._format.padding:
            return data
        rest = data.lstrip(b"\0")
        self._padding = (self._padding + len(data) - len(rest)) % self._format.padding
        return rest

    def _refusal(self, error: str) -> ImageRejected:
        if any(words in error for words in _TOO_MUCH_MEMORY):
            return ImageRejected(
                "compression",
                f"{self._what} is compressed with a {self._name} window of more than {WINDOW_BYTES >> 20} MiB. "
                "Compress it again without that option (zstd --long, xz dict=), or with gzip.",
            )
        if _ANOTHER_DICTIONARY in error:
            return ImageRejected(
                "compression",
                f"{self._what} is compressed with a {self._name} dictionary that is not in it. Compress it again "
                "without that option, or with gzip.",
            )
        return self._damaged()

    def _damaged(self) -> ImageRejected:
        return ImageRejected("damaged", f"{self._what} is damaged ({self._name}). {SAVE_AGAIN}")
