"""Surfaces, centroids, ASSD and the bounds that spare measuring it, against the definitions."""

import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.masks.run_lengths import Runs, ValuedRuns, position_dtype
from evaluation.metrics import distances
from evaluation.metrics.distances import assd_pairs, threshold_mm
from evaluation.metrics.instances import Instances, entities
from evaluation.metrics.surfaces import surfaces
from tests.evaluation import reference_implementation
from tests.evaluation.ways import WAYS, way


def instances_in(volume) -> Instances:
    """The entities of a volume (H, W, D) of whole numbers, by one run per voxel or longer ones."""
    flat = volume.ravel(order="F")
    height = volume.shape[0]
    starts, stops, values = [], [], []
    for row in range(0, len(flat), height):
        position = row
        for value, group in itertools.groupby(flat[row : row + height].tolist()):
            length = len(list(group))
            if value:
                starts.append(position)
                stops.append(position + length)
                values.append(value)
            position += length
    dtype = position_dtype(volume.shape)
    runs = Runs(volume.shape, np.array(starts, dtype), np.array(stops, dtype))
    return entities(ValuedRuns(runs, np.array(values, np.int64)))


def in_slabs(known, slices):
    """The blocks of some instances, cut into so many slices each."""
    for runs, labels in known.blocks():
        height, width, depth = runs.grid
        slab = runs.start // (height * width * slices)
        for number in range(depth):
            yield runs[slab == number], labels[slab == number]


def random_volume(seed, values=4):
    """Random blocks, so that insides, touching values and rows that fill the grid occur."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, values, tuple(rng.integers(1, 4, 3)))
    volume = np.kron(coarse, np.ones(tuple(rng.integers(1, 5, 3)), np.int64))
    volume[rng.random(volume.shape) < 0.05] = 0
    return volume


seeds = st.integers(0, 2**32)
quick = settings(max_examples=150, deadline=None)


@pytest.mark.parametrize("name", WAYS)
@quick
@given(seed=seeds, slices=st.sampled_from([1, 2, 100]))
def test_surfaces_are_those_of_the_definition(name, seed, slices):
    volume = random_volume(seed)
    known = instances_in(volume)
    wanted = np.random.default_rng(seed).random(known.count + 1) < 0.8
    found = np.zeros(volume.size, np.int64)
    with way(name):
        for pieces, labels in surfaces(in_slabs(known, slices), wanted):
            for start, stop, label in zip(pieces.start, pieces.stop, labels, strict=True):
                found[start:stop] = label
    found = found.reshape(volume.shape, order="F")
    for label, value in enumerate(np.unique(volume[volume != 0]), start=1):
        if not wanted[label]:
            assert not (found == label).any()
            continue
        expected = reference_implementation.surface_points(volume == value, (1, 1, 1)).astype(int)
        assert np.argwhere(found == label).tolist() == expected.tolist()


@pytest.mark.parametrize("name", WAYS)
@quick
@given(seed=seeds)
def test_centroids_and_boxes_are_those_of_the_definition(name, seed):
    volume = random_volume(seed)
    known = instances_in(volume)
    points = [np.argwhere(volume == value) for value in np.unique(volume[volume != 0])]
    assert len(points) == known.count
    with way(name):
        extents = known.extents
    for centre, box, expected in zip(extents.centroids, extents.boxes, points, strict=True):
        assert centre == pytest.approx(expected.mean(axis=0), abs=1e-12)
        assert box.tolist() == np.stack([expected.min(axis=0), expected.max(axis=0)], axis=1).tolist()


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("max_pieces", [distances.MAX_KNOWN_PIECES, 3])
@quick
@given(seed=seeds, spacing=st.tuples(*[st.sampled_from([0.3, 0.7, 1.0, 2.5])] * 3))
def test_every_pair_within_the_threshold_is_measured_and_measured_right(name, max_pieces, seed, spacing):
    reference = random_volume(seed)
    shifted = np.roll(reference, np.random.default_rng(seed).integers(-3, 4, 3), (0, 1, 2))
    first, second = instances_in(reference), instances_in(shifted)
    with way(name), mock.patch.object(distances, "MAX_KNOWN_PIECES", max_pieces):
        measured = {(pair.entity, pair.instance): pair.distance_mm for pair in assd_pairs(first, second, spacing)}
    parts = [[volume == value for value in np.unique(volume[volume != 0])] for volume in (reference, shifted)]
    for (i, a), (j, b) in itertools.product(enumerate(parts[0], 1), enumerate(parts[1], 1)):
        expected = reference_implementation.assd(a, b, spacing)
        if (i, j) in measured:
            assert measured[i, j] == pytest.approx(expected, abs=1e-9)
        else:
            assert expected > threshold_mm(spacing)


def test_assd_of_two_single_voxels():
    volume = np.zeros((5, 3, 3), np.int64)
    volume[0, 0, 0] = 1
    other = np.zeros_like(volume)
    other[2, 1, 0] = 1
    (pair,) = assd_pairs(instances_in(volume), instances_in(other), (0.5, 2.0, 3.0))
    assert pair.distance_mm == pytest.approx(np.hypot(1.0, 2.0))
