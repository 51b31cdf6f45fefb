"""Distance matching: which entity and which predicted instance lie close enough, and how close.

Centroids are cheap. The average symmetric surface distance (ASSD) is not: it needs, for each surface voxel of one, the
nearest surface voxel of the other. Nearly all pairs are far apart, so lower bounds reject them first, the cheapest
first: the gap between the bounding boxes, then the mean gap of one's surface voxels to the other's box along each
single axis (a product of histograms). Only what is left is measured exactly (see `nearest`). A bound rejects with a
margin for rounding, so what is close to the threshold is always decided by the exact distance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluation.masks.run_lengths import (
    Coordinates,
    Floats,
    Integers,
    Runs,
    Spacing,
    blocks,
    coordinates,
    expand,
    surface,
)
from evaluation.metrics.instances import Instances, by_label, totals
from evaluation.metrics.matching import Counts, Pair, match_by_distance
from evaluation.metrics.nearest import NearestVoxel

RELATIVE_TOLERANCE = 1e-9  # of the threshold
BOUND_MARGIN = 1e-6  # a lower bound must exceed the threshold by this much to reject


def threshold_mm(spacing_mm: Spacing) -> float:
    """Twice the largest voxel spacing."""
    return 2.0 * max(spacing_mm)


def match_focal(reference: Instances, prediction: Instances, spacing_mm: Spacing) -> Counts:
    """Match entities and instances by the distance of their centroids."""
    return _match(centroid_pairs(reference, prediction, spacing_mm), reference, prediction, spacing_mm)


def match_non_focal(reference: Instances, prediction: Instances, spacing_mm: Spacing) -> Counts:
    """Match entities and instances by the ASSD."""
    return _match(assd_pairs(reference, prediction, spacing_mm), reference, prediction, spacing_mm)


def _match(pairs: list[Pair], reference: Instances, prediction: Instances, spacing_mm: Spacing) -> Counts:
    limit = threshold_mm(spacing_mm)
    eligible = [pair for pair in pairs if pair.distance_mm <= limit * (1 + RELATIVE_TOLERANCE)]
    return match_by_distance(eligible, reference.count, prediction.count, threshold_mm=limit)


def centroid_pairs(reference: Instances, prediction: Instances, spacing_mm: Spacing) -> list[Pair]:
    """All pairs with the Euclidean distance in mm of their mean voxel indices."""
    apart = (centroids(reference)[:, None, :] - centroids(prediction)[None, :, :]) * np.array(spacing_mm)
    distance = np.sqrt((apart**2).sum(axis=2))
    return [Pair(float(distance[i, j]), i + 1, j + 1) for i, j in np.ndindex(*distance.shape)]


def centroids(instances: Instances) -> Floats:
    """Mean (h, w, d) index of each instance 1..n, shape (n, 3); the sums are exact integers."""
    count = instances.count + 1
    sums = np.zeros((count, 3), np.int64)
    for block in blocks(len(instances.runs)):
        h, w, d = (axis.astype(np.int64) for axis in instances.runs.coordinates(block))
        length, labels = instances.runs.lengths(block).astype(np.int64), instances.labels[block]
        for axis, contribution in enumerate((length * (2 * h + length - 1) // 2, length * w, length * d)):
            sums[:, axis] += totals(labels, contribution, count)
    return sums[1:] / instances.sizes[1:, None]


def assd_pairs(reference: Instances, prediction: Instances, spacing_mm: Spacing) -> list[Pair]:
    """The pairs whose ASSD can be within the threshold, with the exact ASSD in mm."""
    limit = threshold_mm(spacing_mm) * (1 + BOUND_MARGIN)
    reference_boxes, prediction_boxes = reference.boxes, prediction.boxes
    near = _box_gaps_mm(reference_boxes, prediction_boxes, spacing_mm) <= limit
    if not near.any():
        return []
    surface_a = _Surface(reference, np.any(near, axis=1), spacing_mm)
    surface_b = _Surface(prediction, np.any(near, axis=0), spacing_mm)
    outside = surface_a.summed_gaps_mm(prediction_boxes) + surface_b.summed_gaps_mm(reference_boxes).T
    near &= outside <= limit * (surface_a.voxels[:, None] + surface_b.voxels[None, :])
    pairs = []
    for i, j in np.argwhere(near).tolist():
        total = limit * (surface_a.voxels[i] + surface_b.voxels[j])
        there = np.sum(surface_b.nearest(j).distances_mm(surface_a.points(i)))
        if there > total:
            continue  # the way back can only add to it
        back = np.sum(surface_a.nearest(i).distances_mm(surface_b.points(j)))
        pairs.append(Pair(float((there + back) / (surface_a.voxels[i] + surface_b.voxels[j])), i + 1, j + 1))
    return pairs


def _box_gaps_mm(a: NDArray[np.int64], b: NDArray[np.int64], spacing_mm: Spacing) -> Floats:
    """Distance in mm between the nearest voxel centres of two boxes, for all pairs."""
    a, b = a[:, None], b[None, :]
    gap = np.maximum(np.maximum(a[..., 0] - b[..., 1], b[..., 0] - a[..., 1]), 0) * np.array(spacing_mm)
    distance: Floats = np.sqrt((gap**2).sum(axis=2))
    return distance


class _Surface:
    """The surfaces of some instances: summaries of all, coordinates of one when asked for."""

    def __init__(self, instances: Instances, wanted: NDArray[np.bool_], spacing_mm: Spacing) -> None:
        chosen = np.concatenate([[False], wanted])[instances.labels]
        pieces, labels = surface(instances.runs[chosen], instances.labels[chosen])
        order = by_label(labels, instances.count)
        self._start, self._lengths = pieces.start[order], pieces.lengths()[order]
        self._bounds = np.searchsorted(labels[order], np.arange(1, instances.count + 2))
        self._grid, self._spacing_mm = instances.runs.grid, spacing_mm
        self._histograms = _histograms(pieces, labels, instances.count + 1)
        self.voxels = totals(labels, pieces.lengths(), instances.count + 1)[1:]
        self._points: dict[int, Coordinates] = {}
        self._nearest: dict[int, NearestVoxel] = {}

    def summed_gaps_mm(self, boxes: NDArray[np.int64]) -> Floats:
        """Per instance and box, a lower bound of the summed distances of the surface voxels to the box, in mm.

        Along one axis alone no distance is overestimated; the axis with the largest sum is the best of three bounds.
        """
        best = np.zeros((len(self.voxels), len(boxes)))
        for axis, histogram in enumerate(self._histograms):
            index = np.arange(histogram.shape[1])
            gap = np.maximum(np.maximum(boxes[:, axis, :1] - index, index - boxes[:, axis, 1:]), 0)
            # einsum, not a matrix product: its result does not depend on the number of BLAS threads.
            sums = np.einsum("ni,bi->nb", histogram[1:], gap.astype(np.float64)) * self._spacing_mm[axis]
            best = np.maximum(best, sums)
        return best

    def points(self, index: int) -> Coordinates:
        """The surface voxels (h, w, d) of instance `index` + 1."""
        if index not in self._points:
            part = slice(self._bounds[index], self._bounds[index + 1])
            pieces = [positions for _, positions in expand(self._start[part], self._lengths[part])]
            self._points[index] = np.stack(coordinates(np.concatenate(pieces), self._grid))
        return self._points[index]

    def nearest(self, index: int) -> NearestVoxel:
        """Distances to `points`."""
        if index not in self._nearest:
            self._nearest[index] = NearestVoxel(self.points(index), self._spacing_mm)
        return self._nearest[index]


def _histograms(pieces: Runs, labels: Integers, count: int) -> tuple[Floats, Floats, Floats]:
    """For each axis, how many voxels of each label lie at each index: three arrays (count, axis length)."""
    height, width, depth = pieces.grid
    edges = np.zeros(count * (height + 1))
    along_w, along_d = np.zeros(count * width), np.zeros(count * depth)
    for block in blocks(len(pieces)):
        h, w, d = pieces.coordinates(block)
        label, length = labels[block].astype(np.int64), pieces.lengths(block)
        edges += np.bincount(label * (height + 1) + h, minlength=len(edges))
        edges -= np.bincount(label * (height + 1) + h + length, minlength=len(edges))
        along_w += np.bincount(label * width + w, weights=length, minlength=len(along_w))
        along_d += np.bincount(label * depth + d, weights=length, minlength=len(along_d))
    along_h = np.cumsum(edges.reshape(count, -1), axis=1)[:, :-1]
    return along_h, along_w.reshape(count, -1), along_d.reshape(count, -1)
