"""Run lengths: a sparse binary volume as the stretches of foreground ("runs") along its fastest axis.

A chest mask of 92 million voxels is some 10,000 runs, so everything that can be done on runs is done on runs: sizes,
bounding boxes, overlaps, surfaces. Voxels are numbered as they lie in the file, `position = h + H * (w + W * d)`
(H fastest); a run is the half-open interval [start, stop) of positions, never crosses the end of its row, and runs
are sorted and disjoint. "C order", where a rule speaks of it, is the other way round: D fastest, H slowest.
(In the server a "run" is something else: one execution of an algorithm on a case set.)

Random noise can have tens of millions of runs. Loops over `blocks` keep the temporary arrays small even then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Grid = tuple[int, int, int]  # H, W, D
Shape = tuple[int, int, int, int]  # F, H, W, D
Spacing = tuple[float, float, float]  # mm along H, W, D
Integers = NDArray[np.signedinteger]
Coordinates = NDArray[np.signedinteger]  # (3, n): rows h, w, d
Values = NDArray[np.integer]  # what voxels hold
Floats = NDArray[np.float64]

BLOCK_RUNS = 1 << 20
BLOCK_VOXELS = 1 << 22


def position_dtype(grid: Grid) -> type[np.signedinteger]:
    """The smallest of int32 and int64 that numbers all voxels, with one blank row per slice (see `surface`)."""
    height, width, depth = grid
    return np.int32 if height * (width + 1) * (depth + 2) < 2**31 else np.int64


@dataclass(frozen=True)
class Runs:
    """Sorted disjoint runs on a grid (H, W, D); `start` and `stop` have one dtype, `position_dtype(grid)`."""

    grid: Grid
    start: Integers
    stop: Integers

    def __len__(self) -> int:
        return len(self.start)

    @property
    def voxels(self) -> int:
        """Voxels of all runs together."""
        return int(self.lengths().sum(dtype=np.int64))

    def lengths(self, block: slice = slice(None)) -> Integers:
        """Voxels of each run."""
        return self.stop[block] - self.start[block]

    def coordinates(self, block: slice = slice(None)) -> tuple[Integers, Integers, Integers]:
        """(h, w, d) of the first voxel of each run."""
        return coordinates(self.start[block], self.grid)

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Runs:
        return Runs(self.grid, self.start[chosen], self.stop[chosen])


@dataclass(frozen=True)
class ValuedRuns:
    """The runs of one finding; all voxels of a run share its non-zero value (1 in a binarised mask)."""

    runs: Runs
    values: NDArray[np.integer]


def coordinates(positions: Integers, grid: Grid) -> tuple[Integers, Integers, Integers]:
    """(h, w, d) of the voxels at these positions."""
    row, h = np.divmod(positions, grid[0])
    d, w = np.divmod(row, grid[1])
    return h, w, d


def blocks(count: int, size: int = BLOCK_RUNS) -> Iterator[slice]:
    """Slices that cover range(count)."""
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))


def expand(start: Integers, lengths: Integers) -> Iterator[tuple[slice, Integers]]:
    """All positions of the runs, in bounded pieces: (which runs, their positions one after the other)."""
    first = 0
    ends = np.cumsum(lengths, dtype=np.int64)
    while first < len(start):
        done = ends[first - 1] if first else 0
        last = max(int(np.searchsorted(ends, done + BLOCK_VOXELS, side="right")), first + 1)
        piece = slice(first, last)
        offsets = ends[piece] - lengths[piece] - done
        yield piece, np.repeat(start[piece] - offsets, lengths[piece]) + np.arange(ends[last - 1] - done)
        first = last


def intersect(
    start: Integers, stop: Integers, other_start: Integers, other_stop: Integers
) -> tuple[Integers, Integers, Integers, Integers]:
    """Common stretches of two sorted disjoint lists: (index in the first, index in the other, start, stop)."""
    low = np.searchsorted(other_stop, start, side="right")
    high = np.searchsorted(other_start, stop, side="left")
    counts = np.maximum(high - low, 0)
    mine = np.repeat(np.arange(len(start)), counts)
    before = np.cumsum(counts) - counts
    theirs = np.arange(len(mine)) + np.repeat(low - before, counts)
    return mine, theirs, np.maximum(start[mine], other_start[theirs]), np.minimum(stop[mine], other_stop[theirs])


def surface(runs: Runs, labels: Integers) -> tuple[Runs, Integers]:
    """The voxels with a face neighbour outside their own label (outside the grid is outside), and their labels.

    An interior voxel is in the middle of its run and has the same label in the rows above, below, before and behind:
    an intersection of the run list with four shifted copies of itself. Rows are numbered with a blank one after each
    slice, so that a shift by a row never reaches into the next slice.
    """
    height, width, _ = runs.grid
    pad = runs.start // (height * width) * height
    start, stop = runs.start + pad, runs.stop + pad
    slice_step = height * (width + 1)
    inner_start, inner_stop = [], []
    for block in blocks(len(runs)):
        s, e, label = start[block] + 1, stop[block] - 1, labels[block]
        s, e, label = s[s < e], e[s < e], label[s < e]
        for shift in (height, -height, slice_step, -slice_step):
            mine, theirs, s, e = intersect(s + shift, e + shift, start, stop)
            same = label[mine] == labels[theirs]
            s, e, label = s[same] - shift, e[same] - shift, label[mine][same]
        inner_start.append(s)
        inner_stop.append(e)
    # What is left of a run after its interior pieces are cut out lies between consecutive ends: each piece opens where
    # a run starts or an interior ends, and closes where an interior starts or a run stops.
    opens = np.sort(np.concatenate([start, *inner_stop]))
    closes = np.sort(np.concatenate([stop, *inner_start]))
    opens, closes = opens[opens < closes], closes[opens < closes]
    owner = np.searchsorted(start, opens, side="right") - 1
    pieces = Runs(runs.grid, opens - pad[owner], closes - pad[owner])
    return pieces, labels[owner]
