"""Small masks as files: for tests that score for real."""

import gzip
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import nibabel
import numpy as np

from leaderboard.core import blobs
from leaderboard.models import Case, Phase
from tests.leaderboard import cast

MIB = 1 << 20
SHAPE = (1, 16, 16, 16)


def cube(start: int = 4, size: int = 4) -> np.ndarray:
    """A mask of one finding: a cube of `size` voxels a side."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[0, start : start + size, start : start + size, start : start + size] = 1
    return mask


def nifti(mask: np.ndarray) -> bytes:
    """The mask as gzipped NIfTI."""
    return gzip.compress(nibabel.Nifti1Image(mask, np.eye(4)).to_bytes())


def zipped(files: Mapping[str, bytes]) -> bytes:
    """An archive of masks as a team sends it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def volume(value: int) -> bytes:
    """A small CT, the same HU everywhere, as gzipped NIfTI."""
    return gzip.compress(nibabel.Nifti1Image(np.full(SHAPE[1:], value, np.int16), np.eye(4)).to_bytes())


def give_files(case: Case, value: int, mask: np.ndarray) -> blobs.Blob:
    """Store a volume and a reference for the case; the volume's blob."""
    blob = blobs.volumes.put(io.BytesIO(volume(value)))
    Case.objects.filter(pk=case.pk).update(volume=blob.digest, volume_bytes=blob.size)
    give_reference(case, mask)
    return blob


def give_reference(case: Case, mask: np.ndarray) -> None:
    """Store the case's reference mask."""
    Case.objects.filter(pk=case.pk).update(reference=blobs.references.put(io.BytesIO(nifti(mask))).digest)


def give_references(mask: np.ndarray) -> None:
    """Store one reference mask for all cases that there are."""
    Case.objects.update(reference=blobs.references.put(io.BytesIO(nifti(mask))).digest)


def save(mask: np.ndarray, path: Path) -> Path:
    """Write the mask to a file."""
    path.write_bytes(nifti(mask))
    return path


def small_phase(cases: int, **policies: object) -> Phase:
    """An open phase over cases with a volume of their own and the same reference, within the limits of small images."""
    case_set = cast.case_set(cases)
    for number, case in enumerate(case_set.cases.all()):
        give_files(case, number, cube(4, 5))
    limits = {
        "memory_bytes": 256 * MIB,
        "shm_bytes": 16 * MIB,
        "tmp_bytes": 16 * MIB,
        "output_bytes": 16 * MIB,
        "cpus": 2,
        "pids": 64,
        "max_archive_bytes": 500 * MIB,
        "max_unpacked_bytes": 500 * MIB,
    }
    return cast.phase(case_set, **limits | policies)
