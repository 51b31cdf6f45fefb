"""Random volumes, scored by the package and by the slow reference implementation."""

import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from evaluation.masks import scan
from evaluation.masks.reading import read_prediction
from evaluation.masks.run_lengths import PackedRuns, Runs
from evaluation.metrics import components, instances
from tests.evaluation import builders, reference_implementation
from tests.evaluation.ways import WAYS, way

EXACT = ("hit", "hit_05", "n_reference", "n_predicted", "tp", "fp", "fn", "distance_tp", "distance_fp", "distance_fn")

slow = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def boxes(rng, shape, count, values):
    """A volume of overlapping boxes: connected, touching, apart, as it happens."""
    volume = np.zeros(shape, np.int64)
    for _ in range(count):
        low = [rng.integers(0, size) for size in shape]
        high = [lo + rng.integers(1, max(2, size // 2 + 1)) for lo, size in zip(low, shape, strict=True)]
        volume[tuple(slice(lo, hi) for lo, hi in zip(low, high, strict=True))] = rng.integers(0, values)
    return volume


@st.composite
def masks(draw):
    """(reference, prediction, categories, spacing): small, of every kind of shape."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 5, 8, 13]), min_size=3, max_size=3)))
    n_findings = draw(st.integers(1, 3))
    reference = np.stack([boxes(rng, shape, rng.integers(0, 8), 6) for _ in range(n_findings)])
    kind = draw(st.sampled_from(["boxes", "shifted", "noise", "dense noise"]))
    if kind == "boxes":
        prediction = np.stack([boxes(rng, shape, rng.integers(0, 9), 3) for _ in range(n_findings)])
    elif kind == "shifted":
        prediction = np.roll(reference, rng.integers(-2, 3, 3), (1, 2, 3))
    else:
        prediction = (rng.random(reference.shape) < (0.12 if kind == "noise" else 0.6)).astype(np.int64)
    categories = [str(rng.choice(["1a", "2b"])) for _ in range(n_findings)]
    spacing = tuple(float(size) for size in rng.choice([0.3, 0.7, 1.0, 2.5, 5.0], 3))
    return reference, prediction.astype(np.uint8), categories, spacing


@slow
@given(masks(), st.sampled_from([np.uint8, np.int16]))
def test_every_number_equals_the_slow_reference(drawn, dtype):
    reference, prediction, categories, spacing = drawn
    results = []
    for name in WAYS:
        with tempfile.TemporaryDirectory() as folder, way(name):
            results.append(builders.score(Path(folder), reference.astype(dtype), prediction, categories, spacing))
    result, without_kernel = results
    assert result == without_kernel
    assert result["status"] == "scored"
    for index, finding in enumerate(result["findings"]):
        expected = reference_implementation.score_finding(
            reference[index], prediction[index], categories[index], spacing
        )
        assert {name: finding[name] for name in EXACT} == {name: expected[name] for name in EXACT}
        assert finding["dice"] == pytest.approx(expected["dice"], abs=1e-12)
        assert finding["dice_raw"] == pytest.approx(expected["dice_raw"], abs=1e-12)
    assert result["dice"] == pytest.approx(np.mean([f["dice"] for f in result["findings"]]), abs=1e-12)


@slow
@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("slab_voxels", [components.SLAB_VOXELS, 40, 1])
@given(seed=st.integers(0, 2**32), density=st.sampled_from([0.05, 0.2, 0.35, 0.8]), packed=st.booleans())
def test_every_way_of_labelling_gives_the_18_connected_components(name, slab_voxels, seed, density, packed):
    rng = np.random.default_rng(seed)
    volume = rng.random(tuple(rng.integers(1, 9, 3))) < density
    volume.flat[0] = True
    with way(name), patch.object(components, "SLAB_VOXELS", slab_voxels):
        known = components.components(channel_of(volume, packed=packed))
        found = painted(volume.size, known.numbered(np.arange(len(known.sizes) + 1)))
    expected, number = ndimage.label(volume, structure=ndimage.generate_binary_structure(3, 2))
    pairs = {tuple(pair) for pair in np.stack([found, expected.ravel(order="F")], axis=1).tolist()} | {(0, 0)}
    assert len(known.sizes) == number
    assert len(pairs) == number + 1  # a one-to-one renaming
    in_c_order = found.reshape(volume.shape, order="F").ravel()
    for component, (size, first) in enumerate(zip(known.sizes, known.first, strict=True), start=1):
        assert size == (found == component).sum()
        assert first == np.argmax(in_c_order == component)


@slow
@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("cap", [3, 50])
@given(seed=st.integers(0, 2**32), packed=st.booleans())
def test_the_kept_instances_are_numbered_in_c_order_of_their_first_voxel(cap, name, seed, packed):
    volume = np.random.default_rng(seed).random((14, 12, 9)) < 0.16
    volume[:6, :4, :4], volume[8:, 7:, 5:] = True, True
    with patch.object(instances, "MAX_INSTANCES", cap), way(name):
        found = instances.predicted_instances(channel_of(volume, packed=packed))
        labels = painted(volume.size, found.blocks())
    expected = reference_implementation.instances_of(volume, cap)
    assert found.count == len(expected)
    for number, part in enumerate(expected, start=1):
        assert np.array_equal(labels == number, part.ravel(order="F"))


def channel_of(volume, *, packed):
    """The channel that a file with this one finding has, as runs or packed."""
    with tempfile.TemporaryDirectory() as folder:
        path = builders.mask_file(Path(folder) / "mask.nii", volume[None])
        with patch.object(scan, "RUN_BYTES", 1 << 40 if packed else 0):
            (channel,) = read_prediction(path, (1, *volume.shape))
    assert isinstance(channel, PackedRuns if packed else Runs)
    return channel


def painted(size, blocks):
    """The label of each voxel, h fastest."""
    found = np.zeros(size, np.int64)
    for runs, labels in blocks:
        for start, stop, label in zip(runs.start, runs.stop, labels, strict=True):
            found[start:stop] = label
    return found
