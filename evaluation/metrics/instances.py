"""The two kinds of instances: a reference's entities and the kept components of a prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.masks.run_lengths import Channel, Floats, Integers, Runs, ValuedRuns, intersect, kernel_for
from evaluation.metrics.components import components

MIN_VOXELS = 10
MAX_INSTANCES = 50


class Extents(NamedTuple):
    """Of each instance, its first and last index along h, w and d (n, 3, 2), and its centroid (n, 3), as indices."""

    boxes: NDArray[np.int64]
    centroids: Floats


@dataclass(frozen=True)
class Instances:
    """The instances 1..n of a channel; `sizes` are the voxels of 0..n, 0 being foreground that belongs to none.

    `names` has, of 1..n in order, an entity's value, or a component's number among those that are large enough.
    `blocks` gives all runs, in order and piece by piece, each with the number of its instance.
    """

    channel: Channel
    sizes: NDArray[np.int64]
    names: tuple[int, ...]
    blocks: Callable[[], Iterator[tuple[Runs, Integers]]]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.sizes) - 1

    @property
    def voxels(self) -> int:
        """Voxels of all instances together, without label 0."""
        return int(self.sizes[1:].sum())

    @cached_property
    def _extents(self) -> _Extents:
        return _Extents(self.sizes)

    def measured_blocks(self) -> Iterator[tuple[Runs, Integers]]:
        """All `blocks`; whoever takes them to the end has `extents` without another pass."""
        extents = self.__dict__["_extents"] = _Extents(self.sizes)
        for runs, labels in self.blocks():
            extents.add(runs, labels)
            yield runs, labels
        extents.is_complete = True

    @property
    def extents(self) -> Extents:
        """Where they lie; the sums behind the centroids are exact."""
        if not self._extents.is_complete:
            for _ in self.measured_blocks():
                pass
        return self._extents.result()


class _Extents:
    """What `Extents` are made of, as far as the runs were seen."""

    def __init__(self, sizes: NDArray[np.int64]) -> None:
        self._sizes = sizes
        self._boxes = np.empty((len(sizes), 3, 2), np.int64)
        self._boxes[..., 0], self._boxes[..., 1] = np.iinfo(np.int64).max, -1
        self._sums = np.zeros((len(sizes), 3), np.int64)
        self.is_complete = False

    def add(self, runs: Runs, labels: Integers) -> None:
        if (compiled := kernel_for(runs.grid)) is not None:
            compiled.extents(runs.start, runs.stop, labels, *runs.grid[:2], self._boxes, self._sums)
        else:
            _extend(self._boxes, self._sums, runs, labels)

    def result(self) -> Extents:
        return Extents(self._boxes[1:], self._sums[1:] / self._sizes[1:, None])


def _extend(boxes: NDArray[np.int64], sums: NDArray[np.int64], runs: Runs, labels: Integers) -> None:
    h, w, d = (axis.astype(np.int64) for axis in runs.coordinates())
    length = runs.lengths().astype(np.int64)
    for axis, (low, high) in enumerate(((h, h + length - 1), (w, w), (d, d))):
        np.minimum.at(boxes[:, axis, 0], labels, low)
        np.maximum.at(boxes[:, axis, 1], labels, high)
    for axis, contribution in enumerate((length * (2 * h + length - 1) // 2, length * w, length * d)):
        sums[:, axis] += totals(labels, contribution, len(sums))


def entities(finding: ValuedRuns) -> Instances:
    """Every distinct value is one entity, in however many pieces and of whatever size; label k has the k-th value."""
    channel = finding.runs
    if not isinstance(channel, Runs):
        sizes = np.array([0, channel.voxels], np.int64)
        return Instances(channel, sizes, (int(finding.values[0]),), lambda: _all_of_one(channel))
    values, labels = _numbered(finding.values)
    sizes = totals(labels, channel.lengths(), len(values) + 1)
    return Instances(channel, sizes, tuple(values.tolist()), lambda: iter([(channel, labels)]))


def _all_of_one(channel: Channel) -> Iterator[tuple[Runs, Integers]]:
    return ((runs, np.ones(len(runs), np.int32)) for runs in channel.blocks())


def _numbered(values: NDArray[np.integer]) -> tuple[NDArray[np.integer], Integers]:
    """The distinct values in order, and the place of each value among them, from 1 on."""
    if values.dtype == np.uint8:
        present = np.bincount(values, minlength=256) > 0
        return np.flatnonzero(present), np.cumsum(present, dtype=np.int32)[values]
    distinct, place = np.unique(values, return_inverse=True)
    return distinct, (place + 1).astype(np.int32)


def predicted_instances(channel: Channel) -> Instances:
    """18-connected components of 10 voxels or more, the 50 largest, numbered in C order of their first voxel.

    Of two equally large components at the cut, the one whose first voxel comes first in C order stays.
    """
    found = components(channel)
    sizes, first = found.sizes, found.first
    kept = np.flatnonzero(sizes >= MIN_VOXELS)
    kept = kept[np.argsort(first[kept])]
    largest = np.sort(np.argsort(-sizes[kept], kind="stable")[:MAX_INSTANCES])
    kept = kept[largest]
    number = np.zeros(len(sizes) + 1, np.int32)
    number[kept + 1] = np.arange(1, len(kept) + 1)
    dropped = int(sizes.sum() - sizes[kept].sum())
    kept_sizes = np.array([dropped, *sizes[kept]], np.int64)
    return Instances(channel, kept_sizes, tuple((largest + 1).tolist()), lambda: found.numbered(number))


def totals(labels: Integers, weights: Integers, count: int) -> NDArray[np.int64]:
    """Sum of the weights of each label 0..count-1. Exact: every sum of voxel numbers stays far below 2^53."""
    return np.bincount(labels, weights=weights, minlength=count).astype(np.int64)


def overlaps(reference: Instances, prediction: Instances) -> NDArray[np.int64]:
    """Common voxels of every pair: a table [reference label 0..n, predicted label 0..m]."""
    columns = prediction.count + 1
    table = np.zeros((reference.count + 1, columns), np.int64)
    blocks = reference.measured_blocks(), prediction.measured_blocks()
    for (ours, our_labels), (theirs, their_labels) in _side_by_side(*blocks):
        if (compiled := kernel_for(ours.grid)) is not None:
            mine, others = (ours.start, ours.stop, our_labels), (theirs.start, theirs.stop, their_labels)
            compiled.overlaps(*mine, *others, columns, table)
        else:
            one, other, start, stop = intersect(ours.start, ours.stop, theirs.start, theirs.stop)
            pair = our_labels[one].astype(np.int64) * columns + their_labels[other]
            table += totals(pair, stop - start, table.size).reshape(table.shape)
    for left in blocks:
        for _ in left:
            pass
    return table


_Block = tuple[Runs, Integers]


def _side_by_side(ours: Iterator[_Block], theirs: Iterator[_Block]) -> Iterator[tuple[_Block, _Block]]:
    """All pairs of blocks that can have voxels in common."""
    one, other = next(ours, None), next(theirs, None)
    while one is not None and other is not None:
        if len(one[0]) and len(other[0]):
            yield one, other
        ends = one[0].stop[-1:].sum(), other[0].stop[-1:].sum()
        if ends[0] <= ends[1]:
            one = next(ours, None)
        else:
            other = next(theirs, None)
