"""From voxels to runs, for any number of findings, any cut of the stream, and with the compiled kernel or without."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.masks import scan
from evaluation.masks.run_lengths import PackedRuns, Runs
from evaluation.masks.scan import scanner
from tests.evaluation.ways import WAYS, way

quick = settings(max_examples=100, deadline=None)


def scanned(volume, lengths, binarise=False):
    """The runs of each finding of a volume (F, H, W, D), fed in pieces of these lengths, over and over."""
    stream = volume.ravel(order="F")
    found = scanner(volume.shape, of_bytes=volume.dtype == np.uint8, binarise=binarise)
    at, turn = 0, 0
    while at < len(stream):
        piece = stream[at : at + lengths[turn % len(lengths)]]
        if piece.any():
            found.feed(piece)
        else:
            found.skip(len(piece))
        at, turn = at + len(piece), turn + 1
    return list(found.result())


def painted(found, shape):
    volume = np.zeros(shape, np.int64)
    for channel, finding in zip(volume, found, strict=True):
        flat = channel.ravel(order="F")
        runs = finding.runs.unpacked()
        values = np.broadcast_to(finding.values, len(runs))
        for start, stop, value in zip(runs.start, runs.stop, values, strict=True):
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


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("run_bytes", [0, scan.RUN_BYTES, 1 << 40])
@quick
@given(
    volume=volumes(),
    lengths=st.lists(st.integers(1, 99), min_size=1, max_size=3),
    dtype=st.sampled_from([np.uint8, np.int16]),
)
def test_the_runs_are_the_volume_again(name, run_bytes, volume, lengths, dtype):
    with way(name), mock.patch.object(scan, "RUN_BYTES", run_bytes), mock.patch.object(scan, "PENDING_CHANGES", 9):
        found = scanned(volume.astype(dtype), lengths)
        assert np.array_equal(painted(found, volume.shape), volume)


@pytest.mark.parametrize("name", WAYS)
@quick
@given(volume=volumes(), lengths=st.lists(st.integers(1, 99), min_size=1, max_size=3))
def test_binarised_runs_are_as_long_as_the_foreground(name, volume, lengths):
    with way(name):
        found = scanned(volume.astype(np.uint8), lengths, binarise=True)
    assert np.array_equal(painted(found, volume.shape), volume != 0)
    for channel, finding in zip(volume != 0, found, strict=True):
        begins = np.diff(channel.astype(int), axis=0, prepend=0) == 1
        assert len(finding.runs) == begins.sum()


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_a_mask_that_fills_the_grid_has_one_run_per_row(name, dtype):
    with way(name):
        (found,) = scanned(np.ones((1, 5, 4, 3), dtype), [2])
        assert found.runs.unpacked().start.tolist() == list(range(0, 60, 5))


def test_a_table_that_is_full_in_the_middle_of_a_run_is_emptied(monkeypatch):
    monkeypatch.setattr("evaluation.masks.scan.TABLE_RUNS", 6)
    monkeypatch.setattr("evaluation.masks.scan.MIN_TABLE_RUNS", 2)
    volume = np.ones((3, 4, 5, 6), np.uint8)
    volume[1, ::2] = 0
    with way("compiled"):
        assert np.array_equal(painted(scanned(volume, [1000]), volume.shape), volume)


@pytest.mark.parametrize("name", WAYS)
def test_a_checkerboard_is_packed_and_a_second_value_unpacks_it(name):
    board = (np.indices((64, 9, 9)).sum(axis=0) % 2).astype(np.uint8)[None]
    with way(name):
        (found,) = scanned(board, [500])
        assert isinstance(found.runs, PackedRuns)
        assert (len(found.runs), found.runs.voxels) == (board.sum(), board.sum())
        board[0, -1, -1, -1] = 7
        (found,) = scanned(board, [500])
        assert isinstance(found.runs, Runs)
        assert np.array_equal(painted([found], board.shape), board)
