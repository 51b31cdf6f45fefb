"""What lesions look like: one function per appearance, millimetres in, a small block of voxels out.

A function gets the patient, a random generator, the lobe, the lesion's centre (mm z, y, x) and its size in mm,
and returns a Patch. It need not care about anatomy: the Patch is clipped to its lobe afterwards (`placing`). No
part of a shape is thinner than the voxels can show, so that small volumes stay meaningful.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from leaderboard.demo.synthesis.anatomy import LEFT_LOBES, RIGHT_LOBES, Patient
from leaderboard.demo.synthesis.grid import Bools, Crop, Floats, Point

UNTOUCHED = -32768
MIN_VOXELS = 10


@dataclass(frozen=True)
class Patch:
    """What a lesion does to a crop of the volume.

    `mask`: the voxels of the entity. `paint`: new HU of the crop, UNTOUCHED where nothing changes; it may
    cover more than the mask (the air inside a thick-walled bronchus). `lobes`: where it may lie. `over_vessels`:
    False leaves what is denser.
    """

    crop: Crop
    mask: Bools
    paint: NDArray[np.int16]
    lobes: tuple[int, ...]
    over_vessels: bool = True


Shape = Callable[[Patient, np.random.Generator, int, Point, float], Patch]


def least_radius(patient: Patient) -> float:
    """Radius in mm of a ball of about 1.5 * MIN_VOXELS voxels."""
    return float((3 * 1.5 * MIN_VOXELS * patient.grid.voxel_mm3 / (4 * np.pi)) ** (1 / 3))


def _axes(rng: np.random.Generator) -> NDArray[np.float64]:
    """Three random orthogonal unit vectors."""
    first, second = rng.normal(size=(2, 3))
    first /= np.linalg.norm(first)
    third = np.cross(first, second)
    third /= np.linalg.norm(third)
    return np.array([first, np.cross(third, first), third])


def _along(patient: Patient, crop: Crop, centre: Point, axis: NDArray[np.float64]) -> Floats:
    dz, dy, dx = patient.grid.offsets(crop, centre)
    along: Floats = dz * np.float32(axis[0]) + dy * np.float32(axis[1]) + dx * np.float32(axis[2])
    return along


def _blob(
    patient: Patient, rng: np.random.Generator, centre: Point, radius: float, lumps: float = 0.12, flat: float = 0.25
) -> tuple[Crop, Floats]:
    """A lumpy ellipsoid of about this radius: its crop and a level that is 1 on the surface."""
    radii = radius * (1 + flat * rng.uniform(-1, 1, 3))
    crop = patient.grid.around(centre, radius * (1 + flat + 2 * lumps))
    axes = _axes(rng)
    parts = [_along(patient, crop, centre, axis) / np.float32(r) for axis, r in zip(axes, radii, strict=True)]
    level = np.sqrt(parts[0] ** 2 + parts[1] ** 2 + parts[2] ** 2)
    phase = rng.uniform(0, 2 * np.pi, 3)
    waves = sum(np.sin(3.0 * part + angle) for part, angle in zip(parts, phase, strict=True))
    return crop, np.asarray(level * (1 + lumps * waves), dtype=np.float32)


def _filled(crop: Crop, mask: Bools, hu: float, lobe: int, *, over_vessels: bool = True) -> Patch:
    return Patch(crop, mask, np.where(mask, np.int16(hu), np.int16(UNTOUCHED)), (lobe,), over_vessels)


def solid_nodule(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """As dense as muscle."""
    crop, level = _blob(patient, rng, centre, max(size, least_radius(patient)), 0.05, 0.12)
    return _filled(crop, level < 1, rng.uniform(30, 60), lobe)


def calcified_nodule(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """As dense as bone."""
    crop, level = _blob(patient, rng, centre, max(size, least_radius(patient)), 0.03, 0.08)
    return _filled(crop, level < 1, rng.uniform(320, 600), lobe)


def semisolid_nodule(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """A solid core in a hazy shell."""
    crop, level = _blob(patient, rng, centre, max(size, 1.2 * least_radius(patient)), 0.05, 0.12)
    patch = _filled(crop, level < 1, -520, lobe)
    patch.paint[level < 0.6] = 10
    return patch


def ground_glass(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """Hazy lung; vessels stay."""
    crop, level = _blob(patient, rng, centre, max(size, 1.2 * least_radius(patient)))
    return _filled(crop, level < 1, rng.uniform(-640, -520), lobe, over_vessels=False)


def mosaic(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """A patch slightly denser than its surroundings; vessels stay."""
    crop, level = _blob(patient, rng, centre, max(size, 1.3 * least_radius(patient)), 0.15)
    return _filled(crop, level < 1, rng.uniform(-760, -730), lobe, over_vessels=False)


def consolidation(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """Airless lung with open bronchi in it."""
    crop, level = _blob(patient, rng, centre, max(size, 1.2 * least_radius(patient)), 0.15)
    patch = _filled(crop, level < 1, rng.uniform(20, 45), lobe)
    bronchogram = np.abs(_along(patient, crop, centre, _axes(rng)[0])) < 0.9
    bronchogram &= np.abs(_along(patient, crop, centre, _axes(rng)[1])) < 0.9
    patch.paint[bronchogram & (level < 0.8)] = -700
    return patch


def band(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """A thin plate, as atelectasis and scars are: long, less wide, a few mm thick."""
    grid = patient.grid
    axes = _axes(rng)
    normal = axes[0]
    thickness = max(rng.uniform(2.5, 4.5), 1.25 * float(np.abs(normal) @ grid.step))
    crop = grid.around(centre, size * 1.05)
    across, length, width = (_along(patient, crop, centre, axis) for axis in axes)
    mask = (np.abs(across) < thickness / 2) & ((length / size) ** 2 + (width / (size * 0.55)) ** 2 < 1)
    return _filled(crop, mask, rng.uniform(-80, 20), lobe)


def _tube(
    patient: Patient, lobe: int, centre: Point, inner: float, outer: float, half_length: float
) -> tuple[Crop, Bools, Bools]:
    """Wall and lumen of a straight bronchus that runs away from the hilum through `centre`."""
    grid = patient.grid
    side = -1.0 if lobe in RIGHT_LOBES else 1.0
    axis = centre - grid.to_mm(np.array([side * 0.12, 0.06, 0.05]))
    axis /= np.linalg.norm(axis) + 1e-9
    crop = grid.around(centre, half_length + outer)
    dz, dy, dx = grid.offsets(crop, centre)
    along = _along(patient, crop, centre, axis)
    rho2 = dz**2 + dy**2 + dx**2 - along**2
    inside = np.abs(along) < half_length
    lumen = inside & (rho2 < inner**2)
    return crop, inside & (rho2 < outer**2) & ~lumen, lumen


def thick_wall(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """`size` is half the length of the bronchus; the entity is its wall."""
    inner = max(rng.uniform(1.6, 2.6), 0.6 * patient.grid.voxel_mm)
    outer = inner + max(rng.uniform(1.8, 2.6), 0.95 * patient.grid.voxel_mm)
    crop, wall, lumen = _tube(patient, lobe, centre, inner, outer, max(size, 3 * patient.grid.voxel_mm))
    patch = _filled(crop, wall, 0, lobe)
    patch.paint[lumen] = -980
    return patch


def wide_bronchus(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """`size` is half the length; the entity is the widened lumen and its wall."""
    inner = max(rng.uniform(3.5, 6.0), 0.9 * patient.grid.voxel_mm)
    outer = inner + max(1.4, 0.7 * patient.grid.voxel_mm)
    crop, wall, lumen = _tube(patient, lobe, centre, inner, outer, max(size, 2 * patient.grid.voxel_mm))
    patch = _filled(crop, wall | lumen, 10, lobe)
    patch.paint[lumen] = -985
    return patch


def emphysema(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """Lung that has lost its tissue."""
    crop, level = _blob(patient, rng, centre, max(size, 1.2 * least_radius(patient)), 0.1, 0.35)
    return _filled(crop, level < 1, rng.uniform(-995, -975), lobe)


def cyst(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """Air inside a thin wall."""
    radius = max(size, 1.6 * least_radius(patient))
    crop, level = _blob(patient, rng, centre, radius, 0.02, 0.1)
    patch = _filled(crop, level < 1, -40, lobe)
    patch.paint[level < 1 - max(1.2, 0.6 * patient.grid.voxel_mm) / radius] = -1000
    return patch


def _cells(patient: Patient, rng: np.random.Generator, region: Bools, cell_mm: float, wall_mm: float) -> Bools:
    """Walls of a random honeycomb (a Voronoi diagram) with cells of about `cell_mm`, within `region`."""
    step = patient.grid.step
    size = np.array(region.shape) * step
    seeds = rng.uniform(-cell_mm, size + cell_mm, (int(np.prod(size / cell_mm + 2)) + 4, 3))
    points = np.argwhere(region)
    walls = np.zeros(region.shape, dtype=np.bool_)
    distance = np.asarray(cKDTree(seeds).query(points * step, k=2)[0])
    walls[tuple(points.T)] = distance[:, 1] - distance[:, 0] < wall_mm
    return walls


def septa(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """Walls of the secondary lobules, thickened, in a patch of lung."""
    radius = max(size, 2.5 * patient.grid.voxel_mm)
    crop, level = _blob(patient, rng, centre, radius, 0.1)
    cell = max(11.0, 2.6 * patient.grid.voxel_mm)
    walls = _cells(patient, rng, level < 1, cell, max(1.6, 1.1 * patient.grid.voxel_mm))
    return _filled(crop, walls, rng.uniform(-350, -250), lobe)


def micronodules(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """A cluster of dots of 2 to 3 mm; the entity is the cluster."""
    radius = max(size, 2.2 * patient.grid.voxel_mm)
    crop = patient.grid.around(centre, radius * 1.3)
    dots = rng.normal(size=(int(rng.integers(8, 15)), 3)) * radius * 0.5
    mask = np.zeros(tuple(part.stop - part.start for part in crop), dtype=np.bool_)
    for dot in dots:
        dz, dy, dx = patient.grid.offsets(crop, centre + dot)
        mask |= dz**2 + dy**2 + dx**2 < max(rng.uniform(1.1, 1.6), 0.62 * patient.grid.voxel_mm) ** 2
    return _filled(crop, mask, rng.uniform(0, 40), lobe)


def honeycomb(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """Rows of cysts under the pleura; the entity is walls and cysts together."""
    crop, level = _blob(patient, rng, centre, max(size, 3 * patient.grid.voxel_mm), 0.08)
    depth = 1 - max(16.0, 2.5 * patient.grid.voxel_mm) / _lung_radius_mm(patient, lobe)
    patch = _filled(crop, (level < 1) & _under_pleura(patient, lobe, crop, depth), -980, lobe)
    cell = max(6.5, 2.1 * patient.grid.voxel_mm)
    patch.paint[_cells(patient, rng, patch.mask, cell, max(1.5, 0.8 * patient.grid.voxel_mm))] = -60
    return patch


def pleural_thickening(patient: Patient, rng: np.random.Generator, lobe: int, centre: Point, size: float) -> Patch:
    """A plate along the inner side of the chest wall."""
    crop, level = _blob(patient, rng, centre, max(size, 3 * patient.grid.voxel_mm), 0.08)
    depth = 1 - max(rng.uniform(4, 7), 1.3 * patient.grid.voxel_mm) / _lung_radius_mm(patient, lobe)
    return _filled(crop, (level < 1) & _under_pleura(patient, lobe, crop, depth), rng.uniform(30, 50), lobe)


def _under_pleura(patient: Patient, lobe: int, crop: Crop, depth: float) -> Bools:
    level = patient.level(lobe, crop)
    under: Bools = (level > depth) & (level <= 1)
    return under


def _lung_radius_mm(patient: Patient, lobe: int) -> float:
    return patient.lung_of(lobe).radius_u * float(patient.grid.half_extent_mm[2])


def _side_of(lobe: int) -> tuple[int, ...]:
    return RIGHT_LOBES if lobe in RIGHT_LOBES else LEFT_LOBES


def _lung_crop(patient: Patient, lobe: int) -> Crop:
    lung = patient.lung_of(lobe)
    low = np.array([lung.centre_u - lung.radius_u, lung.centre_v - lung.radius_v, lung.base])
    high = np.array([lung.centre_u + lung.radius_u, lung.centre_v + lung.radius_v, lung.top])
    return patient.grid.crop(patient.grid.to_mm(low), patient.grid.to_mm(high))


def effusion(patient: Patient, rng: np.random.Generator, lobe: int, _centre: Point, size: float) -> Patch:
    """Fluid behind and below: the lung is pushed forward by up to `size` mm at its base, less further up."""
    crop = _lung_crop(patient, lobe)
    lung = patient.lung_of(lobe)
    top = lung.base + rng.uniform(0.45, 0.7) * (lung.top - lung.base)
    half_depth_mm = float(patient.grid.half_extent_mm[1])
    depth = max(size, 2.5 * float(patient.grid.step[1])) / half_depth_mm
    share = np.clip((top - patient.grid.w[crop[0]]) / (top - lung.base), 0, 1)[:, None, None]
    mask = patient.level(lobe, crop, shift_v=np.asarray(-depth * share, np.float32)) > 1
    mask &= (patient.grid.v[crop[1]] > lung.centre_v)[None, :, None] & (share > 0)
    hu = np.where(mask, np.int16(rng.uniform(2, 14)), np.int16(UNTOUCHED))
    return Patch(crop, mask, hu, _side_of(lobe))


def pneumothorax(patient: Patient, _rng: np.random.Generator, lobe: int, _centre: Point, size: float) -> Patch:
    """Air in front, where it rises to when lying: the lung is pushed back by `size` mm."""
    crop = _lung_crop(patient, lobe)
    lung = patient.lung_of(lobe)
    depth = max(size, 2.5 * float(patient.grid.step[1])) / float(patient.grid.half_extent_mm[1])
    mask = patient.level(lobe, crop, shift_v=depth) > 1
    mask &= (patient.grid.v[crop[1]] < lung.centre_v)[None, :, None]
    return Patch(crop, mask, np.where(mask, np.int16(-1000), np.int16(UNTOUCHED)), _side_of(lobe))
