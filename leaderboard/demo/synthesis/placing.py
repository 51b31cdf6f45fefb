"""Putting lesions into a patient: clipped to the anatomy, never touching, and measured as they really are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from leaderboard.demo.synthesis.anatomy import LEFT_LOBES, LOBES, RIGHT_LOBES, Patient, random_points
from leaderboard.demo.synthesis.grid import Bools, Crop, Point
from leaderboard.demo.synthesis.kinds import Kind, kinds_of
from leaderboard.demo.synthesis.shapes import MIN_VOXELS, UNTOUCHED, Patch

TRIES = 30
# A lesion that loses more than this to its surroundings no longer looks like what it is called.
KEPT_SHARE = 0.45


class SynthesisError(Exception):
    """The volume asked for cannot hold the lesions."""


@dataclass(frozen=True)
class Entity:
    """One placed lesion.

    `mask` lies in `crop` of the [z, y, x] array. `size_mm`: longer and shorter extent
    along the axes of the largest axial slice. `thickness_mm`: the largest extent from front to back. `place`:
    medial-lateral, front-back, base-apex, 0 .. 1.
    """

    crop: Crop
    mask: Bools
    lobe: int
    place: tuple[float, float, float]
    size_mm: tuple[float, float]
    thickness_mm: float

    @property
    def voxels(self) -> int:
        """How many voxels it has."""
        return int(self.mask.sum())


@dataclass(frozen=True)
class Finding:
    """The lesions of one sentence."""

    kind: Kind
    entities: tuple[Entity, ...]


def place_findings(patient: Patient, categories: tuple[str, ...], rng: np.random.Generator) -> list[Finding]:
    """Draw lesions of these categories into the patient. The result is in the order asked for.

    Raises SynthesisError when a category finds no room at all.
    """
    spread = {category: _sides(categories.count(category), rng) for category in categories}
    found: dict[int, Finding] = {}
    # Effusion and pneumothorax follow the lung's outline, so they come before what would leave holes in it.
    for position in sorted(range(len(categories)), key=lambda index: categories[index] not in {"2e", "2g"}):
        category = categories[position]
        kinds = kinds_of(category)
        kind = kinds[int(rng.integers(len(kinds)))]
        found[position] = _place(patient, kind, spread[category].pop(), rng)
    return [found[position] for position in range(len(categories))]


def _sides(times: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """The lobes each of `times` findings of one category may use. Two of a kind lie on two sides."""
    if times == 1:
        return [LOBES]
    sides = [RIGHT_LOBES, LEFT_LOBES]
    return [sides[int(index)] for index in rng.permutation(2)]


def _place(patient: Patient, kind: Kind, allowed: tuple[int, ...], rng: np.random.Generator) -> Finding:
    wanted = _entity_count(kind, rng)
    lobes = _choose_lobes(kind, allowed, wanted, rng)
    entities: list[Entity] = []
    for number in range(wanted):
        preferred = (lobes[number % len(lobes)],) if kind.paired else lobes
        entity = _try_lobes(patient, kind, preferred, rng)
        if entity is not None:
            entities.append(entity)
    if not entities:
        entity = _try_lobes(patient, kind, allowed, rng) or _try_lobes(patient, kind, LOBES, rng)
        if entity is None:
            raise SynthesisError(
                f"no room for a lesion of category {kind.category} in a volume of {patient.grid.shape} voxels"
            )
        entities.append(entity)
    return Finding(kind, tuple(entities))


def _entity_count(kind: Kind, rng: np.random.Generator) -> int:
    mean, most = kind.count
    if kind.paired:
        return 1 + int(rng.random() < mean - 1)
    return min(int(rng.geometric(1 / mean)), most)


def _choose_lobes(kind: Kind, allowed: tuple[int, ...], wanted: int, rng: np.random.Generator) -> tuple[int, ...]:
    """One lobe, one lung, or all that is allowed: few lesions lie together, many spread."""
    if kind.paired and wanted == 2:
        return (RIGHT_LOBES[2], LEFT_LOBES[1])
    start = int(allowed[int(rng.integers(len(allowed)))])
    own_lung = tuple(lobe for lobe in (RIGHT_LOBES if start in RIGHT_LOBES else LEFT_LOBES) if lobe in allowed)
    draw = float(rng.random())
    if wanted == 1 or draw < 0.45:
        return (start,)
    return own_lung if draw < 0.7 else allowed


def _try_lobes(patient: Patient, kind: Kind, lobes: tuple[int, ...], rng: np.random.Generator) -> Entity | None:
    for attempt in range(TRIES):
        lobe = int(lobes[int(rng.integers(len(lobes)))])
        centre = _centre(patient, kind, lobe, rng)
        if centre is None:
            continue
        # Room may be short: later tries ask for less.
        largest = kind.size_mm[0] + (kind.size_mm[1] - kind.size_mm[0]) * (1 - attempt / TRIES)
        size = float(rng.triangular(kind.size_mm[0], kind.size_mm[0], largest + 1e-6))
        entity = _settle(patient, kind.shape(patient, rng, lobe, centre, size), lobe)
        if entity is not None:
            return entity
    return None


def _centre(patient: Patient, kind: Kind, lobe: int, rng: np.random.Generator) -> Point | None:
    grid, lung = patient.grid, patient.lung_of(lobe)
    points = random_points(patient, lung, rng, 256)
    index = grid.index_of(points)
    points = points[(patient.lobes[index] == lobe) & ~patient.taken[index]]
    for point in points:
        uvw = grid.to_uvw(point)
        u, v, w = (np.float32(value).reshape(1) for value in uvw)
        _, depth, height = lung.relative(uvw)
        level = float(lung.level(u, v, w)[0])
        inside = (kind.level, level), (kind.height, height), (kind.depth, depth)
        if kind.paired or all(low <= value <= high for (low, high), value in inside):
            return np.asarray(point, dtype=np.float64)
    return None


def _settle(patient: Patient, patch: Patch, lobe: int) -> Entity | None:
    """Clip a patch to free tissue and paint it; None where too little of it would remain."""
    lobes, taken = patient.lobes[patch.crop], patient.taken[patch.crop]
    free = np.isin(lobes, patch.lobes) & ~taken
    mask = patch.mask & free
    if len(patch.lobes) == 1:  # an entity is one lesion: what its surroundings cut off is left out
        mask = _without_crumbs(mask)
    # A whole-lung shape is drawn beyond the lung on purpose.
    if mask.sum() < MIN_VOXELS or (len(patch.lobes) == 1 and mask.sum() < KEPT_SHARE * patch.mask.sum()):
        return None
    hu = patient.hu[patch.crop]
    paint = free & (patch.paint != UNTOUCHED) & (mask | ~patch.mask)
    if not patch.over_vessels:
        paint &= hu < patch.paint
    hu[paint] = patch.paint[paint]
    _take(patient, patch.crop, mask)
    return _measure(patient, patch.crop, mask, lobe)


def _without_crumbs(mask: Bools) -> Bools:
    """Drop pieces of less than a tenth of the largest: splinters behind a vessel or a fissure."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3), dtype=np.int8))
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept: Bools = (sizes >= 0.1 * sizes.max())[labels]
    return kept


def _take(patient: Patient, crop: Crop, mask: Bools) -> None:
    """Mark a lesion and a rim of one voxel, so that no two lesions touch."""
    wider = tuple(
        slice(max(part.start - 1, 0), min(part.stop + 1, length))
        for part, length in zip(crop, patient.taken.shape, strict=True)
    )
    pads = [(part.start - wide.start, wide.stop - part.stop) for part, wide in zip(crop, wider, strict=True)]
    rim = ndimage.binary_dilation(np.pad(mask, pads), structure=np.ones((3, 3, 3), dtype=np.bool_))
    patient.taken[wider] |= rim


def _measure(patient: Patient, crop: Crop, mask: Bools, lobe: int) -> Entity:
    grid = patient.grid
    where = np.argwhere(mask)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    tight = tuple(slice(int(part.start + a), int(part.start + b)) for part, a, b in zip(crop, low, high, strict=True))
    small: Bools = mask[low[0] : high[0], low[1] : high[1], low[2] : high[2]].copy()
    # The lobe named is where most of the lesion lies; a whole-lung shape is named by its side alone.
    centre = (where.mean(axis=0) + [part.start for part in crop]) * grid.step
    place = patient.lung_of(lobe).relative(grid.to_uvw(centre))
    rows, columns = _extent(small[int(small.sum(axis=(1, 2)).argmax())])
    extents = sorted((rows * float(grid.step[1]), columns * float(grid.step[2])), reverse=True)
    thickness = float(small.sum(axis=1).max() * grid.step[1])
    return Entity((tight[0], tight[1], tight[2]), small, lobe, place, (extents[0], extents[1]), thickness)


def _extent(plane: NDArray[np.bool_]) -> tuple[int, int]:
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
