"""Four cases in the form of the official files, and masks of programs that are off by some voxels."""

import gzip
import json
from pathlib import Path

import nibabel
import numpy as np

SHAPE = (32, 32, 16)
CUBE = 9  # voxels a side
RIGHT, WRONG = 4, 8  # where findings begin, and where the first references said so
HARDER = (0, 2, 3, 6)  # by so much every program is off on a case, along another axis
# With these, no number over all cases is one over a half of them, of a single case, or a difference of two of these.
_AIR = -1000
_AFFINE = np.diag([-5.0, -5.0, 9.0, 1.0])


def write(folder: Path, *, start: int) -> Path:
    """Official files in which each finding is a cube that begins there."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    entries = []
    for number in range(len(HARDER)):
        name = f"case_{number}.nii.gz"
        (folder / "images" / name).write_bytes(_nifti(_ct(number), _AFFINE))
        (folder / "masks" / name).write_bytes(mask(start))
        entries.append(
            {
                "name": name,
                "findings": {"0": f"Nodule number {number} in the right upper lobe"},
                "categories": {"0": "2d"},
                "entity_counts": {"0": 1},
                "pixels": {"0": CUBE**3},
                "shape": list(SHAPE),
            }
        )
    (folder / "dataset.json").write_text(json.dumps({"test": entries}))
    return folder


def mask(start: int, aside: int = 0) -> bytes:
    """A mask file with one cube."""
    voxels = np.zeros((1, *SHAPE), np.uint8)
    voxels[0, start : start + CUBE, 4 + aside : 4 + aside + CUBE, 4 : 4 + CUBE] = 1
    return _nifti(voxels, np.eye(4))


def predicted(volume: bytes, start: int) -> bytes:
    """What a program makes of a volume that sees each finding begin there."""
    ct = np.asarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(volume)).dataobj)
    return mask(start, HARDER[int(ct.max())])


def dice(start: int, reference: int) -> float:
    """The Dice of such a program over all cases."""
    along = CUBE - abs(start - reference)
    return sum(along * (CUBE - aside) for aside in HARDER) / len(HARDER) / CUBE**2


def _ct(number: int) -> np.ndarray:
    """Air, and one voxel by which a program knows the case."""
    voxels = np.full(SHAPE, _AIR, np.int16)
    voxels[0, 0, 0] = number
    return voxels


def _nifti(voxels: np.ndarray, affine: np.ndarray) -> bytes:
    return gzip.compress(nibabel.Nifti1Image(voxels, affine).to_bytes(), 1)
