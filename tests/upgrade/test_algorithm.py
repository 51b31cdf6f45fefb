"""The algorithm of the recorded images, as committed and as built anew."""

import gzip
import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.upgrade import algorithm

NAMES = [f"case{number}.nii.gz" for number in range(12)]
VOLUMES = {name: gzip.compress(name.encode(), mtime=0) for name in NAMES}
# Where the cube begins follows from the check sum in the last eight bytes.
STARTS = {name: content[-8] % 6 for name, content in VOLUMES.items()}
ENTRIES = [{"name": name, "findings": {"0": "A nodule"}} for name in NAMES]


@pytest.fixture(params=["committed", "rebuilt"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "committed":
        return algorithm.PROGRAM
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc")
    subprocess.run(["sh", algorithm.PROGRAM.with_name("build.sh"), tmp_path / "algorithm"], check=True)
    return tmp_path / "algorithm"


def cube(start: int) -> np.ndarray:
    mask = np.zeros((1, 16, 16, 16), np.uint8)
    mask[0, start : start + 6, 4:9, 4:9] = 1
    return mask


def test_it_marks_a_cube_whose_place_follows_from_the_case(program: Path) -> None:
    masks = algorithm.run(("segment", "0", "1"), ENTRIES, VOLUMES, program)
    assert set(masks) == set(NAMES)
    for name, content in masks.items():
        image = nibabel.Nifti1Image.from_bytes(gzip.decompress(content))
        assert np.array_equal(np.asarray(image.dataobj), cube((STARTS[name] + 1) % 6)), name


def test_it_leaves_out_the_cases_whose_cube_would_begin_at_0(program: Path) -> None:
    assert set(algorithm.run(("skip", "0", "0"), ENTRIES, VOLUMES, program)) == {n for n in NAMES if STARTS[n]}
    assert 0 in STARTS.values()


def test_it_ends_with_an_error_when_it_is_to_crash(program: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        algorithm.run(("crash", "0", "0"), ENTRIES, VOLUMES, program)
