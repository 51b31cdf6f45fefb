"""Random volumes, scored by the package and by the slow reference implementation."""

import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from evaluation.masks.reading import read_prediction
from evaluation.masks.run_lengths import Runs
from evaluation.metrics import components, instances
from tests.evaluation import builders, reference_implementation

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
@given(masks())
def test_every_number_equals_the_slow_reference(drawn):
    reference, prediction, categories, spacing = drawn
    with tempfile.TemporaryDirectory() as folder:
        result = builders.score(Path(folder), reference.astype(np.int16), prediction, categories, spacing)
    assert result["status"] == "scored"
    for index, finding in enumerate(result["findings"]):
        expected = reference_implementation.score_finding(
            reference[index], prediction[index], categories[index], spacing
        )
        assert {name: finding[name] for name in EXACT} == {name: expected[name] for name in EXACT}
        assert finding["dice"] == pytest.approx(expected["dice"], abs=1e-12)
        assert finding["dice_raw"] == pytest.approx(expected["dice_raw"], abs=1e-12)
    assert result["dice"] == pytest.approx(np.mean([f["dice"] for f in result["findings"]]), abs=1e-12)


LABELLINGS = {
    "runs": components.label_sparse,
    "voxels": components.label_dense,
    "voxels, slab by slab": lambda runs: components.label_dense(runs, 40),
    "voxels, slice by slice": lambda runs: components.label_dense(runs, 1),
}


@slow
@pytest.mark.parametrize("way", LABELLINGS)
@given(seed=st.integers(0, 2**32), density=st.sampled_from([0.05, 0.2, 0.35, 0.8]))
def test_every_way_of_labelling_gives_the_18_connected_components(way, seed, density):
    rng = np.random.default_rng(seed)
    volume = rng.random(tuple(rng.integers(1, 9, 3))) < density
    volume.flat[0] = True
    runs = runs_of(volume)
    labels, count = LABELLINGS[way](runs)
    found = np.zeros(volume.size, int)
    for start, stop, label in zip(runs.start, runs.stop, labels, strict=True):
        found[start:stop] = label
    expected, number = ndimage.label(volume, structure=ndimage.generate_binary_structure(3, 2))
    pairs = {tuple(pair) for pair in np.stack([found, expected.ravel(order="F")], axis=1).tolist()} | {(0, 0)}
    assert count == number
    assert len(pairs) == number + 1  # a one-to-one renaming


@slow
@pytest.mark.parametrize("cap", [3, 50])
@given(seed=st.integers(0, 2**32))
def test_the_kept_instances_are_numbered_in_c_order_of_their_first_voxel(cap, seed):
    volume = np.random.default_rng(seed).random((14, 12, 9)) < 0.16
    volume[:6, :4, :4], volume[8:, 7:, 5:] = True, True
    with patch.object(instances, "MAX_INSTANCES", cap):
        found = instances.predicted_instances(runs_of(volume))
    expected = reference_implementation.instances_of(volume, cap)
    labels = np.zeros(volume.size, np.int64)
    for start, stop, label in zip(found.runs.start, found.runs.stop, found.labels, strict=True):
        labels[start:stop] = label
    assert found.count == len(expected)
    for number, part in enumerate(expected, start=1):
        assert np.array_equal(labels == number, part.ravel(order="F"))


def runs_of(volume) -> Runs:
    with tempfile.TemporaryDirectory() as folder:
        path = builders.mask_file(Path(folder) / "mask.nii", volume[None])
        (runs,) = read_prediction(path, (1, *volume.shape))
    return runs
