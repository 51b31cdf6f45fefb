"""Distances to the nearest voxel of a set, against measuring every pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from evaluation.masks.run_lengths import Runs, position_dtype
from evaluation.metrics.nearest import REACH, nearest_voxel, rows_around
from tests.evaluation.ways import WAYS, way

spacings = st.tuples(*[st.sampled_from([0.3, 0.7, 1.0, 2.5, 5.0])] * 3)
quick = settings(max_examples=100, deadline=None)


def runs_of(voxels, grid):
    """The runs of some voxels (3, n), one each."""
    start = np.unique(voxels[0] + grid[0] * (voxels[1] + grid[1] * voxels[2])).astype(position_dtype(grid))
    return Runs(grid, start, start + 1)


@pytest.mark.parametrize("name", WAYS)
@quick
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 60),
    grid=st.sampled_from([(3, 3, 3), (9, 8, 7), (200, 30, 2), (70, 90, 80)]),
    small=st.booleans(),
    spacing_mm=spacings,
)
def test_near_and_far_distances_are_exact(name, seed, count, grid, small, spacing_mm):
    rng = np.random.default_rng(seed)
    voxels = rng.integers(0, [[size // 2 if small else size] for size in grid], (3, count))
    queries = rng.integers(0, [[size] for size in grid], (3, 50))
    box = np.stack([voxels.min(axis=1), voxels.max(axis=1)], axis=1)
    asked = runs_of(queries, grid)
    points = np.stack(asked.coordinates(), axis=1)
    expected = cdist(points * spacing_mm, voxels.T * spacing_mm).min(axis=1).sum()
    pieces = [runs_of(part, grid) for part in np.array_split(np.unique(voxels, axis=1), 2, axis=1)]
    with way(name):
        nearest = nearest_voxel(pieces, box, spacing_mm)
        assert nearest.summed_mm([asked], np.inf) == pytest.approx(expected, abs=1e-9)
        assert nearest.summed_mm([asked, asked], np.inf) == pytest.approx(2 * expected, abs=1e-9)
        if expected:
            assert nearest.summed_mm([asked], expected / 2) > expected / 2


@quick
@given(spacings)
def test_no_row_is_missing_among_the_nearest(spacing_mm):
    rows = rows_around(spacing_mm)
    w, d = (side.ravel() for side in np.meshgrid(*[np.arange(-3 * REACH, 3 * REACH + 1)] * 2, indexing="ij"))
    every = np.sort((w * spacing_mm[1]) ** 2 + (d * spacing_mm[2]) ** 2)
    assert rows.distance2 == pytest.approx(every[: len(rows.distance2)], rel=1e-12)
    assert every[len(rows.distance2)] >= rows.reach2 * (1 - 1e-12)
