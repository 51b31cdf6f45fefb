"""Exact distances from voxels to the nearest voxel of a set.

What has to be measured lies close together, else a bound would have rejected it. So a small map around the set holds,
for each cell in its closest neighbourhood, which offset leads to the nearest voxel; only where that is not close enough
a search tree is asked.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from evaluation.masks.run_lengths import Coordinates, Floats, Spacing

RADIUS = 4  # voxels, along the axis of the smallest spacing
NEIGHBOURS = 57  # the voxel itself and, with equal spacings, everything up to sqrt(5) away
MAX_MAP_VOXELS = 1 << 22  # a byte each; one map for each instance that is near another


class Offsets(NamedTuple):
    """The nearest neighbours of a voxel in the order of their distance, without a gap."""

    steps: Coordinates
    distance_mm: Floats
    reach: NDArray[np.int64]  # how far the steps go along h, w and d


@lru_cache(maxsize=256)
def nearest_offsets(spacing_mm: Spacing) -> Offsets:
    """The first of all offsets: whatever lies outside of the cube that is searched for them is farther away."""
    along = np.arange(-RADIUS, RADIUS + 1)
    steps = np.stack(np.meshgrid(along, along, along, indexing="ij")).reshape(3, -1)
    distance = np.sqrt(((steps * np.array(spacing_mm)[:, None]) ** 2).sum(axis=0))
    order = np.argsort(distance, kind="stable")
    order = order[distance[order] < (RADIUS + 1) * min(spacing_mm)][:NEIGHBOURS]
    return Offsets(steps[:, order], distance[order], np.abs(steps[:, order]).max(axis=1))


class NearestVoxel:
    """A set of one voxel or more, prepared to be asked for distances."""

    def __init__(self, voxels: Coordinates, spacing_mm: Spacing) -> None:
        self._voxels, self._spacing_mm = voxels, np.array(spacing_mm)[:, None]
        self._offsets = nearest_offsets(spacing_mm)
        self._low = voxels.min(axis=1) - self._offsets.reach
        self._high = voxels.max(axis=1) + self._offsets.reach
        self._shape = self._high + 1 - self._low

    def distances_mm(self, queries: Coordinates) -> Floats:
        """The Euclidean distance in mm of each query to the nearest voxel of the set."""
        result = np.full(queries.shape[1], np.nan)
        if self._shape.prod() <= MAX_MAP_VOXELS:
            inside = np.flatnonzero(self._is_inside(queries))
            known = np.append(self._offsets.distance_mm, np.nan)
            result[inside] = known[self._map[self._cells(queries[:, inside])]]
        rest = np.flatnonzero(np.isnan(result))
        if len(rest):
            result[rest] = self._tree.query((queries[:, rest] * self._spacing_mm).T)[0]
        return result

    def _is_inside(self, voxels: Coordinates) -> NDArray[np.bool_]:
        inside = np.ones(voxels.shape[1], np.bool_)
        for axis, low, high in zip(voxels, self._low, self._high, strict=True):
            inside &= (axis >= low) & (axis <= high)
        return inside

    def _cells(self, voxels: Coordinates) -> NDArray[np.int64]:
        h, w, d = voxels - self._low[:, None]
        cells: NDArray[np.int64] = (h * self._shape[1] + w) * self._shape[2] + d
        return cells

    @cached_property
    def _map(self) -> NDArray[np.uint8]:
        """Which of the offsets leads from the nearest voxel of the set to a cell of the box; else, their number."""
        nearest = np.full(self._shape.prod(), len(self._offsets.distance_mm), np.uint8)
        cells = self._cells(self._voxels)
        shifts = self._offsets.steps.T @ [self._shape[1] * self._shape[2], self._shape[2], 1]
        for offset in reversed(range(len(shifts))):  # what is nearer overwrites what is farther
            nearest[cells + shifts[offset]] = offset
        return nearest

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree((self._voxels * self._spacing_mm).T, leafsize=32, balanced_tree=False, compact_nodes=False)
