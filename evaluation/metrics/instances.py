"""The two kinds of instances: a reference's entities and the kept components of a prediction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evaluation.masks.run_lengths import Integers, Runs, ValuedRuns, blocks, intersect
from evaluation.metrics.components import label_components

MIN_VOXELS = 10
MAX_INSTANCES = 50


@dataclass(frozen=True)
class Instances:
    """Runs, each labelled with its instance 1..n, or 0 for foreground that belongs to none (a dropped component)."""

    runs: Runs
    labels: Integers
    sizes: NDArray[np.int64]  # voxels of label 0..n
    names: tuple[
        int, ...
    ]  # of label 1..n, ascending: an entity's value, a component's number before the largest stayed

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.sizes) - 1

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """Per instance 1..n, (first, last) index along h, w and d: shape (n, 3, 2)."""
        low = np.full((3, self.count + 1), np.iinfo(np.int64).max)
        high = np.full((3, self.count + 1), -1)
        for block in blocks(len(self.runs)):
            order = by_label(self.labels[block], self.count)
            labels = self.labels[block][order]
            first = np.flatnonzero(np.diff(labels, prepend=-1))
            present = labels[first]
            h, w, d = (axis[order] for axis in self.runs.coordinates(block))
            ends = ((h, h + self.runs.lengths(block)[order] - 1), (w, w), (d, d))
            for axis, (lowest, highest) in enumerate(ends):
                low[axis, present] = np.minimum(low[axis, present], np.minimum.reduceat(lowest, first))
                high[axis, present] = np.maximum(high[axis, present], np.maximum.reduceat(highest, first))
        return np.stack([low, high], axis=2)[:, 1:].swapaxes(0, 1)

    @property
    def voxels(self) -> int:
        """Voxels of all instances together, without label 0."""
        return int(self.sizes[1:].sum())


def by_label(labels: Integers, count: int) -> NDArray[np.intp]:
    """A stable order by label, all of them from 0 to `count`."""
    # NumPy sorts integers of up to 16 bits in linear time.
    small = np.uint16 if count < 1 << 16 else np.int64
    return np.argsort(labels.astype(small), kind="stable")


def entities(finding: ValuedRuns) -> Instances:
    """Every distinct value is one entity, in however many pieces and of whatever size; label k has the k-th value."""
    values = np.unique(finding.values)
    labels = (np.searchsorted(values, finding.values) + 1).astype(np.int32)
    sizes = totals(labels, finding.runs.lengths(), len(values) + 1)
    return Instances(finding.runs, labels, sizes, tuple(values.tolist()))


def predicted_instances(runs: Runs) -> Instances:
    """18-connected components of 10 voxels or more, the 50 largest, numbered in C order of their first voxel.

    Of two equally large components at the cut, the one whose first voxel comes first in C order stays.
    """
    components, count = label_components(runs)
    sizes = totals(components, runs.lengths(), count + 1)
    first = _first_voxels(runs, components, count + 1)
    kept = np.flatnonzero(sizes[1:] >= MIN_VOXELS) + 1
    kept = kept[np.argsort(first[kept])]
    largest = np.sort(np.argsort(-sizes[kept], kind="stable")[:MAX_INSTANCES])
    kept = kept[largest]
    number = np.zeros(count + 1, np.int32)
    number[kept] = np.arange(1, len(kept) + 1)
    dropped = int(sizes.sum() - sizes[kept].sum())
    sizes_kept = np.array([dropped, *sizes[kept]], np.int64)
    return Instances(runs, number[components], sizes_kept, tuple((largest + 1).tolist()))


def totals(labels: Integers, weights: Integers, count: int) -> NDArray[np.int64]:
    """Sum of the weights of each label 0..count-1. Exact: every sum of voxel numbers stays far below 2^53."""
    sums = np.zeros(count)
    for block in blocks(len(labels)):
        sums += np.bincount(labels[block], weights=weights[block], minlength=count)
    return sums.astype(np.int64)


def overlaps(reference: Instances, prediction: Instances) -> NDArray[np.int64]:
    """Common voxels of every pair: a table [reference label 0..n, predicted label 0..m]."""
    columns = prediction.count + 1
    table = np.zeros((reference.count + 1) * columns)
    for block in blocks(len(reference.runs)):
        mine, theirs, start, stop = intersect(
            reference.runs.start[block], reference.runs.stop[block], prediction.runs.start, prediction.runs.stop
        )
        pair = reference.labels[block][mine].astype(np.int64) * columns + prediction.labels[theirs]
        table += np.bincount(pair, weights=stop - start, minlength=len(table))
    return table.astype(np.int64).reshape(-1, columns)


def _first_voxels(runs: Runs, components: Integers, count: int) -> NDArray[np.int64]:
    """C-order number (H slowest, D fastest) of the first voxel of each component 0..count-1."""
    _, width, depth = runs.grid
    first = np.full(count, np.iinfo(np.int64).max)
    for block in blocks(len(runs)):
        h, w, d = runs.coordinates(block)
        # Along H, the slowest axis of C order, a run's own first voxel is its earliest.
        np.minimum.at(first, components[block], (h.astype(np.int64) * width + w) * depth + d)
    return first
