"""Honest files, usual and unusual, are read as nibabel and SimpleITK read them."""

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import EvaluationError, inspect_mask
from evaluation.masks.nifti import NiftiStream
from evaluation.masks.reading import read_prediction, read_reference
from tests.evaluation import builders

SHAPE = (2, 5, 4, 3)
MASK = (np.random.default_rng(0).random(SHAPE) < 0.4).astype(np.uint8)


def dense(path, shape=SHAPE):
    """The binarised prediction, dense again."""
    volume = np.zeros((shape[0], np.prod(shape[1:])), bool)
    for channel, found in zip(volume, read_prediction(path, shape), strict=True):
        runs = found.unpacked()
        for start, stop in zip(runs.start, runs.stop, strict=True):
            channel[start:stop] = True
    return np.stack([channel.reshape(shape[1:], order="F") for channel in volume])


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz"])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", sorted(builders.CODES))
def test_it_reads_every_type_byte_order_and_version(tmp_path, dtype, order, version, name):
    path = builders.mask_file(tmp_path / name, MASK.astype(dtype), order=order, version=version)
    assert np.array_equal(dense(path), MASK > 0)
    image = nibabel.load(path)
    assert isinstance(image, nibabel.Nifti1Pair)
    assert np.array_equal(image.get_fdata(), MASK)


def test_it_agrees_with_nibabel_about_the_axes(tmp_path):
    nibabel.save(nibabel.Nifti1Image(MASK, np.eye(4)), tmp_path / "mask.nii.gz")
    assert np.array_equal(dense(tmp_path / "mask.nii.gz"), MASK > 0)


def test_it_agrees_with_simpleitk_about_the_axes(tmp_path):
    image = SimpleITK.GetImageFromArray(MASK.transpose(3, 2, 1, 0), isVector=False)
    SimpleITK.WriteImage(image, tmp_path / "mask.nii.gz")
    assert np.array_equal(dense(tmp_path / "mask.nii.gz"), MASK > 0)


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", ["u1", "i1", ">i2", "u2", "i4", "u4", "i8", "u8", "f4", ">f8"])
def test_it_reads_whatever_nibabel_writes(tmp_path, dtype, kind, name):
    image = kind(MASK.astype(dtype), np.diag([-0.7, 0.7, 2.5, 1.0]), dtype=np.dtype(dtype))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"made by a careful team" * 99))
    nibabel.save(image, tmp_path / name)
    assert np.array_equal(dense(tmp_path / name), MASK > 0)


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_it_reads_whatever_simpleitk_writes(tmp_path, dtype, name):
    image = SimpleITK.GetImageFromArray(MASK.T.astype(dtype), isVector=False)
    image.SetSpacing((1.0, 0.7, 0.7, 2.5))
    SimpleITK.WriteImage(image, tmp_path / name, useCompression=True, compressionLevel=9)
    assert np.array_equal(dense(tmp_path / name), MASK > 0)


@pytest.mark.parametrize("shape", [(1, 5, 4, 3), (2, 5, 4, 1), (2, 5, 1, 1), (1, 1, 1, 1), (2, 1, 1, 3)])
def test_it_reads_axes_of_length_one_as_both_libraries_write_them(tmp_path, shape):
    mask = np.ascontiguousarray(MASK[tuple(slice(length) for length in shape)])
    nibabel.save(nibabel.Nifti1Image(mask, None), tmp_path / "nibabel.nii")
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(mask.T, isVector=False), tmp_path / "simpleitk.nii")
    assert np.array_equal(dense(tmp_path / "nibabel.nii", shape), mask > 0)
    assert np.array_equal(dense(tmp_path / "simpleitk.nii", shape), mask > 0)


def test_it_reads_several_gzip_members_and_zero_padding(tmp_path):
    content = builders.nifti_bytes(MASK)
    parts = (content[:100], content[100:352], content[352:400], content[400:])
    (tmp_path / "mask.nii.gz").write_bytes(b"".join(gzip.compress(part) for part in parts) + bytes(64))
    assert np.array_equal(dense(tmp_path / "mask.nii.gz"), MASK > 0)


def test_it_goes_by_content_not_by_extension(tmp_path):
    (tmp_path / "plain.nii.gz").write_bytes(builders.nifti_bytes(MASK))
    (tmp_path / "packed.nii").write_bytes(gzip.compress(builders.nifti_bytes(MASK)))
    assert np.array_equal(dense(tmp_path / "plain.nii.gz"), MASK > 0)
    assert np.array_equal(dense(tmp_path / "packed.nii"), MASK > 0)


def test_it_skips_header_extensions(tmp_path):
    path = builders.mask_file(tmp_path / "mask.nii.gz", MASK, extension=b"\x07" * 160)
    assert np.array_equal(dense(path), MASK > 0)


def test_a_wrong_affine_changes_nothing(tmp_path):
    nibabel.save(nibabel.Nifti1Image(MASK, np.diag([-3.0, 0.1, 9.0, 1.0])), tmp_path / "mask.nii.gz")
    assert np.array_equal(dense(tmp_path / "mask.nii.gz"), MASK > 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_a_mask_that_nibabel_scaled_to_fit_its_type_is_read_as_it_was_meant(tmp_path, dtype):
    image = nibabel.Nifti1Image(MASK.astype(np.float32), np.eye(4))
    image.set_data_dtype(dtype)
    nibabel.save(image, tmp_path / "mask.nii.gz")
    with NiftiStream(tmp_path / "mask.nii.gz") as stream:
        assert stream.header.scaled
    assert np.array_equal(dense(tmp_path / "mask.nii.gz"), MASK > 0)


def test_slope_and_intercept_are_applied(tmp_path):
    path = builders.mask_file(tmp_path / "mask.nii", (1 - MASK).astype(np.uint8), slope=-2, inter=2)
    assert np.array_equal(dense(path), MASK > 0)


@pytest.mark.parametrize("slope", [0, float("nan"), float("inf")])
def test_a_slope_of_zero_or_no_number_means_no_scaling(tmp_path, slope):
    path = builders.mask_file(tmp_path / "mask.nii", MASK, slope=slope, inter=7)
    assert np.array_equal(dense(path), MASK > 0)


def test_extra_axes_of_length_one_are_accepted(tmp_path):
    path = builders.mask_file(tmp_path / "mask.nii", MASK[..., None, None])
    assert np.array_equal(dense(path), MASK > 0)


def test_a_3d_file_is_accepted_for_one_finding(tmp_path):
    path = builders.mask_file(tmp_path / "mask.nii", MASK[0])
    assert np.array_equal(dense(path, (1, 5, 4, 3)), MASK[:1] > 0)


def test_a_3d_file_is_accepted_for_one_slice(tmp_path):
    path = builders.mask_file(tmp_path / "mask.nii", MASK[..., 0])
    assert np.array_equal(dense(path, (2, 5, 4, 1)), MASK[..., :1] > 0)


def test_negative_zero_is_background(tmp_path):
    path = builders.mask_file(tmp_path / "mask.nii", np.full(SHAPE, -0.0, np.float32))
    assert not dense(path).any()


def test_a_reference_keeps_any_whole_numbers(tmp_path):
    volume = np.zeros((1, 4, 3, 2), np.int32)
    volume[0, :, 0, 0] = [300, 300, -7, 70000]
    volume[0, 3, 2, 1] = 300
    summary = inspect_mask(builders.mask_file(tmp_path / "reference.nii.gz", volume))
    assert summary.shape == (1, 4, 3, 2)
    assert summary.entities == ({-7: 1, 300: 3, 70000: 1},)


def test_runs_of_a_reference_end_where_the_value_changes(tmp_path):
    volume = np.zeros((2, 4, 2, 1), np.uint8)
    volume[0, :, 0, 0] = [1, 1, 2, 0]
    volume[0, :, 1, 0] = [2, 0, 2, 2]
    first, second = read_reference(builders.mask_file(tmp_path / "reference.nii", volume), volume.shape)
    runs = first.runs.unpacked()
    assert (runs.start.tolist(), runs.stop.tolist()) == ([0, 2, 4, 6], [2, 3, 5, 8])
    assert first.values.tolist() == [1, 2, 2, 2]
    assert len(second.runs) == 0


def test_a_3d_reference_is_one_finding(tmp_path):
    assert inspect_mask(builders.mask_file(tmp_path / "reference.nii", MASK[0])).shape == (1, 5, 4, 3)


@pytest.mark.parametrize("shape", [(5, 4), (2, 5, 4, 3, 2), (2000, 1, 1, 1)])
def test_a_reference_of_another_kind_of_shape_is_refused(tmp_path, shape):
    with pytest.raises(EvaluationError, match="shape"):
        inspect_mask(builders.mask_file(tmp_path / "reference.nii", np.zeros(shape, np.uint8)))


def test_chunks_may_end_anywhere(tmp_path, monkeypatch):
    monkeypatch.setattr("evaluation.masks.reading.CHUNK_BYTES", 64)
    monkeypatch.setattr("evaluation.masks.nifti.PIECE_BYTES", 50)
    assert np.array_equal(dense(builders.mask_file(tmp_path / "mask.nii.gz", MASK)), MASK > 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 9), min_size=4, max_size=4), st.sampled_from([0.02, 0.5, 0.98]))
def test_it_reads_random_masks(tmp_path_factory, seed, shape, density):
    mask = np.random.default_rng(seed).random(shape) < density
    path = builders.mask_file(tmp_path_factory.mktemp("random") / "mask.nii", mask)
    assert np.array_equal(dense(path, tuple(shape)), mask)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"pixdim": [1, 0.7, 0.8, 2.5, 0, 0, 0, 0]}, (0.7, 0.8, 2.5)),
        ({"pixdim": [-1, -0.7, 0.8, 2.5, 0, 0, 0, 0]}, (0.7, 0.8, 2.5)),
        ({"pixdim": [1, 0.002, 0.003, 0.004, 0, 0, 0, 0], "unit": 1}, (2, 3, 4)),
        ({"pixdim": [1, 700, 800, 900, 0, 0, 0, 0], "unit": 3 | 8}, (0.7, 0.8, 0.9)),
        ({"pixdim": [1, 0, 1, 1, 0, 0, 0, 0]}, None),
        ({"pixdim": [0] * 8}, None),
        ({"pixdim": [1, float("nan"), 1, 1, 0, 0, 0, 0]}, None),
    ],
)
def test_the_spacing_of_a_ct_volume(tmp_path, fields, expected):
    path = builders.mask_file(tmp_path / "ct.nii", np.zeros((4, 3, 2), np.int16), **fields)
    with NiftiStream(path) as stream:
        found = stream.header.spacing_mm
    assert found == (expected and pytest.approx(expected, rel=1e-6))
