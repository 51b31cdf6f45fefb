"""Distance matching: which entity and which predicted instance lie close enough, and how close.

Centroids are cheap. The average symmetric surface distance (ASSD) is not: it needs, for each surface voxel of one, the
nearest surface voxel of the other. Nearly all pairs are far apart, so lower bounds reject them first, the cheapest
first: the gap between the bounding boxes, then the mean gap of one's surface voxels to the other's box along each
single axis (a product of histograms). Only what is left is measured exactly (see `nearest`). A bound rejects with a
margin for rounding, so what is close to the threshold is always decided by the exact distance.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evaluation.masks.run_lengths import Floats, Integers, Runs, Spacing
from evaluation.metrics.bounds import Histograms, box_gaps_mm
from evaluation.metrics.instances import Instances
from evaluation.metrics.matching import Counts, Pair, match_by_distance
from evaluation.metrics.nearest import nearest_voxel
from evaluation.metrics.surfaces import RunsByLabel, surfaces

Booleans = NDArray[np.bool_]

RELATIVE_TOLERANCE = 1e-9  # of the threshold
BOUND_MARGIN = 1e-6  # a lower bound must exceed the threshold by this much to reject
MAX_KNOWN_PIECES = 1 << 22  # of a surface, twelve bytes each


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
    ours, theirs = reference.extents.centroids, prediction.extents.centroids
    distance = np.sqrt((((ours[:, None] - theirs[None]) * np.array(spacing_mm)) ** 2).sum(axis=2))
    return _pairs(distance, np.ones(distance.shape, np.bool_))


def assd_pairs(reference: Instances, prediction: Instances, spacing_mm: Spacing) -> list[Pair]:
    """The pairs whose ASSD can be within the threshold, with the exact ASSD in mm."""
    limit = threshold_mm(spacing_mm) * (1 + BOUND_MARGIN)
    boxes_a, boxes_b = reference.extents.boxes, prediction.extents.boxes
    near = box_gaps_mm(boxes_a, boxes_b, spacing_mm) <= limit
    if not near.any():
        return []
    a = _Surface(reference, np.any(near, axis=1), spacing_mm)
    b = _Surface(prediction, np.any(near, axis=0), spacing_mm)
    voxels = a.voxels[:, None] + b.voxels[None, :]
    most: Floats = limit * voxels.astype(np.float64)
    near &= a.summed_gaps_mm(boxes_b) + b.summed_gaps_mm(boxes_a).T <= most
    total = a.summed_distances_mm(b, near, most)
    near &= total <= most  # the way back can only add to it
    total += b.summed_distances_mm(a, near.T, (most - total).T).T
    return _pairs(total / np.maximum(voxels, 1), near & (total <= most))


def _pairs(distance: Floats, chosen: Booleans) -> list[Pair]:
    return [Pair(float(distance[i, j]), i + 1, j + 1) for i, j in np.argwhere(chosen).tolist()]


class _Surface:
    """The surfaces of those instances that are `wanted`: `voxels` (n,), 0 of the others, and how they lie."""

    def __init__(self, instances: Instances, wanted: Booleans, spacing_mm: Spacing) -> None:
        self._instances, self._spacing_mm = instances, spacing_mm
        self._wanted = np.concatenate([[False], wanted])
        self._histograms = Histograms(instances.channel.grid, instances.count)
        self._known: list[RunsByLabel] | None = []
        for pieces, labels in self._pieces():
            self._histograms.add(pieces, labels)
            if self._known is not None:
                self._known.append(RunsByLabel(pieces, labels, instances.count))
                if sum(len(block) for block in self._known) > MAX_KNOWN_PIECES:
                    self._known = None
        self.voxels = self._histograms.voxels()

    def summed_gaps_mm(self, boxes: NDArray[np.int64]) -> Floats:
        """Per instance and box, a lower bound of the summed distances of the surface voxels to the box, in mm."""
        return self._histograms.summed_gaps_mm(boxes, self._spacing_mm)

    def summed_distances_mm(self, other: _Surface, chosen: Booleans, limits: Floats) -> Floats:
        """For each of the chosen pairs (n, m), the summed distances in mm of this surface's voxels to the other one.

        Where it is beyond the pair's limit, any number beyond that.
        """
        sums = np.zeros(chosen.shape)
        for j in map(int, np.flatnonzero(chosen.any(axis=0))):
            nearest = nearest_voxel(other.of(j), other._instances.extents.boxes[j], self._spacing_mm)
            for i in map(int, np.flatnonzero(chosen[:, j])):
                sums[i, j] = nearest.summed_mm(self.of(i), float(limits[i, j]))
        return sums

    def of(self, index: int) -> Iterator[Runs]:
        """The surface of instance `index` + 1, piece by piece: found once more where all would take too much memory."""
        if self._known is not None:
            return (block.of(index + 1) for block in self._known)
        return (pieces[labels == index + 1] for pieces, labels in self._pieces())

    def _pieces(self) -> Iterator[tuple[Runs, Integers]]:
        return surfaces(self._instances.blocks(), self._wanted)
