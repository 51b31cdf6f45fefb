"""Masks that lie in memory as arrays, by the rules of files and in their words, to the runs that a file would give.

An array is laid out like a mask: (F, H, W, D), findings first, or (H, W, D) for one finding. It may lie in memory in
any order, and is gone through in pieces of whole slices.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import InvalidMask
from evaluation.masks.nifti import Header
from evaluation.masks.prepared import Reference
from evaluation.masks.reading import Real, check_prediction_values, check_shape, mask_shape, whole_numbers
from evaluation.masks.run_lengths import Grid, Integers, Runs, Shape, ValuedRuns, Values, position_dtype

PIECE_BYTES = 1 << 24  # of the array as it is

_Part = tuple[Integers, Integers, Values]  # starts, stops and values of some runs
# Stored values that are the meant ones.
_UNSCALED = Header(b"", "<", (), np.dtype("u1"), slope=1.0, inter=0.0, data_offset=0, pixdim=(), unit_mm=1.0)


def numbers_of(mask: object) -> NDArray[Real]:
    """A mask as an array of numbers, without a copy where it is one. Raises `InvalidMask` if it is none.

    Whatever NumPy understands will do, such as a tensor in main memory.
    """
    array = np.asarray(mask)
    if array.dtype.kind not in "buif":
        raise InvalidMask(f"voxels are {array.dtype}; give an array of booleans or numbers, or the path of a file")
    if 0 in array.shape:
        raise InvalidMask(f"shape {array.shape} has no voxels")
    return array.view(np.uint8) if array.dtype == np.bool_ else array


def reference_of(array: NDArray[Real]) -> Reference:
    """What is to be found: every number but 0 is one lesion. Raises `InvalidMask` if the array is no mask."""
    shape = mask_shape(array.shape)
    return Reference(shape, _scan(array, shape, binarise=False))


def prediction_of(array: NDArray[Real], shape: Shape) -> list[Runs]:
    """Each finding of a prediction, binarised (> 0). Raises `InvalidMask` unless it is one of this shape."""
    check_shape(array.shape, shape)
    return [finding.runs for finding in _scan(array, shape, binarise=True)]


def _scan(array: NDArray[Real], shape: Shape, *, binarise: bool) -> list[ValuedRuns]:
    """The runs of each finding, all of them looked at before any is given."""
    findings, grid = array.reshape(shape), shape[1:]
    parts: list[list[_Part]] = [[] for _ in findings]
    for corner, piece in _pieces(findings):
        values = whole_numbers(piece, _UNSCALED)
        if binarise:
            check_prediction_values(values)
            values = (values != 0).view(np.uint8)
        for found, channel in zip(parts, values, strict=True):
            found.append(_runs(channel, corner, grid))
    return [_joined(grid, found) for found in parts]


def _pieces(findings: NDArray[Real]) -> Iterator[tuple[Grid, NDArray[Real]]]:
    """What is not zero, some slices at once: the first voxel of a box around it, and the box in the order of a file."""
    depth = findings.shape[3]
    at_once = max(1, PIECE_BYTES * depth // findings.nbytes)
    for first in range(0, depth, at_once):
        piece = findings[..., first : first + at_once]
        filled: NDArray[np.bool_] = np.any(piece, axis=(0, 3))
        along_h, along_w = (np.flatnonzero(filled.any(axis=other)) for other in (1, 0))
        if len(along_h):
            h, w = (slice(int(used[0]), int(used[-1]) + 1) for used in (along_h, along_w))
            yield (h.start, w.start, first), np.asfortranarray(piece[:, h, w])


def _runs(box: Values, corner: Grid, grid: Grid) -> _Part:
    """Starts, stops and values of the runs in a box (h, w, d) that lies in the volume from the voxel `corner` on."""
    rows = box.T.reshape(-1, box.shape[0])
    used = np.flatnonzero(rows.any(axis=1))
    d, w = np.divmod(used, box.shape[1])
    first = corner[0] + grid[0] * (w + corner[1] + grid[1] * (d + corner[2]))
    framed = np.zeros((len(used), box.shape[0] + 2), box.dtype)  # a run begins and ends in its row
    framed[:, 1:-1] = rows[used]
    before, after = framed[:, :-1], framed[:, 1:]
    begins, ends = (before != after) & (after != 0), (before != after) & (before != 0)
    start, stop = (first[row] + h for row, h in (np.nonzero(begins), np.nonzero(ends)))
    dtype = position_dtype(grid)
    return start.astype(dtype), stop.astype(dtype), after[begins]


def _joined(grid: Grid, parts: list[_Part]) -> ValuedRuns:
    none = np.empty(0, position_dtype(grid))
    start, stop, values = (np.concatenate(column) for column in zip(*(parts or [(none, none, none)]), strict=True))
    return ValuedRuns(Runs(grid, start, stop), values)
