"""Made-up masks of the size and raggedness of real ones, for the scoring benchmark."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation import Case
from tests.evaluation import builders

GRID = (512, 512, 351)
SPACING_MM = (0.75, 0.75, 1.0)
LUNGS = ((60, 450), (70, 440), (25, 325))
GZIP_LEVEL = 6  # zlib's default; a file of level 1 inflates two to three times faster


@dataclass(frozen=True)
class Files:
    """A case on disk."""

    case: Case
    reference: Path
    prediction: Path


def heavy(folder: Path, seed: int = 0, grid=GRID) -> Files:
    """Two findings of 50 lesions each and a diffuse one of hundreds of small pieces; 276 MB a file."""
    rng = np.random.default_rng(seed)
    reference, prediction = np.zeros((2, 3, *grid), np.uint8)
    for finding, (lesions, radius) in enumerate([(50, 16), (50, 14), (400, 6)]):
        _scatter(rng, reference[finding], prediction[finding], lesions, radius)
    return _write(folder, f"heavy-{seed}", reference, prediction, ["1a", "2b", "1c"])


def typical(folder: Path, seed: int = 0, grid=GRID) -> Files:
    """Two findings of a few lesions; 184 MB a file."""
    rng = np.random.default_rng(seed)
    reference, prediction = np.zeros((2, 2, *grid), np.uint8)
    for finding, (lesions, radius) in enumerate([(2, 16), (4, 8)]):
        _scatter(rng, reference[finding], prediction[finding], lesions, radius)
    return _write(folder, f"typical-{seed}", reference, prediction, ["1b", "2d"])


def shifted(folder: Path, seed: int = 0, grid=GRID) -> Files:
    """Distance stress: non-focal findings, the prediction a voxel or two beside the reference: no bound helps."""
    rng = np.random.default_rng(seed)
    reference, ignored = np.zeros((2, 3, *grid), np.uint8)
    for finding in range(3):
        _scatter(rng, reference[finding], ignored[finding], 50, 16)
    prediction = np.roll(reference, (1, 2, 1), (1, 2, 3))
    return _write(folder, f"shifted-{seed}", reference, prediction, ["1a", "1b", "1f"])


def checkerboard(folder: Path, grid=(512, 512, 256)) -> Files:
    """Every second voxel of three findings: as many runs as there can be."""
    board = (np.indices(grid, np.int16).sum(axis=0) % 2).astype(np.uint8)
    return _write(folder, "checkerboard", _lesions(grid), np.broadcast_to(board, (3, *grid)), ["1a", "1b", "2a"])


def noise(folder: Path, seed: int = 0, grid=(512, 512, 256)) -> Files:
    """Every voxel of three findings by a coin."""
    coins = np.random.default_rng(seed).integers(0, 2, (3, *grid), np.uint8)
    return _write(folder, "noise", _lesions(grid), coins, ["1a", "1b", "2a"])


def _lesions(grid):
    reference = np.zeros((3, *grid), np.uint8)
    reference[:, 100:200, 100:200, 50:90] = 1
    reference[:, 250:290, 100:200, 50:90] = 2
    return reference


def _scatter(rng, reference, prediction, lesions: int, radius: float) -> None:
    """Ragged blobs, numbered in the reference; the prediction finds most of them, and some that are not there."""
    from scipy import ndimage  # not in the processes whose memory is measured

    for lesion in range(lesions):
        center = [
            rng.integers(low * size // full, high * size // full)
            for (low, high), size, full in zip(LUNGS, reference.shape, GRID, strict=True)
        ]
        blob = _blob(rng, radius * rng.uniform(0.5, 1.5))
        chance = rng.random()
        if chance < 0.9:
            _paint(reference, center, blob, lesion % 255 + 1)
        if chance > 0.15:
            moved = [c + int(rng.integers(-3, 4)) for c in center]
            _paint(prediction, moved, ndimage.binary_erosion(blob) if chance > 0.5 else blob, 1)


def _blob(rng, radius: float):
    """An ellipsoid with a rough border."""
    from scipy import ndimage

    axes = radius * rng.uniform(0.6, 1.3, 3)
    half = np.ceil(axes * 1.4).astype(int)
    grids = np.meshgrid(*(np.arange(-h, h + 1) / a for h, a in zip(half, axes, strict=True)), indexing="ij")
    rough = ndimage.gaussian_filter(rng.standard_normal(grids[0].shape), 1.0)
    return sum(g**2 for g in grids) + rough < 1


def _paint(volume, center, blob, value: int) -> None:
    low = [max(0, c - s // 2) for c, s in zip(center, blob.shape, strict=True)]
    part = tuple(slice(lo, lo + s) for lo, s in zip(low, blob.shape, strict=True))
    target = volume[part]
    target[blob[tuple(slice(0, s) for s in target.shape)]] = value


def _write(folder: Path, name: str, reference, prediction, categories) -> Files:
    case = builders.a_case(reference.shape, categories, SPACING_MM, name=f"{name}.nii.gz")
    paths = [folder / f"{name}-{role}.nii.gz" for role in ("reference", "prediction")]
    for path, mask in zip(paths, (reference, prediction), strict=True):
        path.write_bytes(gzip.compress(builders.nifti_bytes(mask), GZIP_LEVEL))
    return Files(case, *paths)
