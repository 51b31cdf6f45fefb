"""What is allowed and may be a mistake: places and values of CTs, as nibabel and SimpleITK write them."""

import gzip
import json
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from leaderboard.challenge.casesets import problems
from leaderboard.challenge.casesets.geometry import Extent, look_at_extents
from leaderboard.challenge.casesets.nifti import NoCtValues, Placing, measure, read_header
from leaderboard.challenge.casesets.problems import Report
from tests.leaderboard.challenge.casesets.reading import CaseSet
from tests.leaderboard.challenge.casesets.test_official import FIRST, SECOND, problems_of, read

SHAPE = (56, 52, 30)
TURNED = np.array([[0.0, -0.8, 0, 10], [-0.7, 0, 0, 20], [0, 0, 1.5, -30], [0, 0, 0, 1]])


def ct(path: Path, affine: np.ndarray | None = None, *, low: float = -1024, dtype=np.int16) -> nib.Nifti1Image:
    voxels = np.zeros(SHAPE, dtype)
    voxels[0] = low
    image = nib.Nifti1Image(voxels, np.diag([0.7, 0.8, 1.5, 1]) if affine is None else affine)
    nib.save(image, path)
    return image


def groups(case_set: CaseSet) -> set[tuple[str, str]]:
    return {(one.group.key, one.case) for one in read(case_set).warnings}


def patch(path: Path, offset: int, content: bytes) -> None:
    plain = bytearray(gzip.decompress(path.read_bytes()))
    plain[offset : offset + len(content)] = content
    path.write_bytes(gzip.compress(bytes(plain)))


def test_a_usual_ct_says_nothing(tiny: CaseSet) -> None:
    ct(tiny.root / "images" / FIRST, TURNED)
    assert groups(tiny) == set()


@pytest.mark.parametrize("affine", [np.eye(4), np.diag([-1.0, -1, 1, 1])])
def test_an_identity_affine_waits_to_be_confirmed(tiny: CaseSet, affine: np.ndarray) -> None:
    ct(tiny.root / "images" / FIRST, affine)
    assert groups(tiny) == {("identity-affine", FIRST)}


def test_what_simpleitk_writes_of_an_array_alone_is_an_identity_affine(tiny: CaseSet) -> None:
    array = np.zeros(SHAPE[::-1], np.int16)
    array[0] = -1000
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tiny.root / "images" / FIRST))
    assert groups(tiny) == {("identity-affine", FIRST)}


def test_a_ct_without_any_affine_is_named(tiny: CaseSet) -> None:
    path = tiny.root / "images" / FIRST
    ct(path)
    patch(path, 252, struct.pack("<hh", 0, 0))  # qform_code, sform_code
    assert groups(tiny) == {("identity-affine", FIRST)}


def test_a_spacing_of_zero_is_named(tiny: CaseSet) -> None:
    path = tiny.root / "images" / FIRST
    ct(path)
    patch(path, 80, struct.pack("<fff", 0, 0, 0))  # pixdim[1..3]
    found = groups_or_problems(tiny)
    assert ("pixdim-zero", FIRST) in found


def groups_or_problems(case_set: CaseSet) -> set[tuple[str, str]]:
    try:
        return groups(case_set)
    except problems.CaseSetProblems as caught:
        return {(one.group.key, one.case) for one in (*caught.problems, *caught.notes)}


def test_an_affine_of_another_spacing_than_pixdim_is_named(tiny: CaseSet) -> None:
    path = tiny.root / "images" / FIRST
    ct(path)
    patch(path, 252, struct.pack("<hh", 0, 1))
    patch(path, 88, struct.pack("<f", 3.0))  # pixdim[3], which the sform says is 1.5
    assert groups(tiny) == {("affine-pixdim", FIRST)}


def test_an_sform_and_a_qform_that_turn_differently_are_named(tiny: CaseSet) -> None:
    image = ct(tiny.root / "images" / FIRST, TURNED)
    image.header.set_qform(np.diag([0.7, 0.8, 1.5, 1]), code=1)
    image.header.set_sform(np.diag([-0.7, -0.8, 1.5, 1]), code=1)
    nib.save(nib.Nifti1Image(image.dataobj, None, image.header), tiny.root / "images" / FIRST)
    assert groups(tiny) == {("affine-pixdim", FIRST)}


@pytest.mark.parametrize("code", [0, 1])
def test_the_place_is_what_nibabel_reads(tmp_path: Path, code: int) -> None:
    """By the quaternion alone, and by the matrix."""
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0] * [0.7, 0.8, 1.5]
    affine = np.eye(4)
    affine[:3, :3] = turn
    image = nib.Nifti1Image(np.zeros(SHAPE, np.int16), affine)
    image.header.set_sform(affine, code=code)
    image.header.set_qform(affine, code=1)
    nib.save(image, tmp_path / "a.nii.gz")
    placing = Placing.of(read_header(tmp_path / "a.nii.gz"))
    assert placing.qform is not None
    assert placing.axes is not None
    np.testing.assert_allclose(placing.axes, nib.load(tmp_path / "a.nii.gz").affine[:3, :3], atol=1e-5)  # type: ignore
    np.testing.assert_allclose(placing.qform, turn, atol=1e-5)


# ---- masks


def mask_with(case_set: CaseSet, affine: np.ndarray) -> None:
    nib.save(nib.Nifti1Image(case_set.mask(FIRST), affine), case_set.root / "masks" / FIRST)


def test_masks_lie_where_their_ct_does_or_nowhere(tiny: CaseSet) -> None:
    ct(tiny.root / "images" / FIRST, TURNED)
    for affine in (TURNED, np.eye(4)):
        mask_with(tiny, affine)
        assert groups(tiny) == set()
    mask_with(tiny, TURNED * np.array([[-1], [-1], [1], [1]]))
    assert groups(tiny) == {("mask-affine", FIRST)}


# ---- values


def test_values_without_air_wait_to_be_confirmed(tiny: CaseSet) -> None:
    ct(tiny.root / "images" / FIRST, low=0)
    [warning] = read(tiny).warnings
    assert warning.group == problems.NOT_HU
    assert "go from 0 to 0" in warning.text


@pytest.mark.parametrize(("value", "words"), [(np.nan, "NaN"), (np.inf, "not finite"), (70_000.0, "70,000 HU")])
def test_values_that_no_ct_has_are_found_by_the_check(tiny: CaseSet, value: float, words: str) -> None:
    ct(tiny.root / "images" / FIRST, low=value, dtype=np.float32)
    ct(tiny.root / "images" / SECOND, low=value, dtype=np.float64)
    found = problems_of(tiny)
    assert words in found[FIRST][0]
    assert words in found[SECOND][0]


def test_values_are_measured_by_the_scaling_of_the_header(tmp_path: Path) -> None:
    image = ct(tmp_path / "a.nii.gz", low=2)
    image.header.set_slope_inter(2.0, -1024.0)
    nib.save(image, tmp_path / "a.nii.gz")
    patch(tmp_path / "a.nii.gz", 112, struct.pack("<ff", 2.0, -1024.0))
    low, high = measure(tmp_path / "a.nii.gz")
    assert (low, high) == (-1024.0, -1020.0)


def test_a_slope_that_leads_out_of_what_a_ct_has_is_refused(tmp_path: Path) -> None:
    ct(tmp_path / "a.nii.gz", low=1000)
    patch(tmp_path / "a.nii.gz", 112, struct.pack("<ff", 70.0, 0.0))
    with pytest.raises(NoCtValues, match="70,000 HU"):
        measure(tmp_path / "a.nii.gz")


# ---- far from the rest


def far(*spacings: float) -> list[str]:
    report = Report()
    look_at_extents(report, [Extent(f"c{at}", (512, 512, 300), (0.7, 0.7, one)) for at, one in enumerate(spacings)])
    return [one.case for one in report.warnings]


def test_a_spacing_far_from_the_rest_is_named() -> None:
    assert far(1.0, 1.0, 1.25, 1.5, 1.0, 5.0) == ["c5"]
    assert far(1.0, 1.0, 1.25, 1.5, 1.0, 0.2) == ["c5"]


def test_sets_that_vary_and_small_sets_are_left_alone() -> None:
    assert far(0.6, 1.0, 1.25, 2.0, 2.5, 3.0, 5.0) == []
    assert far(1.0, 1.0, 5.0) == []


def test_a_shape_far_from_the_rest_is_named(tiny: CaseSet) -> None:
    report = Report()
    shapes = [(512, 512, 300)] * 5 + [(128, 512, 300)]
    look_at_extents(report, [Extent(f"c{at}", one, (0.7, 0.7, 1)) for at, one in enumerate(shapes)])
    assert [(one.case, one.group) for one in report.warnings] == [("c5", problems.FAR)]
    assert "along H is 128 voxels" in report.warnings[0].text
    assert json.dumps([one.as_json() for one in report.warnings])
