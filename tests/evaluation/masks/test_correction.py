"""A corrected mask is what numpy makes of the array."""

import numpy as np
import pytest

from evaluation.hints.judging import as_numpy
from evaluation.masks.correction import Correction, Order, channels_of, invert, orientations, turn_runs
from tests.evaluation.volumes import runs_of

GRIDS = [(5, 6, 7), (4, 4, 7), (6, 5, 5), (5, 5, 5), (1, 3, 3), (3, 1, 1)]


def same(found, volume):
    wanted = runs_of(volume)
    assert found.grid == volume.shape
    assert found.start.dtype == found.stop.dtype == wanted.start.dtype
    assert found.start.tolist() == wanted.start.tolist()
    assert found.stop.tolist() == wanted.stop.tolist()


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("filled", [0.0, 0.1, 0.6, 1.0])
def test_turned_runs_are_those_of_the_turned_array(grid, filled):
    volume = np.random.default_rng(1).random(grid) < filled
    for code in orientations(grid):
        turned = eval(as_numpy(code), {"np": np, "mask": volume[np.newaxis]})[0]
        same(turn_runs(runs_of(volume), code), turned)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("filled", [0.0, 0.1, 0.6, 1.0])
def test_inverted_runs_are_all_other_voxels(grid, filled):
    volume = np.random.default_rng(2).random(grid) < filled
    same(invert(runs_of(volume)), ~volume)


@pytest.mark.parametrize(
    ("order", "saved"),
    [
        (Order.REVERSED, lambda keys: keys[::-1]),
        (Order.AS_TEXT, lambda keys: sorted(keys, key=str)),
        (Order.FROM_NEXT, lambda keys: keys[-1:] + keys[:-1]),
        (Order.FROM_PREVIOUS, lambda keys: keys[1:] + keys[:1]),
    ],
)
@pytest.mark.parametrize("count", [1, 2, 3, 12, 30])
def test_the_order_of_a_slip_is_undone(order, saved, count):
    channels = saved(list(range(count)))
    assert [channels[place] for place in channels_of(order, count)] == list(range(count))


def test_findings_change_places_and_turn_at_once():
    volumes = [np.random.default_rng(seed).random((3, 4, 5)) < 0.4 for seed in range(3)]
    correction = Correction(turn="hWd", channels=(2, 0, 1), inverted=True)
    found = list(correction.apply(runs_of(volume) for volume in volumes))
    for runs, channel in zip(found, (2, 0, 1), strict=True):
        same(runs, ~volumes[channel][::-1, :, ::-1])


@pytest.mark.parametrize("channels", [(0,), (0, 0), (0, 2), (0, 1, 2)])
def test_an_order_of_another_mask_is_refused(channels):
    volumes = [runs_of(np.ones((2, 2, 2), bool))] * 2
    with pytest.raises(ValueError, match="no order of 2 channels"):
        list(Correction(channels=channels).apply(volumes))
