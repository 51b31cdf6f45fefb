"""One case from its plan to its two files and its dataset entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboard.challenge.casesets import nifti
from leaderboard.demo.synthesis import anatomy, placing, wording
from leaderboard.demo.synthesis.grid import Grid
from leaderboard.demo.synthesis.placing import Finding
from leaderboard.demo.synthesis.plan import CasePlan

NOISE_HU = 16.0
SPREAD_MM = 0.6
"""Standard deviation of the point spread."""
SLAB = 8
"""D-slices handled at once: noise is drawn slab by slab, so that memory stays small."""


def write_case(plan: CasePlan, destination: Path) -> dict[str, Any]:
    """Write images/<name> and masks/<name> below `destination`; return the case's entry of the dataset JSON."""
    grid = Grid(plan.shape, plan.spacing_mm)
    # One generator per step: what one step draws never shifts the next one's numbers.
    bodies, lesions, words, noise = (np.random.default_rng([*plan.seed, step]) for step in range(4))
    patient = anatomy.draw(grid, bodies)
    findings = placing.place_findings(patient, plan.categories, lesions)
    texts = [wording.sentence(finding, words) for finding in findings]
    _write_volume(destination / "images" / plan.name, grid, patient.hu, noise)
    _write_masks(destination / "masks" / plan.name, grid, findings)
    return _entry(plan, findings, texts)


def _entry(plan: CasePlan, findings: list[Finding], texts: list[str]) -> dict[str, Any]:
    numbered = {str(number): finding for number, finding in enumerate(findings)}
    return {
        "name": plan.name,
        "findings": {str(number): text for number, text in enumerate(texts)},
        "categories": {key: finding.kind.category for key, finding in numbered.items()},
        "entity_counts": {key: len(finding.entities) for key, finding in numbered.items()},
        "pixels": {key: sum(entity.voxels for entity in finding.entities) for key, finding in numbered.items()},
        "shape": list(plan.shape),
        "protocol": plan.protocol,
    }


def _write_volume(path: Path, grid: Grid, hu: NDArray[np.int16], rng: np.random.Generator) -> None:
    """Blur by the scanner's resolution, add noise, write as int16.

    Axes grow to the left, the back and the head (LPS), hence the signs in NIfTI's RAS affine.
    """
    h, w, d = grid.spacing_mm
    depth = grid.array_shape[0]
    with nifti.open_for_writing(path) as stream:
        stream.write(nifti.diagonal_header(grid.shape, "i2", (-h, -w, d)))
        for start in range(0, depth, SLAB):
            stop = min(start + SLAB, depth)
            low, high = max(start - 1, 0), min(stop + 1, depth)
            soft = _blur(hu[low:high].astype(np.float32), grid)[start - low : stop - low]
            soft += rng.standard_normal(soft.shape, dtype=np.float32) * np.float32(NOISE_HU)
            np.clip(np.rint(soft, out=soft), -1024, 3071, out=soft)
            stream.write(soft.astype("<i2").tobytes())


def _blur(image: NDArray[np.float32], grid: Grid) -> NDArray[np.float32]:
    """The scanner's point spread as three voxels along each axis; edges repeat. Coarse voxels are hardly blurred."""
    for axis, step in enumerate(grid.step):
        ratio = float(np.exp(-0.5 * (step / SPREAD_MM) ** 2))
        side = np.float32(max(ratio / (1 + 2 * ratio), 0.04))
        size = image.shape[axis]
        around = np.take(image, np.maximum(np.arange(size) - 1, 0), axis=axis)
        around += np.take(image, np.minimum(np.arange(size) + 1, size - 1), axis=axis)
        image = image * (1 - 2 * side) + around * side
    return image


def _write_masks(path: Path, grid: Grid, findings: list[Finding]) -> None:
    """One mask of shape (F, H, W, D): within a finding's channel every entity has its own value from 1."""
    depth, height, width = grid.array_shape
    with nifti.open_for_writing(path) as stream:
        stream.write(nifti.diagonal_header((len(findings), *grid.shape), "u1", (1.0, 1.0, 1.0)))
        for z in range(depth):
            plane = np.zeros((height, width, len(findings)), dtype=np.uint8)
            for channel, finding in enumerate(findings):
                for value, entity in enumerate(finding.entities, start=1):
                    if entity.crop[0].start <= z < entity.crop[0].stop:
                        part = plane[entity.crop[1], entity.crop[2], channel]
                        part[entity.mask[z - entity.crop[0].start]] = value
            stream.write(plane.tobytes())
