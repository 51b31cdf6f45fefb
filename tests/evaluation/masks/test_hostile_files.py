"""Whatever a prediction file is, the answer is a score or a reason that says what to change."""

import gzip
import os
import random
import struct
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from evaluation import EvaluationError, InvalidMask, MaskProblem, mask_problem, score_case
from evaluation.masks.reading import read_prediction
from tests.evaluation import builders

SHAPE = (3, 6, 5, 4)
MASK = (np.random.default_rng(1).random(SHAPE) < 0.3).astype(np.uint8)
GOOD = builders.nifti_bytes(MASK)


@pytest.fixture
def verdict(tmp_path):
    """Scores a file with the given bytes against a good reference."""
    reference = builders.mask_file(tmp_path / "reference.nii.gz", MASK)
    case = builders.a_case(SHAPE, ["1a", "2a", "2d"], (1.0, 1.0, 2.0))

    def judge(content, *, compress=True):
        path = tmp_path / "prediction.nii.gz"
        path.write_bytes(gzip.compress(content) if compress else content)
        return score_case(case, reference, path)

    return judge


def assert_invalid(result, reason):
    assert result["status"] == "invalid"
    assert reason in result["reason"]
    assert result["dice"] == 0
    for finding in result["findings"]:
        assert (finding["dice"], finding["dice_raw"], finding["hit"], finding["hit_05"]) == (0, 0, False, False)
        assert (finding["tp"], finding["fp"], finding["fn"]) == (0, 0, finding["n_reference"])
        assert (finding["distance_tp"], finding["distance_fp"]) == (0, 0)
        assert finding["distance_fn"] == finding["n_reference"]


def test_the_good_file_is_scored(verdict):
    assert verdict(GOOD)["status"] == "scored"


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (MASK * 0.9, "values are not integers: found 0.9; threshold your probabilities before saving"),
        (MASK.astype(np.float32) * np.float32(1e-30), "values are not integers: found 1e-30"),
        (np.where(MASK, np.nan, 0), "values are not finite: found nan"),
        (np.where(MASK, np.inf, 0), "values are not finite: found inf"),
        (MASK.astype(np.int16) * -1, "values are negative: found -1"),
        (MASK.astype(np.int16) * 256, "values are above 255: found 256"),
        (MASK * 1e300, "values are far too large: found 1e+300"),
        (MASK.astype(np.uint64) * 2**63, "values are far too large: found 9.22337204e+18"),
        (
            MASK.transpose(1, 2, 3, 0),
            "shape (6, 5, 4, 3), expected (3, 6, 5, 4); it looks like (H, W, D, F), findings last",
        ),
        (MASK[..., :3], "shape (3, 6, 5, 3), expected (3, 6, 5, 4)"),
        (MASK[0], "shape (6, 5, 4), expected (3, 6, 5, 4)"),
        (np.stack([MASK, MASK], axis=4), "shape (3, 6, 5, 4, 2), expected (3, 6, 5, 4)"),
    ],
)
def test_wrong_content_is_named(verdict, array, reason):
    assert_invalid(verdict(builders.nifti_bytes(array)), reason)


def test_a_slice_too_few_is_refused_from_the_header_alone(tmp_path):
    path = builders.write(tmp_path / "prediction.nii.gz", builders.header_1((3, 512, 512, 350), 2) + bytes(4))
    with pytest.raises(InvalidMask) as refused:
        list(read_prediction(path, (3, 512, 512, 351)))
    assert str(refused.value).startswith("shape (3, 512, 512, 350), expected (3, 512, 512, 351); D differs from the CT")


@pytest.mark.parametrize(
    ("join", "shape"), [(SimpleITK.JoinSeries, (6, 5, 4, 3)), (SimpleITK.Compose, (6, 5, 4, 1, 3))]
)
def test_findings_that_simpleitk_joined_on_its_last_axis_are_refused(verdict, tmp_path, join, shape):
    findings = [SimpleITK.GetImageFromArray(finding.T) for finding in MASK]
    SimpleITK.WriteImage(join(findings), tmp_path / "joined.nii.gz")
    content = (tmp_path / "joined.nii.gz").read_bytes()
    assert_invalid(verdict(content, compress=False), f"shape {shape}, expected (3, 6, 5, 4)")


@pytest.mark.parametrize(("dtype", "found"), [("u1", 2.94117652), ("i2", 2.9999237)])
def test_labels_that_nibabel_scaled_until_they_were_lost_are_refused(verdict, dtype, found):
    """Saved as integers of few bits, floats from 0 to 50 become multiples of 50 / 255 or 50 / 65535."""
    labels = MASK * 3.0
    labels[0, 0, 0, 0] = 50
    image = nibabel.Nifti1Image(labels, None)
    image.set_data_dtype(dtype)
    assert_invalid(verdict(image.to_bytes()), f"values are not integers: found {found}")


def test_a_4d_file_with_the_finding_axis_last_is_refused_even_for_one_finding(tmp_path):
    reference = np.ones((1, 4, 4, 3), np.uint8)
    result = builders.score(tmp_path, reference, reference.transpose(1, 2, 3, 0))
    assert "shape (4, 4, 3, 1), expected (1, 4, 4, 3)" in result["reason"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code": 0}, "voxels are of no stated type"),
        ({"code": 32}, "voxels are complex numbers"),
        ({"code": 1792}, "voxels are complex numbers"),
        ({"code": 2048}, "voxels are complex numbers"),
        ({"code": 128}, "voxels are RGB colours"),
        ({"code": 2304}, "voxels are RGBA colours"),
        ({"code": 1536}, "voxels are 128-bit floats"),
        ({"code": 1}, "voxels are single bits"),
        ({"code": 4711}, "voxels are of unknown type 4711"),
        ({"magic": b"ni1\0"}, "two-file NIfTI"),
        ({"magic": b"n+2\0"}, "no NIfTI magic"),
        ({"sizeof_hdr": 347}, "not a NIfTI file"),
        ({"dim": [9, 3, 6, 5, 4, 1, 1, 1]}, "9 axes"),
        ({"dim": [-1, 3, 6, 5, 4, 1, 1, 1]}, "-1 axes"),
        ({"dim": [4, 3, 6, -5, 4, 1, 1, 1]}, "impossible shape (3, 6, -5, 4)"),
        ({"dim": [4, 3, 6, 0, 4, 1, 1, 1]}, "impossible shape"),
        ({"dim": [4, 32767, 32767, 32767, 32767, 1, 1, 1]}, "expected (3, 6, 5, 4)"),
        ({"offset": 0}, "vox_offset is 0"),
        ({"offset": -400}, "vox_offset is -400"),
        ({"offset": 1e30}, "vox_offset is 1e+30"),
        ({"offset": float("nan")}, "vox_offset is nan"),
        ({"offset": 352.5}, "vox_offset is 352.5"),
        ({"offset": 4096}, "truncated"),
        ({"offset": 360}, "truncated"),
        ({"inter": float("inf")}, "scl_inter is inf"),
        ({"inter": 0.5}, "values are not integers: found 0.5"),
        ({"slope": 1.0001}, "values are not integers: found 1.0001"),
        ({"slope": 3e38}, "values are far too large"),
        ({"code": 4}, "truncated"),
    ],
)
def test_lying_headers_are_named(verdict, changes, reason):
    assert_invalid(verdict(builders.nifti_bytes(MASK, **changes)), reason)


@pytest.mark.parametrize(
    "dims", [[4, 2**62, 2**62, 2**62, 4, 1, 1, 1], [4, -(2**63), 1, 1, 1, 1, 1, 1], [2**62, 1, 1, 1, 1, 1, 1, 1]]
)
def test_huge_nifti_2_dimensions_are_refused(verdict, dims):
    assert verdict(builders.nifti_bytes(MASK, version=2, dim=dims))["status"] == "invalid"


@pytest.mark.parametrize("offset", [2**63 - 1, -(2**63), 1 << 40])
def test_huge_nifti_2_offsets_are_refused(verdict, offset):
    assert_invalid(verdict(builders.nifti_bytes(MASK, version=2, offset=offset)), "vox_offset")


@pytest.mark.parametrize("length", [0, 1, 3, 4, 100, 347, 348, 351, 352, 353, len(GOOD) - 1])
@pytest.mark.parametrize("compress", [True, False])
def test_a_file_that_ends_early_is_refused(verdict, length, compress):
    assert_invalid(verdict(GOOD[:length], compress=compress), "")


@pytest.mark.parametrize("length", [1, 5, 10, 18, 60, -9, -8, -4, -1])
def test_a_gzip_stream_that_ends_early_is_refused(verdict, length):
    assert_invalid(verdict(gzip.compress(GOOD)[:length], compress=False), "")


@pytest.mark.parametrize("compress", [True, False])
def test_bytes_behind_the_last_voxel_are_refused(verdict, compress):
    assert_invalid(verdict(GOOD + b"\0", compress=compress), "more bytes than the shape")


def test_bytes_behind_the_gzip_stream_are_refused(verdict):
    assert_invalid(verdict(gzip.compress(GOOD) + b"garbage" * 9, compress=False), "not gzip")


@pytest.mark.parametrize("position", [-8, -5, -4, -1])
def test_a_wrong_checksum_or_length_is_refused(verdict, position):
    packed = bytearray(gzip.compress(GOOD))
    packed[position] ^= 0x10
    assert_invalid(verdict(bytes(packed), compress=False), "damaged: its gzip checksum")


def test_broken_deflate_data_is_refused(verdict):
    packed = bytearray(gzip.compress(GOOD))
    packed[12] = 0xFF
    assert_invalid(verdict(bytes(packed), compress=False), "damaged")


def test_random_bytes_are_refused(verdict):
    assert_invalid(verdict(os.urandom(5000), compress=False), "")


def test_a_bomb_is_not_inflated(verdict):
    bomb = gzip.compress(GOOD + bytes(200_000_000), 9)
    tracemalloc.start()
    assert_invalid(verdict(bomb, compress=False), "more bytes")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


def test_a_bomb_behind_a_lying_header_is_not_inflated(verdict):
    header = builders.header_1((3, 30000, 30000, 30000), 2)
    assert_invalid(verdict(header + bytes(50_000_000)), "shape (3, 30000, 30000, 30000)")


def test_a_fifo_does_not_block(tmp_path):
    reference = builders.mask_file(tmp_path / "reference.nii.gz", MASK)
    os.mkfifo(tmp_path / "prediction.nii.gz")
    result = score_case(builders.a_case(SHAPE), reference, tmp_path / "prediction.nii.gz")
    assert result["reason"] == "not a regular file"


def test_a_folder_is_not_a_file(tmp_path):
    reference = builders.mask_file(tmp_path / "reference.nii.gz", MASK)
    assert score_case(builders.a_case(SHAPE), reference, tmp_path)["reason"] == "a folder, not a file"


def test_a_dangling_link_is_invalid(tmp_path):
    reference = builders.mask_file(tmp_path / "reference.nii.gz", MASK)
    (tmp_path / "link").symlink_to("nowhere")
    result = score_case(builders.a_case(SHAPE), reference, tmp_path / "link")
    assert "cannot be opened" in str(result["reason"])


def test_mutated_files_never_raise(verdict):
    """A thousand files with a few bytes changed, cut or doubled, in the header, the data, the gzip stream."""
    chance = random.Random(20260901)
    packed = gzip.compress(GOOD)
    statuses = set()
    for _ in range(1000):
        original = chance.choice([GOOD, packed, builders.nifti_bytes(MASK.astype(np.float32), version=2)])
        content = bytearray(original)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(content)) if chance.random() < 0.5 else chance.randrange(360) % len(content)
            match chance.randrange(4):
                case 0:
                    content[place] = chance.randrange(256)
                case 1:
                    content[place] ^= 1 << chance.randrange(8)
                case 2:
                    content[place : place + 2] = struct.pack("<h", chance.choice([-1, 0, 1, 32767, -32768]))
                case 3:
                    del content[place : place + chance.randint(1, 8)]
            if not content:
                break
        statuses.add(verdict(bytes(content), compress=False)["status"])
    assert statuses == {"scored", "invalid"}


@pytest.mark.parametrize("content", [b"", GOOD[:-1], builders.nifti_bytes(MASK * 0.5)])
def test_an_unusable_reference_is_an_error_not_a_verdict(tmp_path, content):
    reference = builders.write(tmp_path / "reference.nii.gz", content)
    prediction = builders.mask_file(tmp_path / "prediction.nii.gz", MASK)
    with pytest.raises(EvaluationError, match=r"the reference of case\.nii\.gz is unusable"):
        score_case(builders.a_case(SHAPE), reference, prediction)


@pytest.mark.parametrize("case_shape", [(3, 6, 5, 3), (4, 6, 5, 4)])
def test_a_reference_that_does_not_fit_its_case_is_an_error(tmp_path, case_shape):
    reference = builders.mask_file(tmp_path / "reference.nii.gz", MASK)
    with pytest.raises(EvaluationError, match="unusable"):
        score_case(builders.a_case(case_shape), reference, None)


def test_a_failing_disk_is_no_verdict_about_the_mask():
    unreadable = Path("/proc/self/mem")  # a regular file whose first byte cannot be read
    with pytest.raises(EvaluationError, match="mem cannot be read: Input/output error") as error:
        list(read_prediction(unreadable, (1, 2, 2, 2)))
    assert not isinstance(error.value, InvalidMask)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (builders.nifti_bytes(MASK[..., :3]), MaskProblem.SHAPE),
        (builders.nifti_bytes(MASK.transpose(1, 2, 3, 0)), MaskProblem.SHAPE),
        (builders.nifti_bytes(MASK * 0.9), MaskProblem.VALUES),
        (builders.nifti_bytes(MASK.astype(np.int16) * -1), MaskProblem.VALUES),
        (builders.nifti_bytes(MASK.astype(np.int16) * 256), MaskProblem.VALUES),
        (builders.nifti_bytes(np.where(MASK, np.nan, 0)), MaskProblem.VALUES),
        (builders.nifti_bytes(MASK, code=32), MaskProblem.VALUES),
        (b"", MaskProblem.FILE),
        (b"shape of things to come", MaskProblem.FILE),
        (GOOD[:-1], MaskProblem.FILE),
    ],
)
def test_what_is_wrong_with_a_mask_is_known_from_its_reason(verdict, content, problem):
    assert mask_problem(verdict(content)["reason"]) is problem
