"""18-connected components (face or edge neighbours, not corners) of a run list.

All voxels of a run are connected, so a component is a set of runs. Two ways lead there, with equal results. In a sparse
mask, the runs are the nodes of a graph, joined where two of neighbouring rows touch. In a dense or ragged one there
would be too many nodes, and cc3d labels the voxels themselves, at five bytes a voxel: so the volume is cut into slabs
of slices, the bounding box of each slab's foreground is filled in and labelled by itself, and what touches across a cut
is joined afterwards, which bounds the memory however large the volume is.
"""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from evaluation.masks.run_lengths import Integers, Runs, blocks, expand, intersect

SLAB_VOXELS = 1 << 24
DENSE_VOXELS_PER_RUN = 100  # of the bounding box; where the two ways take equally long

# Rows that come before a voxel's own in the file and hold neighbours of it, as steps along (W, D). In a row one step
# away these lie up to one voxel further along H; in a row two steps away they have the same h: the rest are corners.
BESIDE = ((-1, 0),)
BEHIND = ((0, -1), (-1, -1), (1, -1))


def label_components(runs: Runs) -> tuple[Integers, int]:
    """The component 1..n of each run, in no particular order, and n."""
    if len(runs) == 0:
        return np.zeros(0, np.int32), 0
    low, high = _bounding_box(runs)
    if np.prod(high - low) > DENSE_VOXELS_PER_RUN * len(runs):
        return label_sparse(runs)
    return label_dense(runs)


def label_sparse(runs: Runs) -> tuple[Integers, int]:
    """`label_components`, over the graph of touching runs."""
    return _joined(len(runs), *_touching(runs, slice(None), BESIDE + BEHIND))


def label_dense(runs: Runs, slab_voxels: int = SLAB_VOXELS) -> tuple[Integers, int]:
    """`label_components`, over voxels, slab by slab."""
    height, width, depth = runs.grid
    slices = max(1, slab_voxels // (height * width))
    borders = np.arange(0, depth + 1) * height * width
    slice_starts = np.searchsorted(runs.start, borders.astype(runs.start.dtype)).tolist()
    labels = np.zeros(len(runs), np.int32)
    count = 0
    for d in range(0, depth, slices):
        first, last = slice_starts[d], slice_starts[min(d + slices, depth)]
        if first < last:
            found, number = _label_box(Runs(runs.grid, runs.start[first:last], runs.stop[first:last]))
            labels[first:last] = found + count
            count += number
    touching = [
        _touching(runs, slice(slice_starts[d], slice_starts[d + 1]), BEHIND) for d in range(slices, depth, slices)
    ]
    if not touching:
        return labels, count
    one, other = (labels[np.concatenate(side)] - 1 for side in zip(*touching, strict=True))
    group, number = _joined(count, one, other)
    return group[labels - 1], number


def _joined(nodes: int, one: Integers, other: Integers) -> tuple[Integers, int]:
    """The connected component 1..n of each node, and n, of the graph in which one[i] and other[i] are joined."""
    graph = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(nodes, nodes))
    number, group = connected_components(graph, directed=False)
    return group + 1, int(number)


def _touching(runs: Runs, chosen: slice, steps: tuple[tuple[int, int], ...]) -> tuple[Integers, Integers]:
    """Indices of the chosen runs and of the runs these steps away that are 18-connected with them, pair by pair."""
    height, width, _ = runs.grid
    start, stop = runs.start[chosen], runs.stop[chosen]
    index = np.arange(len(runs))[chosen]
    row = start // height
    w = row % width
    wide_start, wide_stop = np.maximum(start - 1, row * height), np.minimum(stop + 1, (row + 1) * height)
    pairs = []
    for along_w, along_d in steps:
        one_step = abs(along_w) + abs(along_d) == 1
        low, high = (wide_start, wide_stop) if one_step else (start, stop)
        inside = (w + along_w >= 0) & (w + along_w < width)
        shift = height * (along_w + width * along_d)
        mine, theirs, _, _ = intersect(low[inside] + shift, high[inside] + shift, runs.start, runs.stop)
        pairs.append((index[inside][mine], theirs))
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return one, other


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
