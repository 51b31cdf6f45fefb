"""Where voxels change: eight at a time, against one at a time, for any number of findings and any cut of the stream."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.masks.scan import WORD, RunScanner

quick = settings(max_examples=200, deadline=None)


def scanned(volume, lengths, binarise=False):
    """The runs of each finding of a volume (F, H, W, D), fed in pieces of these many words, over and over."""
    shape = volume.shape
    stream = volume.ravel(order="F")
    stream = np.concatenate([stream, np.zeros(-len(stream) % WORD, volume.dtype)])
    scanner = RunScanner(shape, range(shape[0]), binarise=binarise)
    at, turn = 0, 0
    while at < len(stream):
        piece = stream[at : at + lengths[turn % len(lengths)] * WORD]
        if piece.any():
            scanner.feed(piece)
        else:
            scanner.skip(len(piece))
        at, turn = at + len(piece), turn + 1
    scanner.finish()
    return list(scanner.result())


def painted(found, shape):
    volume = np.zeros(shape, np.int64)
    for channel, finding in zip(volume, found, strict=True):
        flat = channel.ravel(order="F")
        for start, stop, value in zip(finding.runs.start, finding.runs.stop, finding.values, strict=True):
            assert start // shape[1] == (stop - 1) // shape[1], "a run ends with its row"
            flat[start:stop] = value
        channel[...] = flat.reshape(shape[1:], order="F")
    return volume


@st.composite
def volumes(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (draw(st.sampled_from([1, 2, 3, 7, 8, 9, 15, 16, 17, 24])), *rng.integers(1, 8, 3))
    coarse = rng.integers(0, draw(st.sampled_from([2, 4])), shape) * (rng.random(shape) < rng.choice([0.02, 0.3, 1]))
    return np.repeat(coarse, draw(st.sampled_from([1, 3])), axis=1)


@quick
@given(volumes(), st.lists(st.integers(1, 12), min_size=1, max_size=3), st.sampled_from([np.uint8, np.int16]))
def test_the_runs_are_the_volume_again(volume, lengths, dtype):
    found = scanned(volume.astype(dtype), lengths)
    assert np.array_equal(painted(found, volume.shape), volume)


@quick
@given(volumes(), st.lists(st.integers(1, 12), min_size=1, max_size=3))
def test_binarised_runs_are_as_long_as_the_foreground(volume, lengths):
    found = scanned(volume.astype(np.uint8), lengths, binarise=True)
    assert np.array_equal(painted(found, volume.shape), volume != 0)
    for channel, finding in zip(volume != 0, found, strict=True):
        begins = np.diff(channel.astype(int), axis=0, prepend=0) == 1
        assert len(finding.runs) == begins.sum()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_a_mask_that_fills_the_grid_has_one_run_per_row(dtype):
    (found,) = scanned(np.ones((1, 5, 4, 3), dtype), [2])
    assert found.runs.start.tolist() == list(range(0, 60, 5))


def test_only_the_chosen_findings_are_kept():
    scanner = RunScanner((3, 8, 1, 1), range(1, 2), binarise=False)
    scanner.feed(np.arange(24, dtype=np.uint8))
    scanner.finish()
    (found,) = scanner.result()
    assert found.values.tolist() == list(range(1, 24, 3))


@pytest.mark.parametrize(
    ("counts", "portions"),
    [
        ([3, 3, 3], [range(3)]),
        ([6, 4, 1], [range(2), range(2, 3)]),
        ([20, 0, 5, 6], [range(1), range(1, 3), range(3, 4)]),
        ([0, 11], [range(1), range(1, 2)]),
    ],
)
def test_findings_with_too_many_runs_are_taken_in_portions(monkeypatch, counts, portions):
    monkeypatch.setattr("evaluation.masks.scan.MAX_RUNS_AT_ONCE", 10)
    volume = np.zeros((len(counts), 64, 1, 1), np.uint8)
    for channel, count in zip(volume, counts, strict=True):
        channel[: 2 * count : 2] = 1
    scanner = RunScanner(volume.shape, range(len(counts)), binarise=False)
    stream = volume.ravel(order="F")
    scanner.feed(np.concatenate([stream, np.zeros(-len(stream) % WORD, np.uint8)]))
    scanner.finish()
    assert scanner.overflowed == (sum(counts) > 10)
    assert list(scanner.portions()) == portions
