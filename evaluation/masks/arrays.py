"""Masks that lie in memory as arrays, by the rules of files and in their words, to the runs that a file would give.

An array is laid out like a mask: (F, H, W, D), findings first, or (H, W, D) for one finding. It may lie in memory in
any order. Rows along H that are all zero, nearly all in most masks, are only looked at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import InvalidMask
from evaluation.masks.nifti import Header
from evaluation.masks.prepared import Reference
from evaluation.masks.reading import Real, check_prediction_values, check_shape, mask_shape, whole_numbers
from evaluation.masks.run_lengths import BLOCK_VOXELS, Channel, Grid, Shape, ValuedRuns, Values, blocks, position_dtype
from evaluation.masks.scan import RunsOfFinding

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


def prediction_of(array: NDArray[Real], shape: Shape) -> list[Channel]:
    """Each finding of a prediction, binarised (> 0). Raises `InvalidMask` unless it is one of this shape."""
    check_shape(array.shape, shape)
    return [finding.runs for finding in _scan(array, shape, binarise=True)]


def _scan(array: NDArray[Real], shape: Shape, *, binarise: bool) -> list[ValuedRuns]:
    """The runs of each finding, all of them looked at before any is given."""
    findings = array.reshape(shape)
    try:
        return [_finding(channel, shape[1:], binarise=binarise) for channel in findings]
    except InvalidMask:
        # Of a file the first thing wrong is said, in the order of its voxels: it may lie in another finding.
        for d in range(shape[3]):
            _meant(findings[..., d].ravel(order="F"), binarise=binarise)
        raise


def _meant(stored: NDArray[Real], *, binarise: bool) -> Values:
    """The whole numbers that these are; of a prediction, only whether they are not 0."""
    values = whole_numbers(stored, _UNSCALED)
    if not binarise:
        return values
    check_prediction_values(values)
    foreground: Values = (values != 0).view(np.uint8)
    return foreground


def _finding(channel: NDArray[Real], grid: Grid, *, binarise: bool) -> ValuedRuns:
    """The runs of one finding (H, W, D)."""
    found, dtype = RunsOfFinding(grid), position_dtype(grid)
    d, w = np.nonzero(channel.any(axis=0).T)  # of the rows that are not all zero, in a file's order
    first = grid[0] * (w + grid[1] * d)
    for block in blocks(len(first), max(1, BLOCK_VOXELS // grid[0])):
        rows = np.ascontiguousarray(channel[:, w[block], d[block]].T)
        meant = _meant(rows, binarise=binarise)
        framed = np.zeros((len(meant), grid[0] + 2), meant.dtype)  # a run begins and ends in its row
        framed[:, 1:-1] = meant
        before, after = framed[:, :-1], framed[:, 1:]
        begins, ends = (before != after) & (after != 0), (before != after) & (before != 0)
        start, stop = (first[block][row] + h for row, h in (np.nonzero(begins), np.nonzero(ends)))
        found.add(start.astype(dtype), stop.astype(dtype), after[begins])
    return found.result()
