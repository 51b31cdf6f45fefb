"""18-connected components (face or edge neighbours, not corners) of a channel.

All voxels of a run are connected, so a component is a set of runs, and the compiled kernel joins those of neighbouring
rows that touch. Of packed runs there are too many for that, and without the kernel it would take too long: then cc3d
labels the voxels themselves, at five bytes a voxel, slab by slab, and what touches across a cut is joined afterwards,
which bounds the memory however large the volume is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from evaluation import kernel
from evaluation.masks.run_lengths import Channel, Integers, PackedRuns, Runs, Slab, expand, kernel_for

SLAB_VOXELS = 1 << 22


@dataclass(frozen=True)
class Components:
    """The components 1..n of a channel.

    `sizes` and `first` have, of each in turn, its voxels and the C-order number (H slowest, D fastest) of its first
    voxel. `of_slabs` has the component that each label 1, 2, ... of a slab stands for.
    """

    channel: Channel
    sizes: NDArray[np.int64]
    first: NDArray[np.int64]
    of_slabs: tuple[Integers, ...]
    labels: Integers | None  # of each run, unless they are packed

    def numbered(self, number: Integers) -> Iterator[tuple[Runs, Integers]]:
        """All runs in order, piece by piece, and number[its component] of each; number[0] stands for none."""
        if self.labels is not None:
            yield self.channel.unpacked(), number[self.labels]
        elif (number[1:] == number[-1]).all():
            yield from ((runs, np.full(len(runs), number[-1])) for runs in self.channel.blocks())
        else:
            for slab, component in zip(_slabs(self.channel), self.of_slabs, strict=True):
                yield slab.runs[slab.low :], number[component[_label(self.channel, slab)[slab.low :] - 1]]


def components(channel: Channel) -> Components:
    """The components of a channel, in no particular order."""
    found = _Found(keeps_labels=isinstance(channel, Runs))
    for slab in _slabs(channel):
        found.add(slab, _label(channel, slab))
    return found.result(channel)


class _Found:
    """What is known of the slabs so far; their labels are counted on from one slab to the next."""

    def __init__(self, *, keeps_labels: bool) -> None:
        self._keeps_labels = keeps_labels
        self._count = 0
        self._counts: list[int] = []
        self._labels: list[Integers] = []  # of the runs, from 0 on
        self._seams: list[tuple[Integers, Integers]] = []  # two labels of each run that two slabs have in common
        self._sizes: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        self._first: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]

    def add(self, slab: Slab, labels: Integers) -> None:
        """The next slab, and the component 1..n within it of each of its runs."""
        count = int(labels.max())
        sizes, first = _measured(slab.runs[slab.low :], labels[slab.low :], count)
        self._sizes.append(sizes)
        self._first.append(first)
        labels = labels + np.int32(self._count - 1)
        if slab.low:
            self._seams.append((self._labels[-1][-slab.low :], labels[: slab.low]))
        if self._labels and not self._keeps_labels:
            self._labels.pop()
        self._labels.append(labels[slab.low :])
        self._counts.append(count)
        self._count += count

    def result(self, channel: Channel) -> Components:
        """All slabs were added: what belongs together is one component."""
        sizes, first = np.concatenate(self._sizes), np.concatenate(self._first)
        group, count = np.arange(1, self._count + 1, dtype=np.int32), self._count
        if self._seams:
            one, other = (np.concatenate(side) for side in zip(*self._seams, strict=True))
            group, count = _joined(self._count, one, other)
            sizes = np.bincount(group - 1, weights=sizes, minlength=count).astype(np.int64)
            apart, first = first, np.full(count, np.iinfo(np.int64).max)
            np.minimum.at(first, group - 1, apart)
        known = group[np.concatenate([np.zeros(0, np.int32), *self._labels])] if self._keeps_labels else None
        ends = np.cumsum(self._counts)
        of_slabs = tuple(group[end - of_slab : end] for end, of_slab in zip(ends, self._counts, strict=True))
        return Components(channel, sizes, first, of_slabs, known)


def _slabs(channel: Channel) -> Iterator[Slab]:
    """All runs at once for the kernel; for cc3d, slabs of so many voxels."""
    if isinstance(channel, Runs) and kernel_for(channel.grid) is not None:
        return iter([Slab(channel, 0)] if len(channel) else [])
    return channel.slabs(SLAB_VOXELS)


def _label(channel: Channel, slab: Slab) -> Integers:
    """The component 1..n within a slab of each of its runs."""
    runs = slab.runs
    if isinstance(channel, PackedRuns):
        first = int(runs.start[0]) // (runs.grid[0] * runs.grid[1])
        last = int(runs.stop[-1] - 1) // (runs.grid[0] * runs.grid[1])
        return _label_voxels(
            runs.start - runs.start.dtype.type(first * runs.grid[0] * runs.grid[1]), channel.voxels_of(first, last + 1)
        )
    compiled = kernel_for(runs.grid)
    if compiled is None:
        return _label_box(runs)
    labels = np.empty(len(runs), np.int32)
    compiled.components(runs.start, runs.stop, *runs.grid[:2], labels)
    return labels


def _label_box(runs: Runs) -> Integers:
    low, high = _bounding_box(runs)
    crop = np.zeros(high - low, np.uint8, order="F")
    flat = crop.reshape(-1, order="F")
    start = _positions_in_box(runs, low, crop.shape)
    for _, positions in expand(start, runs.lengths()):
        flat[positions] = 1
    return _label_voxels(start, crop)


def _label_voxels(start: Integers, voxels: NDArray[np.uint8]) -> Integers:
    """The component of each run, by the place where it starts in these voxels (h, w, d), h fastest."""
    labelled = cc3d.connected_components(voxels, connectivity=18, binary_image=True, out_dtype=np.uint32)
    labels: Integers = labelled.reshape(-1, order="F")[start].view(np.int32)
    return labels


def _bounding_box(runs: Runs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    h, w, d = runs.coordinates()
    ends = (h + runs.lengths(), w + 1, d + 1)
    return np.array([axis.min() for axis in (h, w, d)], np.int64), np.array([axis.max() for axis in ends], np.int64)


def _positions_in_box(runs: Runs, low: NDArray[np.int64], box: Sequence[int]) -> NDArray[np.int64]:
    h, w, d = runs.coordinates()
    position: NDArray[np.int64] = (h - low[0]) + box[0] * ((w - low[1]) + box[1] * (d - low[2]))
    return position


def _measured(runs: Runs, labels: Integers, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each component, from 1 on, its voxels and the C-order number of its first voxel."""
    sizes, first = np.zeros(count, np.int64), np.full(count, np.iinfo(np.int64).max)
    if (compiled := kernel_for(runs.grid)) is not None:
        compiled.measure(runs.start, runs.stop, labels, *runs.grid, sizes, first)
        return sizes, first
    _, width, depth = runs.grid
    h, w, d = runs.coordinates()
    # Along H, the slowest axis of C order, a run's own first voxel is its earliest.
    np.minimum.at(first, labels - 1, (h.astype(np.int64) * width + w) * depth + d)
    return np.bincount(labels - 1, weights=runs.lengths(), minlength=count).astype(np.int64), first


def _joined(nodes: int, one: Integers, other: Integers) -> tuple[Integers, int]:
    """The component 1..n of each node 0, 1, ... of the graph in which one[i] and other[i] are joined, and n."""
    if kernel.compiled is not None:
        groups = np.empty(nodes, np.int32)
        return groups, kernel.compiled.joined(one, other, groups)
    from scipy.sparse import coo_array  # takes memory that the kernel does without
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(nodes, nodes))
    number, group = connected_components(graph, directed=False)
    return group + 1, int(number)
