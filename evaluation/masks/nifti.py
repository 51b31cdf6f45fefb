"""Reading NIfTI files that may be hostile, in one pass and in bounded memory.

A prediction comes from a team's container, so nothing in it is believed before it is checked. The header is parsed
here, field by field, and nowhere else: CT volumes go the same way. A volume is only ever read forwards, in pieces, up
to the size that its *expected* shape implies. No length found in the file decides how much memory is taken, and a file
that inflates further than announced is refused after one byte too many.

Accepted: NIfTI-1 and NIfTI-2 single files, either byte order, plain or gzip-compressed (recognised by content, not by
name; several gzip members and zeros behind them are fine, as long as the file stays near what its voxels can need),
header extensions, integer and float voxels of 8 to 64 bits, `scl_slope` and `scl_inter`. Refused, always with the
reason: everything else.
"""

from __future__ import annotations

import gzip
import math
import os
import stat
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, cast

import numpy as np
from isal import igzip, isal_zlib

from evaluation.errors import EvaluationError, InvalidMask
from evaluation.masks.foreign import ENOUGH, what_it_is
from evaluation.system import READ_ONLY

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

GZIP_MAGIC = b"\x1f\x8b"
NIFTI_1_SIZE, NIFTI_2_SIZE = 348, 540  # of the header, which begins with this number
_ORDERS: tuple[Literal["<"], Literal[">"]] = ("<", ">")
_STARTS = {struct.pack(order + "i", size): (order, size) for order in _ORDERS for size in (NIFTI_1_SIZE, NIFTI_2_SIZE)}
MAX_DATA_OFFSET = 16 << 20  # header extensions beyond 16 MiB are not a mask's
PIECE_BYTES = 1 << 19  # so many that the processor still has them at hand when they are looked at
ENDS_EARLY = "the file is truncated: it ends before the last voxel that its header announces"
PACKING_SLACK = 1 << 20  # what a gzip file may take beyond its content and a quarter of it

VOXEL_TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_UNSUPPORTED = {
    0: "of no stated type",
    1: "single bits",
    32: "complex numbers",
    128: "RGB colours",
    1536: "128-bit floats",
    1792: "complex numbers",
    2048: "complex numbers",
    2304: "RGBA colours",
}
_MILLIMETRES_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
_DAMAGED = (cast("type[Exception]", isal_zlib.error), zlib.error, ValueError)
_UNREADABLE = (EOFError, OverflowError, OSError, *_DAMAGED)


class NotNifti(InvalidMask):
    """The file does not begin as a NIfTI file does."""


class Truncated(InvalidMask):
    """The file ends before its header does, or before its last voxel."""


class UnsupportedVoxels(InvalidMask):
    """The voxels are of a type that is no plain number of 8 to 64 bits."""


@dataclass(frozen=True)
class Header:
    """The fields of a NIfTI header that matter here, checked; `raw` is all of it, in the byte order `order`."""

    raw: bytes
    order: Literal["<", ">"]

    dims: tuple[int, ...]  # axes as the file states them, first axis fastest
    dtype: np.dtype[np.integer | np.floating]  # with the file's byte order
    slope: float
    inter: float
    data_offset: int
    pixdim: tuple[float, ...]  # spacing of axes 1 to 7 as stated, in the file's unit
    unit_mm: float

    @property
    def version(self) -> Literal[1, 2]:
        """1 for NIfTI-1, 2 for NIfTI-2."""
        return 1 if len(self.raw) == NIFTI_1_SIZE else 2

    @property
    def scaled(self) -> bool:
        """Whether stored values differ from the meant ones."""
        return (self.slope, self.inter) != (1.0, 0.0)

    @property
    def spacing_mm(self) -> tuple[float, float, float] | None:
        """Spacing in mm of the first three axes, for a CT volume (H, W, D); None if the header states none.

        It is `pixdim`, as nibabel and SimpleITK report it. An affine that says something else is not asked.
        """
        sizes = [abs(size) * self.unit_mm for size in self.pixdim[:3]]
        if not all(math.isfinite(size) and size > 0 for size in sizes):
            return None
        return cast("tuple[float, float, float]", tuple(sizes))


class NiftiStream:
    """A NIfTI file opened for one pass over its voxels; use it as a context manager.

    `header` is there at once, `read(n)` gives the next n bytes of voxel data, `pass_on(n)` hands them on bit by bit,
    `finish()` makes sure that the file ends there. Everything that is wrong with the file is raised as `InvalidMask`, a
    failing disk as `EvaluationError`.
    """

    def __init__(self, path: Path) -> None:
        self._name = path.name
        raw = _open_regular_file(path)
        try:
            self._raw = raw
            self._stream = raw
            compressed = self._read_up_to(2) == GZIP_MAGIC
            raw.seek(0)
            self._metered = _Metered(raw)
            self._stream = _inflating(self._metered) if compressed else raw
            self._gap = 0  # bytes between the header and the voxels
            self.header = self._read_header()
        except BaseException:
            raw.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()

    def read(self, size: int) -> bytes:
        """The next `size` bytes of voxel data, all of them."""
        self._pass_gap()
        return self._read_all(size)

    def pass_on(self, size: int, consume: Callable[[bytes], None]) -> None:
        """Hand the next `size` bytes of voxel data on as they are inflated, in pieces of `PIECE_BYTES` at most.

        Each piece is gone before the next one is made, so that this takes its place, also in the processor's cache.
        """
        self._pass_gap()
        metered, read = self._metered, self._stream.read1
        while size:
            at_most = min(size, PIECE_BYTES)
            metered.left += at_most + at_most // 4
            try:
                piece = read(at_most)
            except _UNREADABLE as error:
                raise self._meaning(error) from None
            if len(piece) < at_most:
                if not piece:
                    raise Truncated(ENDS_EARLY)
                metered.left -= (at_most - len(piece)) * 5 // 4
            size -= len(piece)
            consume(piece)
            del piece

    def _pass_gap(self) -> None:
        """Only now: whoever reads voxels has looked at the shape."""
        gap, self._gap = self._gap, 0
        if gap:
            self._read_all(gap)

    def _read_all(self, size: int) -> bytes:
        self._metered.left += size + size // 4
        data = self._read_up_to(size)
        if len(data) < size:
            raise Truncated(ENDS_EARLY)
        return data

    def finish(self) -> None:
        """Check that the file ends here; in a gzip file this also verifies the checksum."""
        if self._read_up_to(1):
            raise InvalidMask("the file holds more bytes than the shape and data type in its header allow")

    def _read_up_to(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except _UNREADABLE as error:
            raise self._meaning(error) from None

    def _meaning(self, error: Exception) -> EvaluationError:
        """What is to be said of something that reading raised."""
        if isinstance(error, EOFError):
            return InvalidMask(
                "its gzip stream has no proper end: the file is truncated, or bytes that are not gzip follow"
            )
        if isinstance(error, gzip.BadGzipFile):
            return InvalidMask(_bad_gzip(str(error)))
        if isinstance(error, OverflowError):  # igzip has to hold all of it at once, 512 KiB at most
            return InvalidMask("a gzip header in the file is far too long")
        if isinstance(error, _DAMAGED):
            return InvalidMask("the file is damaged: it cannot be decompressed")
        # Not the file's fault but that of the disk below it, so no verdict about the mask.
        why = error.strerror if isinstance(error, OSError) else None
        return EvaluationError(f"{self._name} cannot be read: {why or 'input/output error'}")

    def _not_nifti(self, start: bytes) -> str:
        with suppress(InvalidMask):  # one that cannot be inflated further is known well enough by now
            start += self._read_up_to(ENOUGH)
        kind = what_it_is(start)
        return "not a NIfTI file" + (f" but {kind}" if kind else "")

    def _read_header(self) -> Header:
        start = self._read_up_to(4)
        if not start:
            raise InvalidMask("the file is empty")
        if start.startswith(GZIP_MAGIC):
            raise InvalidMask("the file is compressed twice")
        if start not in _STARTS:
            raise NotNifti(self._not_nifti(start))
        order, size = _STARTS[start]
        rest = self._read_up_to(size - 4)
        if len(rest) < size - 4:
            raise Truncated("the file is truncated: it ends inside the NIfTI header")
        header = parse_header(start + rest, order)
        self._gap = header.data_offset - size
        return header


class _Metered(RawIOBase):
    """A compressed file of which only so much is read as the content that was asked for can need.

    Empty gzip members, empty deflate blocks and padding inflate to nothing, and a hundred megabytes of them keep a
    processor busy for a quarter of a minute.
    """

    def __init__(self, raw: BufferedReader) -> None:
        super().__init__()
        self._raw = raw
        self.left = PACKING_SLACK

    def readinto(self, buffer: WriteableBuffer) -> int:
        """All that `RawIOBase` needs to read."""
        count = self._raw.readinto(buffer)
        self.left -= count
        if self.left < 0:
            raise InvalidMask("the file is far larger than its voxels can need, even without compression")
        return count


def _open_regular_file(path: Path) -> BufferedReader:
    """Open without ever blocking on a FIFO or reading from a device."""
    try:
        descriptor = os.open(path, READ_ONLY)
    except OSError as error:
        raise InvalidMask(f"the file cannot be opened: {error.strerror}") from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise InvalidMask("a folder, not a file" if stat.S_ISDIR(mode) else "not a regular file")
    return os.fdopen(descriptor, "rb")


def _bad_gzip(message: str) -> str:
    """What the inflater's complaint means; that the file begins as gzip does is known by then."""
    if message.startswith("Not a gzipped file"):
        return "the file has bytes that are not gzip behind its gzip stream"
    if "header" in message or "method" in message:
        return "the file is damaged: a gzip header in it is broken"
    return "the file is damaged: its gzip checksum does not match its content"


def _inflating(raw: _Metered) -> BufferedReader:
    return cast("BufferedReader", igzip.open(raw, "rb"))


def parse_header(raw: bytes, order: Literal["<", ">"]) -> Header:
    """Check and translate a NIfTI-1 (348 bytes) or NIfTI-2 (540 bytes) header. Raises `InvalidMask`."""
    if len(raw) == NIFTI_1_SIZE:
        magic, expected, pair = raw[344:348], b"n+1\0", b"ni1\0"
        dim, code = struct.unpack_from(order + "8h", raw, 40), struct.unpack_from(order + "h", raw, 70)[0]
        pixdim = struct.unpack_from(order + "8f", raw, 76)
        offset, slope, inter = struct.unpack_from(order + "3f", raw, 108)
        unit = raw[123]
    else:
        magic, expected, pair = raw[4:12], b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n"
        code, dim = struct.unpack_from(order + "h", raw, 12)[0], struct.unpack_from(order + "8q", raw, 16)
        pixdim = struct.unpack_from(order + "8d", raw, 104)
        offset, slope, inter = struct.unpack_from(order + "q2d", raw, 168)
        unit = struct.unpack_from(order + "i", raw, 500)[0]
    if magic == pair:
        raise InvalidMask("a two-file NIfTI (.hdr and .img); save one .nii.gz file instead")
    if magic != expected:
        raise NotNifti("not a NIfTI file: the header has no NIfTI magic")
    slope, inter = _scaling(slope, inter)
    return Header(
        raw=raw,
        order=order,
        dims=_dims(dim),
        dtype=_dtype(code, order),
        slope=slope,
        inter=inter,
        data_offset=_data_offset(offset, len(raw) + 4),
        pixdim=tuple(float(size) for size in pixdim[1:]),
        unit_mm=_MILLIMETRES_PER_UNIT.get(unit & 7, 1.0),
    )


def _dims(dim: tuple[int, ...]) -> tuple[int, ...]:
    if not 1 <= dim[0] <= 7:
        raise InvalidMask(f"the header states {dim[0]} axes; a NIfTI file has 1 to 7")
    dims = dim[1 : dim[0] + 1]
    if min(dims) < 1:
        raise InvalidMask(f"the header states the impossible shape {dims}")
    return dims


def _dtype(code: int, order: str) -> np.dtype[np.integer | np.floating]:
    if code in VOXEL_TYPES:
        return np.dtype(order + VOXEL_TYPES[code])
    what = _UNSUPPORTED.get(code, f"of unknown type {code}")
    raise UnsupportedVoxels(f"voxels are {what}; save whole numbers as uint8")


def _scaling(slope: float, inter: float) -> tuple[float, float]:
    """A slope of zero, or one that is not a number, means "no scaling" (NIfTI standard and common practice)."""
    if slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    if not math.isfinite(inter):
        raise InvalidMask(f"scl_inter is {inter}; save the mask without scaling")
    return slope, inter


def _data_offset(offset: float, smallest: int) -> int:
    if not math.isfinite(offset) or offset != int(offset) or not smallest <= offset <= MAX_DATA_OFFSET:
        raise InvalidMask(f"vox_offset is {offset:g}, expected {smallest} or a little more")
    return int(offset)
