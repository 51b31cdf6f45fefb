"""Exact distances from voxels to the nearest voxel of a set.

The compiled kernel has a bit for each voxel of the set's box, and looks around a voxel at one row after the other, the
nearest first, until the next one is farther than what was found. Without it, a search tree is asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from evaluation.masks.run_lengths import Floats, Integers, Runs, Spacing, coordinates, expand, kernel_for, words_of_box

REACH = 16  # rows, along the axis of the smaller spacing; from there on, all rows of the box are looked at


class NearestVoxel(Protocol):
    """A set of one voxel or more, prepared to be asked for distances."""

    def summed_mm(self, queries: Iterable[Runs], limit_mm: float) -> float:
        """The summed distances in mm of all queried voxels to the set; beyond the limit, any number beyond it."""


def nearest_voxel(pieces: Iterable[Runs], box: NDArray[np.int64], spacing_mm: Spacing) -> NearestVoxel:
    """The voxels of these runs, all within a box (first and last h, w, d: shape (3, 2))."""
    pieces = iter(pieces)
    first = next(pieces)
    compiled = kernel_for(first.grid)
    if compiled is None:
        return _Tree([first, *pieces], spacing_mm)
    found = _Map(compiled, box, spacing_mm)
    found.draw(first)
    for runs in pieces:
        found.draw(runs)
    return found


class Rows(NamedTuple):
    """The rows around a voxel's own as steps along w and d, and their squared distances in mm, nearest first.

    All that are nearer than the square root of `reach2`.
    """

    along_w: NDArray[np.int32]
    along_d: NDArray[np.int32]
    distance2: Floats
    reach2: float


@lru_cache(maxsize=64)
def rows_around(spacing_mm: Spacing) -> Rows:
    """What lies outside of the square that is searched for them is farther away."""
    _, across, behind = spacing_mm
    reach2 = ((REACH + 1) * min(across, behind)) ** 2
    steps = np.arange(-REACH, REACH + 1, dtype=np.int32)
    w, d = (side.ravel() for side in np.meshgrid(steps, steps, indexing="ij"))
    distance2 = w.astype(np.float64) ** 2 * (across * across) + d.astype(np.float64) ** 2 * (behind * behind)
    order = np.argsort(distance2, kind="stable")
    order = order[distance2[order] < reach2]
    return Rows(w[order], d[order], distance2[order], reach2)


class _Map:
    def __init__(self, compiled: ModuleType, box: NDArray[np.int64], spacing_mm: Spacing) -> None:
        self._compiled, self._box, self._spacing_mm = compiled, np.ascontiguousarray(box), np.array(spacing_mm)
        self._rows = rows_around(spacing_mm)
        height, width, depth = (box[:, 1] - box[:, 0] + 1).tolist()
        self._bits = np.zeros(words_of_box((height, width, depth)), np.uint64)

    def draw(self, runs: Runs) -> None:
        self._compiled.draw(runs.start, runs.stop, *runs.grid[:2], self._box, self._bits)

    def summed_mm(self, queries: Iterable[Runs], limit_mm: float) -> float:
        total = 0.0
        for runs in queries:
            place = (runs.start, runs.stop, *runs.grid[:2], self._box, self._bits)
            total += self._compiled.distances(*place, self._spacing_mm, *self._rows, limit_mm - total)
            if total > limit_mm:
                break
        return total


class _Tree:
    def __init__(self, pieces: Iterable[Runs], spacing_mm: Spacing) -> None:
        from scipy.spatial import cKDTree  # takes memory that the kernel does without

        self._spacing_mm = np.array(spacing_mm)
        points = np.concatenate([_points(runs) for runs in pieces]) * self._spacing_mm
        self._tree = cKDTree(points, leafsize=32, balanced_tree=False, compact_nodes=False)

    def summed_mm(self, queries: Iterable[Runs], limit_mm: float) -> float:
        total = 0.0
        for runs in queries:
            total += float(np.sum(self._tree.query(_points(runs) * self._spacing_mm)[0]))
            if total > limit_mm:
                break
        return total


def _points(runs: Runs) -> Integers:
    """All voxels of some runs, (n, 3)."""
    pieces = [
        np.stack(coordinates(positions, runs.grid), axis=1) for _, positions in expand(runs.start, runs.lengths())
    ]
    return np.concatenate([np.empty((0, 3), np.int64), *pieces])
