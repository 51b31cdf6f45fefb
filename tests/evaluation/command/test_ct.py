"""What an affine says of the spacing, in headers that nibabel wrote."""

import gzip
import struct

import nibabel
import numpy as np
import pytest

from evaluation.command.ct import CTFolder, affine_spacing
from evaluation.masks.nifti import NiftiStream

NAME = "valid_1_a_1.nii.gz"
ROTATED = np.array([[0.0, -0.7, 0, 10], [0.7, 0, 0, 20], [0, 0, -2.0, 30], [0, 0, 0, 1]])
DISAGREES = "the CT volume's affine (sform) and its pixdim disagree about the spacing; pixdim is used"


FIELDS = {nibabel.Nifti1Image: (80, "3f", 254, "h"), nibabel.Nifti2Image: (112, "3d", 348, "i")}


def save(folder, kind, pixdim=None, code=None):
    """A volume by nibabel, which keeps affine and pixdim together, as a program that does not leaves it."""
    nibabel.save(kind(np.zeros((3, 4, 5), np.int16), ROTATED), folder / NAME)
    content = bytearray(gzip.decompress((folder / NAME).read_bytes()))
    pixdim_at, pixdim_form, code_at, code_form = FIELDS[kind]
    if pixdim is not None:
        struct.pack_into("<" + pixdim_form, content, pixdim_at, *pixdim)
    if code is not None:
        struct.pack_into("<" + code_form, content, code_at, code)
    (folder / NAME).write_bytes(gzip.compress(content))
    return folder / NAME


@pytest.fixture(params=[nibabel.Nifti1Image, nibabel.Nifti2Image])
def kind(request):
    """Either version of the format."""
    return request.param


def volume(folder):
    return CTFolder(folder, [NAME]).volume(NAME)


def test_an_affine_that_agrees_is_not_mentioned(tmp_path, kind):
    with NiftiStream(save(tmp_path, kind)) as stream:
        assert affine_spacing(stream.header) == pytest.approx((0.7, 0.7, 2.0))
    assert volume(tmp_path).remarks == ()


@pytest.mark.parametrize("pixdim", [(1, 1, 1), (0.7, 0.7, 2.01), (2.0, 0.7, 0.7)])
def test_an_affine_that_disagrees_is_mentioned_and_pixdim_used(tmp_path, kind, pixdim):
    save(tmp_path, kind, pixdim)
    found = volume(tmp_path)
    assert found.remarks == (DISAGREES,)
    assert found.header.spacing_mm == pytest.approx(pixdim)


@pytest.mark.parametrize("code", [0, -1])
def test_an_affine_without_meaning_is_not_asked(tmp_path, kind, code):
    save(tmp_path, kind, (9, 9, 9), code)
    assert volume(tmp_path).remarks == ()


def test_a_negative_spacing_is_the_same_size(tmp_path, kind):
    save(tmp_path, kind, (-0.7, 0.7, 2.0))
    assert volume(tmp_path).remarks == ()


def test_there_may_be_no_volume(tmp_path):
    assert volume(tmp_path) is None
