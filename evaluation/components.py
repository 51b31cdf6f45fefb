"""18-connected components (face or edge neighbours, not corners) of a run list.

cc3d labels dense volumes, fast but at five bytes a voxel. So the volume is cut into slabs of slices, the bounding box
of each slab's foreground is filled in and labelled by itself, and what touches across the cut is joined afterwards:
memory stays bounded however large the volume. All voxels of a run are connected, so one look-up per run is enough.
"""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from evaluation.runs import Integers, Runs, blocks, expand, intersect

SLAB_VOXELS = 1 << 24


def label_components(runs: Runs, slab_voxels: int = SLAB_VOXELS) -> tuple[Integers, int]:
    """The component 1..n of each run, in no particular order, and n."""
    height, width, depth = runs.grid
    slices = max(1, slab_voxels // (height * width))
    borders = np.arange(0, depth, slices) * height * width
    cuts = np.searchsorted(runs.start, borders.astype(runs.start.dtype)).tolist()
    labels = np.zeros(len(runs), np.int32)
    count = 0
    for first, last in zip(cuts, [*cuts[1:], len(runs)], strict=True):
        if first < last:
            found, number = _label_box(Runs(runs.grid, runs.start[first:last], runs.stop[first:last]))
            labels[first:last] = found + count
            count += number
    touching = [_touching(runs, d) for d in range(slices, depth, slices)]
    if not touching or count == 0:
        return labels, count
    above, below = (labels[np.concatenate(side)] - 1 for side in zip(*touching, strict=True))
    graph = coo_array((np.ones(len(above), np.bool_), (above, below)), shape=(count, count))
    joined, group = connected_components(graph, directed=False)
    return group[labels - 1].astype(np.int32) + 1, int(joined)


def _label_box(runs: Runs) -> tuple[Integers, int]:
    low, high = _bounding_box(runs)
    box = (high - low).tolist()
    crop = np.zeros(box, np.uint8, order="F")
    flat = crop.reshape(-1, order="F")
    for block in blocks(len(runs)):
        for _, positions in expand(_crop_positions(runs, block, low, box), runs.lengths(block)):
            flat[positions] = 1
    labelled, count = cc3d.connected_components(crop, connectivity=18, binary_image=True, return_N=True)
    found = labelled.reshape(-1, order="F")
    labels = np.empty(len(runs), np.int32)
    for block in blocks(len(runs)):
        labels[block] = found[_crop_positions(runs, block, low, box)]
    return labels, int(count)


def _touching(runs: Runs, d: int) -> tuple[Integers, Integers]:
    """Indices of the runs of slice d - 1 and of slice d that are 18-connected with each other, pair by pair."""
    height, width, _ = runs.grid
    area = height * width
    edges = np.array([d - 1, d, d + 1]) * area
    first, cut, last = np.searchsorted(runs.start, edges.astype(runs.start.dtype)).tolist()
    start, stop = runs.start[cut:last] - d * area, runs.stop[cut:last] - d * area
    below_start, below_stop = runs.start[first:cut] - (d - 1) * area, runs.stop[first:cut] - (d - 1) * area
    row = start // height
    pairs = []
    for step in (-1, 0, 1):
        # In the row straight below, an edge neighbour is one voxel further along H; in the rows beside that one it has
        # the same h, and whatever is further is a corner.
        reach = int(step == 0)
        low = np.maximum(start - reach, row * height) + step * height
        high = np.minimum(stop + reach, (row + 1) * height) + step * height
        inside = (row + step >= 0) & (row + step < width)
        mine, theirs, _, _ = intersect(low[inside], high[inside], below_start, below_stop)
        pairs.append((theirs + first, np.flatnonzero(inside)[mine] + cut))
    below, above = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return below, above


def _bounding_box(runs: Runs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    lows, highs = [], []
    for block in blocks(len(runs)):
        h, w, d = runs.coordinates(block)
        lows.append((h.min(), w.min(), d.min()))
        highs.append(((h + runs.lengths(block)).max(), w.max() + 1, d.max() + 1))
    return np.min(np.array(lows, np.int64), axis=0), np.max(np.array(highs, np.int64), axis=0)


def _crop_positions(runs: Runs, block: slice, low: NDArray[np.int64], box: list[int]) -> NDArray[np.int64]:
    h, w, d = runs.coordinates(block)
    position: NDArray[np.int64] = (h - low[0]) + box[0] * ((w - low[1]) + box[1] * (d - low[2]))
    return position
