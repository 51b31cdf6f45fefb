"""Arrays as an independent reader sees them: nibabel keeps the order of axes of the file."""

from pathlib import Path

import nibabel as nib
import numpy as np


def read_array(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)  # type: ignore[attr-defined]
