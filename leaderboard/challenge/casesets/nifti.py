"""The little of NIfTI-1 that case sets need: one header read or written, voxels streamed.

Volumes of 512x512x1005 must pass through in a bounded amount of memory and come out as the same bytes every
time, without names, times or free text. Libraries load whole volumes and write headers of their own, so the 348
bytes are handled here.

Axes: a NIfTI file stores its first axis fastest. A CT of shape (H, W, D) is therefore a C-ordered array [D, W,
H], and a mask of shape (F, H, W, D) a C-ordered array [D, W, H, F]: one D-slice after the other, which is what
makes streaming simple.
"""

# mypy: disable-error-code="no-untyped-call"
# isal carries no annotations

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from isal import igzip
from numpy.typing import NDArray

HEADER_SIZE = 348
VOXEL_OFFSET = 352
CHUNK_BYTES = 1 << 20
# Written once, inflated for every run: on a 512x512x351 CT this level inflates as fast as any (0.65 s in SimpleITK;
# zlib's levels 1 and 4: 0.68 and 0.61 s) at 4 % more bytes than zlib's level 1, and writes several times faster.
COMPRESSION_LEVEL = 1

_FIELDS = np.dtype(
    [
        ("sizeof_hdr", "<i4"),
        ("data_type", "S10"),
        ("db_name", "S18"),
        ("extents", "<i4"),
        ("session_error", "<i2"),
        ("regular", "S1"),
        ("dim_info", "u1"),
        ("dim", "<i2", (8,)),
        ("intent_p", "<f4", (3,)),
        ("intent_code", "<i2"),
        ("datatype", "<i2"),
        ("bitpix", "<i2"),
        ("slice_start", "<i2"),
        ("pixdim", "<f4", (8,)),
        ("vox_offset", "<f4"),
        ("scl_slope", "<f4"),
        ("scl_inter", "<f4"),
        ("slice_end", "<i2"),
        ("slice_code", "u1"),
        ("xyzt_units", "u1"),
        ("cal_max", "<f4"),
        ("cal_min", "<f4"),
        ("slice_duration", "<f4"),
        ("toffset", "<f4"),
        ("glmax", "<i4"),
        ("glmin", "<i4"),
        ("descrip", "S80"),
        ("aux_file", "S24"),
        ("qform_code", "<i2"),
        ("sform_code", "<i2"),
        ("quatern", "<f4", (3,)),
        ("qoffset", "<f4", (3,)),
        ("srow", "<f4", (3, 4)),
        ("intent_name", "S16"),
        ("magic", "S4"),
    ]
)
_VOXEL_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_TYPE_CODES = {name: code for code, name in _VOXEL_TYPES.items()}
# What a reader needs to rebuild voxels and their place in the world. Everything else, above all
# text, is left behind.
_KEPT = (
    "dim",
    "datatype",
    "bitpix",
    "pixdim",
    "scl_slope",
    "scl_inter",
    "xyzt_units",
    "qform_code",
    "sform_code",
    "quatern",
    "qoffset",
    "srow",
)


class NiftiError(Exception):
    """A file that is not the NIfTI expected here; the message is fit for a user."""


@dataclass(frozen=True)
class Header:
    """A parsed header. `shape` is in the file's own order of axes; `voxel_type` carries the file's byte order."""

    shape: tuple[int, ...]
    voxel_type: np.dtype[Any]
    offset: int
    fields: Any

    @property
    def slope(self) -> float:
        """The factor of stored values; the standard's 0 means "no scaling"."""
        return float(self.fields["scl_slope"]) or 1.0

    @property
    def intercept(self) -> float:
        """What is added to each voxel; 0 where no slope is given."""
        return float(self.fields["scl_inter"]) if float(self.fields["scl_slope"]) else 0.0

    @property
    def is_finite(self) -> bool:
        """Whether every number that places or scales voxels is finite."""
        numbers = ("pixdim", "scl_slope", "scl_inter", "quatern", "qoffset", "srow")
        return all(bool(np.isfinite(self.fields[name]).all()) for name in numbers)


def read_header(path: Path) -> Header:
    """Read the header of a .nii.gz file. Raises NiftiError, also when the file cannot be read."""
    with _open_for_reading(path) as stream:
        return _parse(_read_exactly(stream, HEADER_SIZE))


def _parse(raw: bytes) -> Header:
    for order in ("<", ">"):
        fields = np.frombuffer(raw, dtype=_FIELDS.newbyteorder(order))[0]
        if int(fields["sizeof_hdr"]) == HEADER_SIZE:
            break
    else:
        raise NiftiError("is not a NIfTI-1 file")
    if bytes(fields["magic"]) != b"n+1":
        raise NiftiError("is not a single-file NIfTI-1 (magic n+1)")
    rank = int(fields["dim"][0])
    if not 1 <= rank <= 7:
        raise NiftiError(f"has an impossible number of axes ({rank})")
    shape = tuple(int(length) for length in fields["dim"][1 : rank + 1])
    if min(shape) < 1:
        raise NiftiError(f"has an axis without voxels: {shape}")
    code = int(fields["datatype"])
    if code not in _VOXEL_TYPES:
        raise NiftiError(f"stores voxels of an unsupported type (NIfTI code {code})")
    offset = float(fields["vox_offset"])
    if not VOXEL_OFFSET <= offset <= 1 << 24:
        raise NiftiError(f"says its voxels start at byte {offset:g}")
    return Header(shape, np.dtype(_VOXEL_TYPES[code]).newbyteorder(order), int(offset), fields)


def diagonal_header(shape: tuple[int, ...], voxel_type: str, diagonal: tuple[float, float, float]) -> bytes:
    """Header of a new file whose affine has `diagonal` (mm, signed, NIfTI's RAS+) and no offset."""
    fields = np.zeros((), dtype=_FIELDS)
    fields["dim"] = [len(shape), *shape, *[1] * (7 - len(shape))]
    fields["datatype"] = _TYPE_CODES[voxel_type]
    fields["bitpix"] = np.dtype(voxel_type).itemsize * 8
    fields["pixdim"] = [1, *(abs(step) for step in diagonal), 1, 1, 1, 1]
    fields["scl_slope"] = 1
    fields["xyzt_units"] = 2  # millimetres
    fields["sform_code"] = 1
    fields["srow"] = np.hstack([np.diag(diagonal), np.zeros((3, 1))])
    return _finish(fields)


def _finish(fields: NDArray[Any]) -> bytes:
    fields["sizeof_hdr"] = HEADER_SIZE
    fields["regular"] = b"r"
    fields["vox_offset"] = VOXEL_OFFSET
    fields["magic"] = b"n+1"
    return fields.tobytes() + b"\0" * (VOXEL_OFFSET - HEADER_SIZE)


@contextmanager
def open_for_writing(path: Path) -> Iterator[IO[bytes]]:
    """A gzip stream without name or time in its header: equal content gives equal bytes."""
    with (
        path.open("wb") as file,
        igzip.IGzipFile(filename="", mode="wb", compresslevel=COMPRESSION_LEVEL, fileobj=file, mtime=0) as stream,
    ):
        yield cast(IO[bytes], stream)


@contextmanager
def _open_for_reading(path: Path) -> Iterator[IO[bytes]]:
    try:
        with igzip.open(path, "rb") as stream:
            yield stream
    except (OSError, EOFError, zlib.error, igzip.BadGzipFile) as error:
        raise NiftiError(f"cannot be read: {error}") from error


def _read_exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise NiftiError("ends before its header does")
    return data


def rewrite_volume(source: Path, destination: Path) -> None:
    """Write the CT at `source` anew, once, for serving to teams: same voxels, same affine, nothing else.

    What is dropped: the gzip member's name and time, NIfTI's text fields (`descrip`, `aux_file`, `db_name`,
    `intent_name`), header extensions, and every number that neither scales nor places voxels. Stored type and
    scaling stay as they are; big-endian files become little-endian. The output depends on these alone. Memory is
    a few MB whatever the volume.

    Raises NiftiError when the volume ends early, goes on after its last voxel, or holds a value that is not
    finite or does not fit 16 bits (no CT does); `destination` is then not left behind.
    """
    try:
        with _open_for_reading(source) as stream, open_for_writing(destination) as output:
            header = _parse(_read_exactly(stream, HEADER_SIZE))
            _read_exactly(stream, header.offset - HEADER_SIZE)
            output.write(_clean_header(header))
            for voxels in _voxel_chunks(stream, header):
                _refuse_what_no_ct_holds(voxels, header)
                output.write(voxels.astype(header.voxel_type.newbyteorder("<"), copy=False).tobytes())
    except BaseException:
        destination.unlink(missing_ok=True)
        raise


def _clean_header(header: Header) -> bytes:
    fields = np.zeros((), dtype=_FIELDS)
    for name in _KEPT:
        fields[name] = header.fields[name]
    return _finish(fields)


def _voxel_chunks(stream: IO[bytes], header: Header) -> Iterator[NDArray[Any]]:
    remaining = int(np.prod(header.shape, dtype=np.int64)) * header.voxel_type.itemsize
    while remaining:
        data = stream.read(min(CHUNK_BYTES, remaining))
        if not data:
            raise NiftiError("ends before its last voxel")
        while len(data) % header.voxel_type.itemsize:
            data += _read_exactly(stream, 1)
        remaining -= len(data)
        yield np.frombuffer(data, dtype=header.voxel_type)
    if stream.read(1):
        raise NiftiError("goes on after its last voxel")


def _refuse_what_no_ct_holds(voxels: NDArray[Any], header: Header) -> None:
    if (
        header.voxel_type.kind == "i"
        and header.voxel_type.itemsize <= 2
        and header.slope == 1.0
        and header.intercept == 0.0
    ):
        return
    lowest, highest = (float(value) * header.slope + header.intercept for value in (voxels.min(), voxels.max()))
    low, high = np.iinfo(np.int16).min, np.iinfo(np.int16).max
    if not (low <= min(lowest, highest) and max(lowest, highest) <= high):
        raise NiftiError("holds values that are not finite or do not fit 16 bits")
