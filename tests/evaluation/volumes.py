"""Boolean volumes (H, W, D) of lesions, their runs, and how well they fit."""

import numpy as np

from evaluation.masks.run_lengths import Runs, position_dtype
from evaluation.metrics.fit import fit

GRID = (24, 24, 16)
CUBE = (20, 20, 20)


def runs_of(volume):
    """The runs of a boolean volume (H, W, D)."""
    padded = np.pad(volume, ((1, 1), (0, 0), (0, 0))).astype(np.int8)
    steps = np.diff(padded, axis=0)
    rows = np.arange(volume.shape[1] * volume.shape[2]).reshape(volume.shape[1:], order="F") * volume.shape[0]
    dtype = position_dtype(volume.shape)

    def positions(mark):
        h, w, d = np.nonzero(steps == mark)
        return np.sort(rows[w, d] + h).astype(dtype)

    return Runs(volume.shape, positions(1), positions(-1))


def blob(rng, grid, radius):
    """A random ellipsoid, radii up to a fraction of the axes."""
    center = [rng.uniform(0.2, 0.8) * length for length in grid]
    axes = [max(1.0, rng.uniform(0.5, 1) * radius * length) for length in grid]
    parts = zip(np.ogrid[tuple(slice(length) for length in grid)], center, axes, strict=True)
    return sum(((place - middle) / axis) ** 2 for place, middle, axis in parts) <= 1


def fitted(pairs):
    """`fit` of (prediction, reference) volumes, which must have content."""
    found = fit(
        {str(key): (runs_of(prediction), runs_of(reference)) for key, (prediction, reference) in enumerate(pairs)}
    )
    assert found is not None
    return found
