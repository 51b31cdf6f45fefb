"""The little of NIfTI-1 that case sets need besides the evaluation's reader: headers written, volumes rewritten.

Volumes of 512x512x1005 must pass through in a bounded amount of memory and come out as the same bytes every
time, without names, times or free text. Libraries load whole volumes and write headers of their own, so the 348
bytes are written here. What a header says is for `evaluation.masks.nifti` to find out.

Axes: a NIfTI file stores its first axis fastest. A CT of shape (H, W, D) is therefore a C-ordered array [D, W,
H], and a mask of shape (F, H, W, D) a C-ordered array [D, W, H, F]: one D-slice after the other, which is what
makes streaming simple.
"""

# mypy: disable-error-code="no-untyped-call"
# isal carries no annotations

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, Self, cast

import numpy as np
from isal import igzip
from numpy.typing import NDArray

from evaluation import EvaluationError
from evaluation.masks.nifti import VOXEL_TYPES, Header, NiftiStream, NotNifti, Truncated, UnsupportedVoxels

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
_TYPE_CODES = {name: code for code, name in VOXEL_TYPES.items()}
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
_PLACING = ("pixdim", "scl_slope", "scl_inter", "quatern", "qoffset", "srow")


class NiftiError(Exception):
    """A file that is not the NIfTI expected here; the message is fit for a user, behind "its CT " or "its mask "."""


class NoCtValues(NiftiError):
    """Voxels that are no Hounsfield units."""


def read_header(path: Path) -> Header:
    """Read the header of a NIfTI-1 file. Raises NiftiError, also when the file cannot be read."""
    with _opened(path) as stream:
        return stream.header


@contextmanager
def _opened(path: Path) -> Iterator[NiftiStream]:
    """A NIfTI-1 file, and its faults in words of this package: those of `evaluation` are about predictions."""
    try:
        with NiftiStream(path) as stream:
            _require_version_1(stream.header)
            yield stream
    except NotNifti:
        raise NiftiError("is not a NIfTI-1 file") from None
    except Truncated:
        raise NiftiError("ends before its last voxel") from None
    except UnsupportedVoxels:
        raise NiftiError("stores voxels of an unsupported type") from None
    except EvaluationError as error:
        raise NiftiError(f"is unusable: {error}") from error


def _require_version_1(header: Header) -> None:
    if header.version != 1:
        raise NotNifti


def is_finite(header: Header) -> bool:
    """Whether every number that places or scales voxels is finite, in a NIfTI-1 header."""
    fields = _fields(header)
    return all(bool(np.isfinite(fields[name]).all()) for name in _PLACING)


class Values(NamedTuple):
    """The lowest and the highest value of a volume, scaled as its header says."""

    low: float
    high: float


def measure(path: Path) -> Values:
    """Read a CT to its end. Raises NiftiError where that is not possible, or it holds what no CT does."""
    found: list[Values] = []
    with _opened(path) as stream:
        for voxels in _voxel_chunks(stream):
            found.append(_values_of(voxels, stream.header))
            _refuse_what_no_ct_holds(found[-1])
    return _both(found)


def _both(found: list[Values]) -> Values:
    return Values(min(one.low for one in found), max(one.high for one in found))


@dataclass(frozen=True)
class Placing:
    """What a NIfTI-1 header says about where its first three axes lie: spacing as stated, and each affine it has."""

    pixdim: tuple[float, ...]
    sform: NDArray[np.float64] | None
    qform: NDArray[np.float64] | None

    @classmethod
    def of(cls, header: Header) -> Self:
        """That of a header."""
        fields = _fields(header)
        pixdim = tuple(float(step) * header.unit_mm for step in fields["pixdim"][1:4])
        sform = fields["srow"][:, :3].astype(float) * header.unit_mm if fields["sform_code"] > 0 else None
        turned = _rotation(fields) * np.abs(pixdim) if fields["qform_code"] > 0 else None
        return cls(pixdim, sform, turned)

    @property
    def axes(self) -> NDArray[np.float64] | None:
        """Columns: a step along each axis, in mm; None where the header says nothing."""
        return self.sform if self.sform is not None else self.qform


def _rotation(fields: Any) -> NDArray[np.float64]:
    b, c, d = (float(part) for part in fields["quatern"])
    a = math.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    turn[:, 2] *= -1 if fields["pixdim"][0] < 0 else 1
    return turn


def _fields(header: Header) -> Any:
    """All fields of a NIfTI-1 header as they are, for those that `Header` does not translate."""
    return np.frombuffer(header.raw, _FIELDS.newbyteorder(header.order))[0]


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


def rewrite_volume(source: Path, destination: Path) -> Values:
    """Write the CT at `source` anew, once, for serving to teams: same voxels, same affine, nothing else.

    What is dropped: the gzip member's name and time, NIfTI's text fields (`descrip`, `aux_file`, `db_name`,
    `intent_name`), header extensions, and every number that neither scales nor places voxels. Stored type and
    scaling stay as they are; big-endian files become little-endian. The output depends on these alone. Memory is
    a few MB whatever the volume. Returns its lowest and highest value.

    Raises NiftiError when the volume ends early, goes on after its last voxel, or holds a value that is not
    finite or does not fit 16 bits (no CT does); `destination` is then not left behind.
    """
    found: list[Values] = []
    try:
        with _opened(source) as stream, open_for_writing(destination) as output:
            output.write(_clean_header(stream.header))
            for voxels in _voxel_chunks(stream):
                found.append(_values_of(voxels, stream.header))
                _refuse_what_no_ct_holds(found[-1])
                output.write(voxels.astype(voxels.dtype.newbyteorder("<"), copy=False).tobytes())
    except BaseException:
        destination.unlink(missing_ok=True)
        raise
    return _both(found)


def _clean_header(header: Header) -> bytes:
    fields = np.zeros((), dtype=_FIELDS)
    for name in _KEPT:
        fields[name] = _fields(header)[name]
    return _finish(fields)


def _voxel_chunks(stream: NiftiStream) -> Iterator[NDArray[Any]]:
    """All voxels of the file, as stored, and then the check that it ends there."""
    size = stream.header.dtype.itemsize
    left = math.prod(stream.header.dims)
    while left:
        count = min(CHUNK_BYTES // size, left)
        yield np.frombuffer(stream.read(count * size), stream.header.dtype)
        left -= count
    stream.finish()


def _values_of(voxels: NDArray[Any], header: Header) -> Values:
    ends = [float(value) * header.slope + header.inter for value in (voxels.min(), voxels.max())]
    return Values(min(ends), max(ends)) if all(map(math.isfinite, ends)) else Values(math.nan, math.nan)


def _refuse_what_no_ct_holds(values: Values) -> None:
    if not all(map(math.isfinite, values)):
        raise NoCtValues("holds values that are not finite (NaN or infinite), which do not fit 16 bits")
    low, high = np.iinfo(np.int16).min, np.iinfo(np.int16).max
    wrong = [f"{value:,.0f}" for value in values if not low <= value <= high]
    if wrong:
        raise NoCtValues(f"holds values of {' and '.join(wrong)} HU, which do not fit 16 bits")
