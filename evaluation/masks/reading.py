"""From a NIfTI file to the runs of each finding, without ever holding the volume.

A mask is a 4D file of shape (F, H, W, D), findings first; NIfTI stores the first axis fastest, so a *row* of the file
is all H positions of one (w, d) with the F findings interleaved. The file is read in pieces, those that are all zero
are passed over at once, and of the others `scan` keeps the runs.

Accepted besides the exact shape: extra axes of length 1 behind the fourth; a 3D file (H, W, D) when F = 1; a 3D file
(F, H, W) when D = 1. In these the bytes can mean only one thing. A 4D file whose axes are in another order is another
shape and refused, even where F = 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import InvalidMask
from evaluation.masks.nifti import Header, NiftiStream
from evaluation.masks.run_lengths import Channel, Shape, ValuedRuns, Values
from evaluation.masks.scan import RunScanner, scanner
from evaluation.masks.shape_hints import shape_hint

Real = np.integer | np.floating | np.bool_

CHUNK_BYTES = 1 << 20
MAX_VALUE = 255  # of a prediction: what the published format, uint8, can hold
MAX_VOXELS = 1 << 33  # of one finding; a 1024 x 1024 x 1005 volume has 2^30
MAX_FINDINGS = 1024
# A scaled value is computed from single-precision numbers: 255 * (1 / 255) is 1.00000006 and means 1.
SCALING_TOLERANCE = 2.0**-22  # of the numbers added
MAX_SCALING_ERROR = 2.0**-10


@dataclass(frozen=True)
class MaskSummary:
    """Shape (F, H, W, D) of a reference mask and, for each finding, the voxels of each entity value."""

    shape: Shape
    entities: tuple[dict[int, int], ...]


def mask_shape(dims: tuple[int, ...]) -> Shape:
    """(F, H, W, D) of a mask whose expected shape is not known: a 3D file is one finding."""
    dims = _without_trailing_ones(dims)
    if len(dims) == 3:
        dims = (1, *dims)
    if len(dims) != 4:
        raise InvalidMask(f"shape {dims}, expected four axes (F, H, W, D): findings first")
    findings, height, width, depth = dims
    if findings > MAX_FINDINGS or height * width * depth > MAX_VOXELS:
        raise InvalidMask(f"shape {dims} is larger than any mask of this challenge")
    return findings, height, width, depth


def check_shape(dims: tuple[int, ...], expected: Shape) -> None:
    """Raise `InvalidMask` unless a file of these dimensions can only be a mask of the expected shape."""
    found = _without_trailing_ones(dims)
    if found == expected:
        return
    if (found == expected[1:] and expected[0] == 1) or (found == expected[:3] and expected[3] == 1):
        return
    hint = shape_hint(found, expected)
    raise InvalidMask(f"shape {found}, expected {expected}" + (f"; {hint}" if hint else ""))


def _without_trailing_ones(dims: tuple[int, ...]) -> tuple[int, ...]:
    while len(dims) > 4 and dims[-1] == 1:
        dims = dims[:-1]
    return dims


def read_reference(path: Path, shape: Shape) -> Iterator[ValuedRuns]:
    """Each finding of a reference in order; runs end where the entity value changes. Any whole numbers."""
    return _read(path, shape, binarise=False)


def read_prediction(path: Path, shape: Shape) -> Iterator[Channel]:
    """Each finding of a prediction in order, binarised (> 0). Whole numbers from 0 to 255 only.

    The file is checked to its last byte before the first finding is given.
    """
    return (finding.runs for finding in _read(path, shape, binarise=True))


def reference_shape(path: Path) -> Shape:
    """(F, H, W, D) of a reference mask, from its header alone."""
    with NiftiStream(path) as stream:
        return mask_shape(stream.header.dims)


def inspect_mask(path: Path) -> MaskSummary:
    """Shape and entity sizes of a reference mask, for import; raises `InvalidMask` if it is unusable."""
    shape = reference_shape(path)
    entities = []
    for finding in read_reference(path, shape):
        values, index = np.unique(finding.values, return_inverse=True)
        lengths = [finding.runs.voxels] if len(values) == 1 else finding.runs.unpacked().lengths()
        voxels = np.bincount(index[: len(lengths)], weights=lengths, minlength=len(values))
        entities.append({int(value): int(count) for value, count in zip(values, voxels, strict=True)})
    return MaskSummary(shape, tuple(entities))


def _read(path: Path, shape: Shape, *, binarise: bool) -> Iterator[ValuedRuns]:
    """The findings of a file, once it was read and checked to its end."""
    with NiftiStream(path) as stream:
        header = stream.header
        check_shape(header.dims, shape)
        are_plain_bytes = header.dtype == np.uint8 and not header.scaled
        found = scanner(shape, of_bytes=binarise or are_plain_bytes, binarise=binarise)
        if are_plain_bytes:
            stream.pass_on(math.prod(shape), found.feed_bytes)
        else:
            _feed_numbers(found, stream, math.prod(shape), binarise=binarise)
        stream.finish()
    yield from found.result()


def _feed_numbers(found: RunScanner, stream: NiftiStream, total: int, *, binarise: bool) -> None:
    header = stream.header
    size = header.dtype.itemsize
    at_once = CHUNK_BYTES // size
    background = _background(header, at_once)
    for first in range(0, total, at_once):
        count = min(at_once, total - first)
        data = stream.read(count * size)
        if data == background[: len(data)]:
            found.skip(count)
        else:
            found.feed(_voxels(data, header, binarise=binarise))


def _background(header: Header, count: int) -> bytes:
    """So many stored voxels that mean 0; nothing if no stored value does."""
    with np.errstate(all="ignore"):
        stored = (np.float64(-header.inter) / header.slope + 0.0).astype(header.dtype)
        meant = stored.astype(np.float64) * header.slope + header.inter
    return np.full(count, stored, header.dtype).tobytes() if meant == 0 else b""


def _voxels(data: bytes, header: Header, *, binarise: bool) -> Values:
    """The whole numbers that the data means; of a prediction, only whether they are not 0."""
    voxels = whole_numbers(np.frombuffer(data, header.dtype), header)
    if binarise:
        check_prediction_values(voxels)
        return cast("Values", (voxels != 0).view(np.uint8))
    return voxels


def whole_numbers(stored: NDArray[Real], header: Header) -> Values:
    """The meant values of stored ones, as integers in native byte order; `InvalidMask` where they are not whole."""
    if stored.dtype.kind != "f" and not header.scaled:
        if stored.dtype.kind == "u" and stored.dtype.itemsize == 8:
            _refuse(stored, stored > np.iinfo(np.int64).max, "are far too large", "save small whole numbers")
        return cast("Values", stored.astype(stored.dtype.newbyteorder("="), copy=False))
    with np.errstate(all="ignore"):  # what cannot be computed is not finite, and refused
        values = stored.astype(np.float64)
        magnitude = np.zeros(1)
        if header.scaled:
            values *= header.slope
            magnitude = np.abs(values) + abs(header.inter)
            values += header.inter
        rounded = np.rint(values)
        wrong = np.abs(values - rounded) > np.minimum(SCALING_TOLERANCE * magnitude, MAX_SCALING_ERROR)
    _refuse(values, ~np.isfinite(values), "are not finite", "replace them by 0")
    advice = "save whole numbers without scaling" if header.scaled else "threshold your probabilities before saving"
    _refuse(values, wrong, "are not integers", advice)
    _refuse(values, np.abs(rounded) > 2.0**53, "are far too large", "save small whole numbers")
    return rounded.astype(np.int64)


def check_prediction_values(values: NDArray[Real]) -> None:
    """Raise `InvalidMask` unless all values are in 0..255."""
    _refuse(values, values < 0, "are negative", "save 0 for background and 1 for the finding")
    advice = "instance numbers are not needed: save 1 for every voxel of the finding, 0 elsewhere, as uint8"
    _refuse(values, values > MAX_VALUE, f"are above {MAX_VALUE}", advice)


def _refuse(values: NDArray[Real], wrong: NDArray[np.bool_], what: str, advice: str) -> None:
    if wrong.any():
        found = values.ravel()[int(np.argmax(wrong))]
        raise InvalidMask(f"values {what}: found {found:.9g}; {advice}")
