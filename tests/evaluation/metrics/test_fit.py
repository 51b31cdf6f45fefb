"""The estimate of how well a mask would fit, saved in another way."""

import numpy as np
import pytest

from evaluation.hints.judging import as_numpy
from evaluation.masks.correction import orientations
from evaluation.metrics.fit import fit
from tests.evaluation.volumes import CUBE, GRID, blob, fitted, runs_of


def exact_dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_the_dice_of_every_orientation_is_that_of_the_turned_array():
    rng = np.random.default_rng(0)
    prediction, reference = blob(rng, CUBE, 0.4), blob(rng, CUBE, 0.4)
    found = fitted([(prediction, reference)])
    assert len(found.turned) == 48
    for code, estimate in found.turned.items():
        turned = eval(as_numpy(code), {"np": np, "mask": prediction[np.newaxis]})[0]
        assert estimate == pytest.approx(exact_dice(turned, reference), abs=1e-6), code


def test_large_masks_are_sampled_and_the_estimate_is_close(monkeypatch):
    monkeypatch.setattr("evaluation.metrics.fit.SAMPLE_VOXELS", 1000)
    rng = np.random.default_rng(3)
    prediction, reference = blob(rng, (40, 40, 40), 0.5), blob(rng, (40, 40, 40), 0.5)
    found = fitted([(prediction, reference)])
    assert found.turned["HWD"] == pytest.approx(exact_dice(prediction, reference), abs=0.03)


def test_findings_that_are_empty_on_one_side_do_not_count():
    full, nothing = np.ones(GRID, bool), np.zeros(GRID, bool)
    found = fitted([(full, full), (nothing, full)])
    assert found.turned["HWD"] == pytest.approx(1)
    assert fit({"0": (runs_of(full), runs_of(nothing))}) is None


@pytest.mark.parametrize(("grid", "count"), [((5, 6, 7), 8), ((5, 5, 7), 16), ((5, 6, 5), 16), ((5, 5, 5), 48)])
def test_only_orientations_that_keep_the_shape_are_tried(grid, count):
    codes = orientations(grid)
    assert len(codes) == len(set(codes)) == count
    assert codes[0] == "HWD"
