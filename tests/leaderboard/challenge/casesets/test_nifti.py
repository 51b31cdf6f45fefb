import gzip
import resource
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from leaderboard.challenge.casesets.nifti import NiftiError, read_header, rewrite_volume

SECRET = b"case_0042 of the hidden test"


def revealing_volume(path: Path, voxels: np.ndarray, *, big_endian: bool = False) -> None:
    """A CT whose gzip header, text fields and header extension all tell where it comes from."""
    affine = np.array([[0, -0.7, 0, 10], [-0.8, 0, 0, 20], [0, 0, 1.5, -30], [0, 0, 0, 1]])
    kind = nib.nifti1.Nifti1Image
    header = nib.nifti1.Nifti1Header(endianness=">" if big_endian else "<")
    header.set_data_dtype(voxels.dtype)
    image = kind(voxels, affine, header)
    for field in ("descrip", "aux_file", "db_name", "intent_name"):
        image.header[field] = SECRET[:16]
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", SECRET))
    with path.open("wb") as file, gzip.GzipFile("case_0042.nii", "wb", fileobj=file, mtime=1_700_000_000) as stream:
        stream.write(image.to_bytes())


@pytest.fixture
def voxels() -> np.ndarray:
    return np.random.default_rng(1).integers(-1024, 3000, (9, 7, 5)).astype(np.int16)


def test_a_rewritten_volume_keeps_voxels_and_affine(tmp_path: Path, voxels: np.ndarray) -> None:
    revealing_volume(tmp_path / "a.nii.gz", voxels)
    rewrite_volume(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    before, after = nib.load(tmp_path / "a.nii.gz"), nib.load(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(np.asarray(after.dataobj), voxels)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(after.affine, before.affine)  # type: ignore[attr-defined]
    assert after.header["pixdim"][1:4].tolist() == before.header["pixdim"][1:4].tolist()  # type: ignore[index]


def test_a_rewritten_volume_tells_no_name_time_or_text(tmp_path: Path, voxels: np.ndarray) -> None:
    revealing_volume(tmp_path / "a.nii.gz", voxels)
    rewrite_volume(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    packed = (tmp_path / "b.nii.gz").read_bytes()
    flags, time = struct.unpack("<xxxBI", packed[:8])
    assert (flags, time) == (0, 0)
    plain = gzip.decompress(packed)
    assert b"case_0042" not in packed + plain
    assert len(plain) == 352 + voxels.nbytes
    header = nib.nifti1.Nifti1Header(plain[:348])
    assert not any(header[field].tobytes().strip(b"\0") for field in ("descrip", "aux_file", "db_name", "intent_name"))


def test_rewriting_depends_on_the_content_alone(tmp_path: Path, voxels: np.ndarray) -> None:
    revealing_volume(tmp_path / "a.nii.gz", voxels)
    (tmp_path / "again.nii.gz").write_bytes(gzip.compress(gzip.decompress((tmp_path / "a.nii.gz").read_bytes()), 9))
    for name in ("a", "again"):
        rewrite_volume(tmp_path / f"{name}.nii.gz", tmp_path / f"{name}.out.nii.gz")
    assert (tmp_path / "a.out.nii.gz").read_bytes() == (tmp_path / "again.out.nii.gz").read_bytes()


def test_a_big_endian_volume_becomes_little_endian(tmp_path: Path, voxels: np.ndarray) -> None:
    revealing_volume(tmp_path / "a.nii.gz", voxels.astype(">i2"), big_endian=True)
    rewrite_volume(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    assert gzip.decompress((tmp_path / "b.nii.gz").read_bytes())[:4] == struct.pack("<i", 348)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "b.nii.gz").dataobj), voxels)  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [np.nan, np.inf, 40_000.0])
def test_a_value_that_no_ct_has_is_refused(tmp_path: Path, voxels: np.ndarray, value: float) -> None:
    wrong = voxels.astype(np.float32)
    wrong[3, 3, 3] = value
    revealing_volume(tmp_path / "a.nii.gz", wrong)
    with pytest.raises(NiftiError, match="16 bits"):
        rewrite_volume(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    assert not (tmp_path / "b.nii.gz").exists()


@pytest.mark.parametrize("keep", [100, 340, 700])
def test_a_volume_that_ends_early_is_refused(tmp_path: Path, voxels: np.ndarray, keep: int) -> None:
    revealing_volume(tmp_path / "a.nii.gz", voxels)
    plain = gzip.decompress((tmp_path / "a.nii.gz").read_bytes())
    (tmp_path / "cut.nii.gz").write_bytes(gzip.compress(plain[:keep]))
    with pytest.raises(NiftiError, match="ends before"):
        rewrite_volume(tmp_path / "cut.nii.gz", tmp_path / "b.nii.gz")


def test_a_volume_that_goes_on_after_its_last_voxel_is_refused(tmp_path: Path, voxels: np.ndarray) -> None:
    revealing_volume(tmp_path / "a.nii.gz", voxels)
    plain = gzip.decompress((tmp_path / "a.nii.gz").read_bytes())
    (tmp_path / "long.nii.gz").write_bytes(gzip.compress(plain + b"x"))
    with pytest.raises(NiftiError, match="more bytes than"):
        rewrite_volume(tmp_path / "long.nii.gz", tmp_path / "b.nii.gz")
    assert not (tmp_path / "b.nii.gz").exists()


def test_a_volume_of_another_version_of_nifti_is_refused(tmp_path: Path, voxels: np.ndarray) -> None:
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(nib.nifti2.Nifti2Image(voxels, np.eye(4)).to_bytes()))
    for use in (read_header, lambda path: rewrite_volume(path, tmp_path / "b.nii.gz")):
        with pytest.raises(NiftiError, match="is not a NIfTI-1 file"):
            use(tmp_path / "a.nii.gz")


def test_a_damaged_gzip_stream_is_refused(tmp_path: Path, voxels: np.ndarray) -> None:
    revealing_volume(tmp_path / "a.nii.gz", voxels)
    packed = (tmp_path / "a.nii.gz").read_bytes()
    for number, damaged in enumerate((packed[: len(packed) // 2], packed[:-30] + b"\xff" * 30, b"no gzip", b"")):
        (tmp_path / f"{number}.nii.gz").write_bytes(damaged)
        with pytest.raises(NiftiError):
            rewrite_volume(tmp_path / f"{number}.nii.gz", tmp_path / "b.nii.gz")


def test_a_long_volume_is_rewritten_in_little_memory(tmp_path: Path) -> None:
    revealing_volume(tmp_path / "a.nii.gz", np.zeros((512, 512, 120), dtype=np.int16))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rewrite_volume(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 30_000
