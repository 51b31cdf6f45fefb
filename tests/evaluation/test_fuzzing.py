"""The reader against an independent one: on random files, and on those that are worth remembering.

`python -m tests.evaluation.fuzzing` runs as many more as you have time for.
"""

import gzip
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from evaluation import InvalidMask, Job, assess_isolated
from evaluation.masks.reading import read_prediction
from tests.evaluation import builders
from tests.evaluation.fuzzing import oracle
from tests.evaluation.fuzzing.differential import Differential, Disagreement, check_reason, dense
from tests.evaluation.fuzzing.mutations import sample

INPUTS, BLOCK, SEED = 2000, 250, 20260901


@pytest.mark.parametrize("first", range(0, INPUTS, BLOCK))
def test_random_files_are_judged_as_the_oracle_judges_them(tmp_path, first):
    differential = Differential(tmp_path)
    verdicts = []
    for number in range(first, first + BLOCK):
        file = sample(SEED, number)
        try:
            verdicts.append(differential.check(file))
        except Disagreement as disagreement:
            pytest.fail(f"--seed {SEED} --first {number} --inputs 1: {disagreement}\n{file.shape}: {file.story}")
    assert 0.2 < np.mean(verdicts) < 0.8, "the fuzzer makes too few good files, or too few bad ones"


def test_an_input_can_be_made_again():
    assert sample(3, 14) == sample(3, 14)
    assert sample(3, 14) != sample(3, 15)


# ------------------------------------------------------------------------------------------------ files to remember

CORPUS = Path(__file__).parent / "corpus"
CORPUS_SHAPE = (2, 5, 4, 3)
ENDS = "the file is truncated, or bytes that are not gzip follow"
GOOD_FILES = [
    "big_endian_nifti2_float64.nii",
    "bitpix_is_wrong.nii.gz",
    "every_gzip_flag.nii.gz",
    "extension_of_odd_length.nii.gz",
    "nibabel_scaled_to_int16.nii.gz",
    "plain_under_a_gz_name.nii.gz",
    "reserved_gzip_flags.nii.gz",
    "seven_members_some_empty.nii.gz",
    "stored_255_times_slope.nii.gz",
    "stored_blocks.nii.gz",
    "trailing_axes_of_one.nii.gz",
    "zeros_between_and_behind_members.nii.gz",
]
# ... and what is said of the others.
BAD_FILES = {
    "analyze_7_5.nii": "the header has no NIfTI magic",
    "bzip2.nii.gz": "not a NIfTI file",
    "compressed_twice.nii.gz": "the file is compressed twice",
    "deflate_block_type_3.nii.gz": "it cannot be decompressed",
    "deflate_distance_too_far_back.nii.gz": "it cannot be decompressed",
    "empty.nii.gz": "the file is empty",
    "garbage_behind_the_stream.nii.gz": "bytes that are not gzip behind its gzip stream",
    "intercept_that_overflows.nii": "values are not finite",
    "labels_lost_by_scaling.nii.gz": "values are not integers: found 0.392156869",
    "magic_of_two_files.nii": "a two-file NIfTI",
    "member_cut_behind_the_stream.nii.gz": ENDS,
    "nothing_inside.nii.gz": "the file is empty",
    "offset_0.nii": "vox_offset is 0, expected 352 or a little more",
    "offset_348.nii": "vox_offset is 348, expected 352 or a little more",
    "one_byte_behind_the_stream.nii.gz": ENDS,
    "one_voxel_missing.nii.gz": "it ends before the last voxel",
    "one_voxel_too_many.nii.gz": "more bytes than the shape and data type",
    "scaled_signalling_nan.nii": "values are not finite: found nan",
    "signalling_nan.nii": "values are not finite: found nan",
    "slope_that_overflows.nii": "values are not finite",
    "unknown_method.nii.gz": "a gzip header in it is broken",
    "vector_image_of_simpleitk.nii.gz": "shape (5, 4, 3, 1, 2), expected (2, 5, 4, 3)",
    "wrong_crc_in_an_empty_last_member.nii.gz": "its gzip checksum does not match",
    "wrong_crc_in_the_first_member.nii.gz": "its gzip checksum does not match",
    "wrong_header_checksum.nii.gz": "a gzip header in it is broken",
    "wrong_length.nii.gz": "its gzip checksum does not match",
    "zlib_wrapper.nii.gz": "not a NIfTI file",
}


def corpus_mask():
    """What every good file of the corpus holds."""
    mask = np.zeros(CORPUS_SHAPE, bool)
    mask[0, 3:, :2] = mask[1, 0, 0, 0] = mask[1, 4, 3, 2] = True
    return mask


def test_the_tables_list_the_corpus():
    assert sorted([*GOOD_FILES, *BAD_FILES]) == sorted(path.name for path in CORPUS.iterdir())


@pytest.mark.parametrize("name", GOOD_FILES)
def test_a_good_file_of_the_corpus_is_read(name):
    found = dense(list(read_prediction(CORPUS / name, CORPUS_SHAPE)), CORPUS_SHAPE)
    assert np.array_equal(found, corpus_mask())
    assert np.array_equal(oracle.prediction((CORPUS / name).read_bytes(), CORPUS_SHAPE), corpus_mask())


@pytest.mark.parametrize(("name", "reason"), BAD_FILES.items())
def test_a_bad_file_of_the_corpus_is_refused_with_its_reason(name, reason):
    with pytest.raises(InvalidMask) as refused:
        list(read_prediction(CORPUS / name, CORPUS_SHAPE))
    assert reason in str(refused.value)
    check_reason(str(refused.value), CORPUS / name)
    assert oracle.prediction((CORPUS / name).read_bytes(), CORPUS_SHAPE) is None


def test_the_last_piece_of_a_large_file_may_be_a_few_zeros(tmp_path):
    """A mask is read in pieces of 1 MiB; here runs end in the last voxels of one, and five zeros follow."""
    findings, voxels = 9, (1 << 20) + 5
    flat = np.zeros(voxels, np.uint8)
    flat[-5 - findings : -5] = 1
    mask = flat.reshape((findings, voxels // findings, 1, 1), order="F")
    path = builders.mask_file(tmp_path / "mask.nii", mask, version=2)
    assert np.array_equal(dense(list(read_prediction(path, mask.shape)), mask.shape), mask)


# ---------------------------------------------------------------------------- the same behind the wall, with limits

SHAPE = (2, 32, 32, 16)
MASK = (np.indices(SHAPE).sum(0) % 9 < 3).astype(np.uint8)
GOOD = builders.nifti_bytes(MASK)
GZIP_START = b"\x1f\x8b\x08" + bytes(7)


def bomb():
    """Ten gigabytes of zeros in 10 MB, behind a good mask."""
    packer = zlib.compressobj(1, wbits=31)
    megabyte = bytes(1 << 20)
    piece = b"".join(packer.compress(megabyte) for _ in range(64)) + packer.flush()
    return gzip.compress(GOOD) + piece * 160


NASTY = {
    "a bomb of 10 GB": (bomb, "more bytes than"),
    "a bomb behind a header extension": (
        lambda: gzip.compress(builders.header_1(SHAPE, 2, offset=16 << 20)) + bomb(),
        "more bytes than",
    ),
    "a gzip header without an end": (lambda: GZIP_START[:3] + b"\x08" + bytes(6) + b"n" * 9_000_000, "far too long"),
    "nine megabytes of empty members": (lambda: gzip.compress(b"") * 450_000 + gzip.compress(GOOD), "far larger than"),
    "ten megabytes of empty deflate blocks": (lambda: GZIP_START + b"\2\x08\x20\x80\0" * 2_000_000, "far larger than"),
    "nine megabytes of zeros behind it": (lambda: gzip.compress(GOOD) + bytes(9_000_000), "far larger than"),
    "noise instead of gzip": (lambda: GZIP_START + np.random.default_rng(0).bytes(5_000_000), "cannot be decompressed"),
}


@pytest.fixture
def isolated(tmp_path):
    """Scores files in one child with half a gigabyte and ten seconds for each."""
    reference = builders.mask_file(tmp_path / "reference.nii.gz", MASK)

    def judge(contents):
        for number, content in enumerate(contents):
            path = builders.write(tmp_path / f"{number}.nii", content)
            case = builders.a_case(SHAPE, ["1a", "2a"], (1.0, 1.0, 2.0), name=path.name)
            yield Job(case, reference, path)

    def results(*contents):
        assessments = assess_isolated(judge(contents), memory_bytes=512 << 20, seconds_per_case=10)
        return [one.result for one in assessments]

    return results


@pytest.mark.parametrize("name", NASTY)
def test_a_nasty_file_costs_its_own_case_and_little_time(isolated, name):
    make, reason = NASTY[name]
    contents = (make(), GOOD)
    began = time.monotonic()
    bad, good = isolated(*contents)
    assert time.monotonic() - began < 8
    assert (bad["status"], good["status"]) == ("invalid", "scored")
    assert reason in bad["reason"]


def test_noise_is_scored_within_its_limits(isolated):
    noise = np.random.default_rng(0).integers(0, 2, SHAPE).astype(np.uint8)
    (result,) = isolated(gzip.compress(builders.nifti_bytes(noise)))
    assert result["status"] == "scored"


def test_a_sparse_file_of_a_terabyte_is_refused_at_once(tmp_path):
    for name, content in {
        "plain": GOOD,
        "packed": gzip.compress(GOOD),
        "in its header": gzip.compress(GOOD[:99]),
    }.items():
        with (tmp_path / name).open("wb") as file:
            file.write(content)
            file.truncate(1 << 40)
        with pytest.raises(InvalidMask, match=r"more bytes than|far larger than"):
            list(read_prediction(tmp_path / name, SHAPE))
