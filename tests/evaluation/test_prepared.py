"""Prepared references: the same numbers without reading the mask again."""

import stat

import numpy as np
import pytest

from evaluation import EvaluationError, InvalidMask, score_case
from evaluation.prepared import open_reference, prepare
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
    prepared = prepare(reference, folder)
    assert score_case(case, prepared, prediction) == score_case(case, reference, prediction)
    assert score_case(case, prepared, None) == score_case(case, reference, None)


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


@pytest.mark.parametrize("damage", [lambda raw: b"", lambda raw: raw[:-40], lambda raw: raw.replace(b"\x02", b"\x03")])
def test_damage_is_noticed(reference, folder, damage):
    prepared = prepare(reference, folder)
    prepared.write_bytes(damage(prepared.read_bytes()))
    with pytest.raises(InvalidMask, match="damaged"):
        open_reference(prepared)
    with pytest.raises(EvaluationError, match="unusable"):
        score_case(builders.a_case(MASK.shape), prepared, None)


def test_a_pickle_is_never_loaded(folder, reference):
    prepared = prepare(reference, folder)
    with prepared.open("wb") as stream:
        np.savez(stream, shape=np.array([{"hostile": 1}], dtype=object))
    with pytest.raises(InvalidMask, match="damaged"):
        open_reference(prepared)


def test_large_and_negative_entity_values_are_kept(tmp_path, folder):
    mask = np.zeros((1, 4, 4, 4), np.int32)
    mask[0, 0], mask[0, 3] = -7, 100_000
    (finding,) = open_reference(prepare(builders.mask_file(tmp_path / "wide.nii.gz", mask), folder)).findings
    assert sorted(set(finding.values.tolist())) == [-7, 100_000]
