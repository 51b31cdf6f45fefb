"""Lower bounds of distances, which spare measuring most pairs: see `evaluation.metrics.distances`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluation.masks.run_lengths import Floats, Grid, Integers, Runs, Spacing, kernel_for

Boxes = NDArray[np.int64]  # (n, 3, 2): first and last index along h, w and d


def box_gaps_mm(a: Boxes, b: Boxes, spacing_mm: Spacing) -> Floats:
    """Distance in mm between the nearest voxel centres of two boxes, for all pairs."""
    a, b = a[:, None], b[None, :]
    gap = np.maximum(np.maximum(a[..., 0] - b[..., 1], b[..., 0] - a[..., 1]), 0) * np.array(spacing_mm)
    distance: Floats = np.sqrt((gap**2).sum(axis=2))
    return distance


class Histograms:
    """How many voxels of each label 1..n lie at each index along h, w and d."""

    def __init__(self, grid: Grid, count: int) -> None:
        self._grid = grid
        height, width, depth = grid
        # Of each label from 0 on; along h as the differences of each number from the one before.
        self._table = np.zeros((count + 1, height + 1 + width + depth), np.int64)

    def add(self, runs: Runs, labels: Integers) -> None:
        """Count the voxels of these runs, too."""
        if (compiled := kernel_for(runs.grid)) is not None:
            compiled.histograms(runs.start, runs.stop, labels, *runs.grid, self._table)
            return
        height, width, _ = runs.grid
        h, w, d = runs.coordinates()
        length = runs.lengths()
        np.add.at(self._table, (labels, h), 1)
        np.add.at(self._table, (labels, h + length), -1)
        np.add.at(self._table, (labels, height + 1 + w), length)
        np.add.at(self._table, (labels, height + 1 + width + d), length)

    def voxels(self) -> NDArray[np.int64]:
        """The voxels of each label."""
        depth = self._grid[2]
        voxels: NDArray[np.int64] = self._table[1:, -depth:].sum(axis=1)
        return voxels

    def summed_gaps_mm(self, boxes: Boxes, spacing_mm: Spacing) -> Floats:
        """For each label and box, a lower bound of the summed distances of the label's voxels to the box, in mm.

        It can be asked once, and uses the counts up. Along one axis alone no distance is overestimated; the axis with
        the largest sum is the best of three bounds.
        """
        best = np.zeros((len(self._table) - 1, len(boxes)))
        if (compiled := kernel_for(self._grid)) is not None:
            compiled.gaps(self._table[1:], *self._grid, np.ascontiguousarray(boxes), np.array(spacing_mm), best)
            return best
        height, width, _ = self._grid
        along_h = np.cumsum(self._table[1:, :height], axis=1)
        along_w, along_d = np.split(self._table[1:, height + 1 :], [width], axis=1)
        for axis, histogram in enumerate((along_h, along_w, along_d)):
            index = np.arange(histogram.shape[1])
            gap = np.maximum(np.maximum(boxes[:, axis, :1] - index, index - boxes[:, axis, 1:]), 0)
            best = np.maximum(best, np.einsum("ni,bi->nb", histogram, gap) * spacing_mm[axis])
        return best
