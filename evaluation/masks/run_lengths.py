"""Run lengths: a sparse binary volume as the stretches of foreground ("runs") along its fastest axis.

A chest mask of 92 million voxels is some 10,000 runs, so everything that can be done on runs is done on runs: sizes,
bounding boxes, overlaps, surfaces. Voxels are numbered as they lie in the file, `position = h + H * (w + W * d)`
(H fastest); a run is the half-open interval [start, stop) of positions, never crosses the end of its row, and runs
are sorted and disjoint. "C order", where a rule speaks of it, is the other way round: D fastest, H slowest.
(In the server a "run" is something else: one execution of an algorithm on a case set.)

A checkerboard has tens of millions of runs. Where they would take more memory than a bit for each voxel, there are bits
(`PackedRuns`), and whoever wants runs gets them piece by piece: so all work on a channel is done in loops over its
`blocks` or `slabs`, and adds up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation import kernel

Grid = tuple[int, int, int]  # H, W, D
Shape = tuple[int, int, int, int]  # F, H, W, D
Spacing = tuple[float, float, float]  # mm along H, W, D
Integers = NDArray[np.signedinteger]
Coordinates = NDArray[np.signedinteger]  # (3, n): rows h, w, d
Values = NDArray[np.integer]  # what voxels hold
Floats = NDArray[np.float64]
Words = NDArray[np.uint64]  # of bits

BLOCK_RUNS = 1 << 20
BLOCK_VOXELS = 1 << 22
BLOCK_VOXELS_AT_HAND = 1 << 19
WORD_BITS = 64


def position_dtype(grid: Grid) -> type[np.signedinteger]:
    """The smallest of int32 and int64 that numbers all voxels, with one blank row per slice (see `surface`)."""
    height, width, depth = grid
    return np.int32 if height * (width + 1) * (depth + 2) < 2**31 else np.int64


def kernel_for(grid: Grid) -> ModuleType | None:
    """The compiled kernel, where there is one and it can number the voxels of such a volume."""
    return kernel.compiled if position_dtype(grid) is np.int32 else None


class Slab(NamedTuple):
    """Some consecutive slices of a channel: `runs` are theirs from index `low` on; before it, the slice before them."""

    runs: Runs
    low: int


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

    def __getitem__(self, chosen: NDArray[np.bool_] | slice) -> Runs:
        return Runs(self.grid, self.start[chosen], self.stop[chosen])

    def unpacked(self) -> Runs:
        """These runs: see `PackedRuns`."""
        return self

    def blocks(self) -> Iterator[Runs]:
        """All runs at once: see `PackedRuns`."""
        yield self

    def slabs(self, max_voxels: int) -> Iterator[Slab]:
        """The runs in slabs of about so many voxels, of a slice or more."""
        height, width, depth = self.grid
        slices = max(1, max_voxels // (height * width))
        borders = np.arange(depth + 1) * (height * width)
        first = np.searchsorted(self.start, borders.astype(self.start.dtype)).tolist()
        for d in range(0, depth, slices):
            before, low, high = first[max(d - 1, 0)], first[d], first[min(d + slices, depth)]
            if low < high:
                yield Slab(self[before:high], low - before)


@dataclass(frozen=True)
class PackedRuns:
    """So many runs on a grid that a bit for each voxel takes less memory.

    `words` (W * D, words of a row): the lowest bit of a word is the voxel of the lowest h. `count` runs are packed.
    """

    grid: Grid
    words: Words
    count: int

    def __len__(self) -> int:
        return self.count

    @property
    def voxels(self) -> int:
        """Voxels of all runs together."""
        return int(np.bitwise_count(self.words).sum(dtype=np.int64))

    def unpacked(self) -> Runs:
        """All runs at once: eight bytes or more for each."""
        return self._runs_of_slices(0, self.grid[2])

    def blocks(self) -> Iterator[Runs]:
        """The runs in order, in pieces that stay in the processor's cache: those of a slice or more."""
        for d, end in self._slabs_of(BLOCK_VOXELS_AT_HAND):
            yield self._runs_of_slices(d, end)

    def slabs(self, max_voxels: int) -> Iterator[Slab]:
        """The runs in slabs of about so many voxels, of a slice or more."""
        height, width, _ = self.grid
        for d, end in self._slabs_of(max_voxels):
            runs = self._runs_of_slices(max(d - 1, 0), end)
            low = int(np.searchsorted(runs.start, runs.start.dtype.type(d * height * width)))
            if low < len(runs):
                yield Slab(runs, low)

    def _slabs_of(self, max_voxels: int) -> Iterator[tuple[int, int]]:
        height, width, depth = self.grid
        slices = max(1, max_voxels // (height * width))
        return ((d, min(d + slices, depth)) for d in range(0, depth, slices))

    def voxels_of(self, first: int, end: int) -> NDArray[np.uint8]:
        """The voxels (H, W, slices) of some slices, 0 or 1, h fastest."""
        height, width, _ = self.grid
        bits = self.words[first * width : end * width].astype("<u8", copy=False).view(np.uint8)
        rows = np.unpackbits(bits, axis=1, count=height, bitorder="little")
        return rows.reshape(end - first, width, height).T

    def _runs_of_slices(self, first: int, end: int) -> Runs:
        height, width, _ = self.grid
        rows = slice(first * width, end * width)
        if (compiled := kernel_for(self.grid)) is not None:
            return self._runs_by_kernel(compiled, rows)
        padded = np.zeros((rows.stop - rows.start, height + 2), np.int8)
        padded[:, 1:-1] = self.voxels_of(first, end).T.reshape(-1, height)
        change = np.diff(padded, axis=1)  # (rows, height + 1): where a run starts, or has stopped
        dtype = position_dtype(self.grid)
        row, h = np.nonzero(change == 1)
        start = ((rows.start + row) * height + h).astype(dtype)
        row, h = np.nonzero(change == -1)
        return Runs(self.grid, start, ((rows.start + row) * height + h).astype(dtype))

    def _runs_by_kernel(self, compiled: ModuleType, rows: slice) -> Runs:
        most = (rows.stop - rows.start) * ((self.grid[0] + 1) // 2)
        start, stop = np.empty((2, most), np.int32)  # what is not written to takes no memory
        count = compiled.runs_of(self.words, self.grid[0], rows.start, rows.stop - rows.start, start, stop)
        return Runs(self.grid, start[:count], stop[:count])


Channel = Runs | PackedRuns


def words_of_box(size: Grid) -> int:
    """How many words the voxels of a grid or a box are packed into: each row begins with a new one."""
    height, width, depth = size
    return -(-height // WORD_BITS) * width * depth


class Packer:
    """Takes the runs of a channel in pieces, in order, and packs them."""

    def __init__(self, grid: Grid) -> None:
        self._grid, self._count = grid, 0
        self._words = np.zeros(words_of_box(grid), np.uint64).reshape(grid[1] * grid[2], -1)

    def add(self, start: Integers, stop: Integers) -> None:
        """The next runs."""
        grid, words = self._grid, self._words
        self._count += len(start)
        if (compiled := kernel_for(grid)) is not None:
            box = np.array([(0, length - 1) for length in grid], np.int64)
            compiled.draw(start, stop, *grid[:2], box, words)
            return
        for piece, positions in expand(start, stop - start):
            first = int(start[piece][0]) // grid[0]
            rows = int(stop[piece][-1] - 1) // grid[0] + 1 - first
            bits = np.zeros((rows, words.shape[1] * WORD_BITS), np.bool_)
            row, h = np.divmod(positions, grid[0])
            bits[row - first, h] = True
            packed = np.packbits(bits, axis=1, bitorder="little").view("<u8")
            words[first : first + rows] |= packed.astype(np.uint64)

    def result(self) -> PackedRuns:
        """All of them."""
        return PackedRuns(self._grid, self._words, self._count)


@dataclass(frozen=True)
class ValuedRuns:
    """The runs of one finding; all voxels of a run share its non-zero value (1 in a binarised mask).

    `values` has one for each run, or, of packed runs, the one that all have.
    """

    runs: Channel
    values: Values


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


def surface(runs: Runs, labels: Integers, wanted: NDArray[np.bool_], chosen: slice) -> tuple[Runs, Integers]:
    """The voxels with a face neighbour outside their own label (outside the grid is outside), and their labels.

    Of the `chosen` runs with a label that is `wanted` (one truth for each label); the other runs are what they may have
    as neighbours.
    """
    if (compiled := kernel_for(runs.grid)) is not None:
        return _surface_by_kernel(compiled, runs, labels, wanted, chosen)
    # An interior voxel is in the middle of its run and has the same label in the rows above, below, before and behind:
    # an intersection of the run list with four shifted copies of itself. Rows are numbered with a blank one after each
    # slice, so that a shift by a row never reaches into the next slice.
    height, width, _ = runs.grid
    pad = runs.start // (height * width) * height
    start, stop = runs.start + pad, runs.stop + pad
    slice_step = height * (width + 1)
    mine = np.flatnonzero(wanted[labels[chosen]]) + chosen.start
    inner_start, inner_stop = [], []
    for block in blocks(len(mine)):
        these = mine[block]
        s, e, label = start[these] + 1, stop[these] - 1, labels[these]
        s, e, label = s[s < e], e[s < e], label[s < e]
        for shift in (height, -height, slice_step, -slice_step):
            own, theirs, s, e = intersect(s + shift, e + shift, start, stop)
            same = label[own] == labels[theirs]
            s, e, label = s[same] - shift, e[same] - shift, label[own][same]
        inner_start.append(s)
        inner_stop.append(e)
    # What is left of a run after its interior pieces are cut out lies between consecutive ends: each piece opens where
    # a run starts or an interior ends, and closes where an interior starts or a run stops.
    opens = np.sort(np.concatenate([start[mine], *inner_stop]))
    closes = np.sort(np.concatenate([stop[mine], *inner_start]))
    opens, closes = opens[opens < closes], closes[opens < closes]
    owner = mine[np.searchsorted(start[mine], opens, side="right") - 1]
    return Runs(runs.grid, opens - pad[owner], closes - pad[owner]), labels[owner]


def _surface_by_kernel(
    compiled: ModuleType, runs: Runs, labels: Integers, wanted: NDArray[np.bool_], chosen: slice
) -> tuple[Runs, Integers]:
    capacity, found = 4 * (chosen.stop - chosen.start) + 16, 0
    while True:
        start, stop, label = np.empty((3, capacity), np.int32)
        arguments = (runs.start, runs.stop, labels, chosen.start, chosen.stop, wanted, *runs.grid[:2])
        found = compiled.surface(*arguments, start, stop, label)
        if found <= capacity:
            return Runs(runs.grid, start[:found], stop[:found]), label[:found]
        capacity = found
