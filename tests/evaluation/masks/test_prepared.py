"""Prepared references: the same numbers without reading the mask again."""

import stat

import numpy as np
import pytest

from evaluation import InvalidMask
from evaluation.masks.prepared import Damaged, open_prepared, open_reference, prepare
from evaluation.metrics.scoring import assess
from tests.evaluation import builders

MASK = np.zeros((2, 9, 8, 7), np.uint8)
MASK[0, 2:6, 1:4, 2:5], MASK[0, 7:, 5:, 5:] = 1, 200


@pytest.fixture
def reference(tmp_path):
    return builders.mask_file(tmp_path / "reference.nii.gz", MASK)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "prepared"


def test_it_scores_as_the_mask_does(tmp_path, reference, folder):
    prediction = builders.mask_file(tmp_path / "prediction.nii.gz", np.roll(MASK, 1, axis=2))
    case = builders.a_case(MASK.shape, ["1a", "2b"], (1.0, 0.5, 2.0))
    prepared = open_prepared(prepare(reference, folder))
    for path in (prediction, None):
        assert assess(case, lambda: prepared, path) == assess(case, lambda: open_reference(reference), path)


def test_it_is_made_once_for_the_same_content_under_any_name(reference, folder):
    first = prepare(reference, folder)
    made = first.stat().st_mtime_ns
    copy = reference.with_name("copy.nii.gz")
    copy.write_bytes(reference.read_bytes())
    assert prepare(copy, folder) == first
    assert first.stat().st_mtime_ns == made


def test_another_content_is_another_file(reference, folder):
    first = prepare(reference, folder)
    builders.mask_file(reference, np.roll(MASK, 1, axis=1))
    assert prepare(reference, folder) != first


def test_only_its_owner_can_read_it(reference, folder):
    prepared = prepare(reference, folder)
    assert stat.S_IMODE(prepared.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_unusable_mask_leaves_nothing_behind(reference, folder):
    reference.write_bytes(b"garbage")
    with pytest.raises(InvalidMask, match="NIfTI"):
        prepare(reference, folder)
    assert list(folder.iterdir()) == []


def contents(opened):
    """All that a reference says, to compare."""
    return opened.shape, [
        (finding.runs.start.tolist(), finding.runs.stop.tolist(), finding.values.tolist())
        for finding in opened.findings
    ]


def test_any_flipped_byte_is_noticed_or_does_not_matter(reference, folder):
    prepared = prepare(reference, folder)
    whole = prepared.read_bytes()
    noticed = 0
    for position in range(len(whole)):
        for bits in (0x01, 0xFF):
            prepared.write_bytes(whole[:position] + bytes([whole[position] ^ bits]) + whole[position + 1 :])
            try:
                found = contents(open_prepared(prepared))
            except Damaged:
                noticed += 1
            else:
                assert found == contents(open_reference(reference)), position
    assert noticed > len(whole)


@pytest.mark.parametrize("damage", [lambda raw: b"", lambda raw: raw[:-40], lambda raw: raw[40:], lambda raw: b"no"])
def test_a_part_of_it_is_noticed(reference, folder, damage):
    prepared = prepare(reference, folder)
    prepared.write_bytes(damage(prepared.read_bytes()))
    with pytest.raises(Damaged):
        open_prepared(prepared)


def test_one_that_is_gone_is_damaged(folder):
    with pytest.raises(Damaged):
        open_prepared(folder / "nothing")


def test_a_pickle_is_never_loaded(folder, reference):
    prepared = prepare(reference, folder)
    with prepared.open("wb") as stream:
        np.savez(stream, shape=np.array([{"hostile": 1}], dtype=object))
    with pytest.raises(Damaged, match="pickle"):
        open_prepared(prepared)


def test_a_mask_is_read_as_a_mask_whatever_its_name(reference):
    oddly_named = reference.rename(reference.with_name("x.runs-1.npz"))
    assert open_reference(oddly_named).shape == MASK.shape


def test_large_and_negative_entity_values_are_kept(tmp_path, folder):
    mask = np.zeros((1, 4, 4, 4), np.int32)
    mask[0, 0], mask[0, 3] = -7, 100_000
    (finding,) = open_prepared(prepare(builders.mask_file(tmp_path / "wide.nii.gz", mask), folder)).findings
    assert sorted(set(finding.values.tolist())) == [-7, 100_000]
