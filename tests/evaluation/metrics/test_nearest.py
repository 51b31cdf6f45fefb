"""Distances to the nearest voxel of a set, against measuring every pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from evaluation.metrics import nearest
from evaluation.metrics.nearest import NearestVoxel, nearest_offsets

spacings = st.tuples(*[st.sampled_from([0.3, 0.7, 1.0, 2.5, 5.0])] * 3)
quick = settings(max_examples=100, deadline=None)


def measured(voxels, queries, spacing_mm):
    return cdist((queries.T * spacing_mm), (voxels.T * spacing_mm)).min(axis=1)


@quick
@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([3, 9, 40]), spacings)
def test_near_and_far_distances_are_exact(seed, count, size, spacing_mm):
    rng = np.random.default_rng(seed)
    voxels, queries = rng.integers(0, size, (3, count)), rng.integers(-size, 2 * size, (3, 50))
    found = NearestVoxel(voxels, spacing_mm).distances_mm(queries)
    assert found == pytest.approx(measured(voxels, queries, spacing_mm), abs=1e-12)


def test_a_set_too_wide_for_a_map_is_measured_with_the_tree_alone(monkeypatch):
    monkeypatch.setattr(nearest, "MAX_MAP_VOXELS", 10)
    rng = np.random.default_rng(0)
    voxels, queries = rng.integers(0, 20, (2, 3, 30))
    found = NearestVoxel(voxels, (0.7, 0.7, 2.5)).distances_mm(queries)
    assert found == pytest.approx(measured(voxels, queries, (0.7, 0.7, 2.5)), abs=1e-12)


@quick
@given(spacings)
def test_no_offset_is_missing_among_the_nearest(spacing_mm):
    offsets = nearest_offsets(spacing_mm)
    wide = np.stack(np.meshgrid(*[np.arange(-20, 21)] * 3, indexing="ij")).reshape(3, -1)
    every = np.sort(np.sqrt(((wide * np.array(spacing_mm)[:, None]) ** 2).sum(axis=0)))
    assert offsets.distance_mm == pytest.approx(every[: len(offsets.distance_mm)], abs=1e-12)
