"""The digest of what a mask holds: equal for equal voxels, however they were saved, and for nothing else."""

import gzip
from typing import Any

import numpy as np
import pytest

from evaluation.masks import reading
from evaluation.masks.mask_digest import MaskDigest
from evaluation.masks.reading import read_prediction
from tests.evaluation import builders

SHAPE = (2, 6, 5, 4)
MASK = np.random.default_rng(3).integers(0, 2, SHAPE, np.uint8)


def digest(path):
    made = MaskDigest()
    for channel, runs in enumerate(read_prediction(path, SHAPE)):
        made.add(str(channel), runs)
    return made.value()


@pytest.fixture
def known(tmp_path):
    """The digest of MASK, plainly saved."""
    return digest(builders.mask_file(tmp_path / "plain.nii", MASK))


SAVED: dict[str, dict[str, Any]] = {
    "floats, big-endian": {"array": MASK.astype("f4"), "order": ">"},
    "other values": {"array": MASK * 7},
    "scaled": {"array": MASK * 2, "slope": 0.5},
    "NIfTI-2 with an extension": {"array": MASK, "version": 2, "extension": bytes(16)},
    "other spacing": {"array": MASK, "pixdim": [1, 9, 9, 9, 9, 1, 1, 1]},
}


@pytest.mark.parametrize("how", SAVED)
def test_the_same_voxels_have_one_digest_however_they_are_saved(tmp_path, known, how):
    assert digest(builders.mask_file(tmp_path / "other.nii.gz", **SAVED[how])) == known


def test_how_a_file_is_compressed_and_read_changes_nothing(tmp_path, known, monkeypatch):
    path = tmp_path / "other.nii.gz"
    path.write_bytes(gzip.compress(builders.nifti_bytes(MASK), 9, mtime=12345))
    monkeypatch.setattr(reading, "CHUNK_BYTES", 24)
    assert digest(path) == known


def test_other_voxels_or_the_same_ones_of_another_finding_have_another(tmp_path, known):
    one_more = MASK.copy()
    one_more[1, 0, 0, 0] ^= 1
    assert len({known, *(digest(builders.mask_file(tmp_path / "m.nii", one)) for one in (one_more, MASK[::-1]))}) == 3


def test_an_empty_mask_has_none(tmp_path):
    assert digest(builders.mask_file(tmp_path / "empty.nii", MASK * 0)) == ""


ONE = MASK[:1]


@pytest.mark.parametrize(
    ("mask", "same"),
    [
        (np.concatenate([ONE, ONE]), True),
        (np.concatenate([ONE, ONE * 3]), True),
        (MASK, False),
        (np.concatenate([ONE, ONE * 0]), False),
        (MASK * 0, False),
        (np.concatenate([ONE, ONE, MASK[1:]]), False),
        (np.concatenate([MASK[1:], ONE, ONE]), False),
        (np.concatenate([ONE, ONE, ONE]), True),
        (ONE, False),
    ],
)
def test_equal_channels_are_known_where_there_are_several_and_something_in_them(tmp_path, mask, same):
    made = MaskDigest()
    for channel, runs in enumerate(read_prediction(builders.mask_file(tmp_path / "mask.nii", mask), mask.shape)):
        made.add(str(channel), runs)
    assert made.same_channels is same
