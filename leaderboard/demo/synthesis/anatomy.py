"""A chest without disease: chest wall, ribs, spine, mediastinum, two lungs with five lobes, airways and vessels.

Every organ is an ellipse whose centre and size may change from slice to slice, so a slice costs a few additions
of a row and a column: the full 512x512x351 takes seconds. The lobes are cut by straight fissures.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from leaderboard.demo.synthesis.grid import Bools, Crop, Floats, Grid, Point

RUL, RML, RLL, LUL, LLL = 1, 2, 3, 4, 5
LOBES = (RUL, RML, RLL, LUL, LLL)
RIGHT_LOBES = (RUL, RML, RLL)
LEFT_LOBES = (LUL, LLL)

AIR, FAT, MUSCLE, MEDIASTINUM, BLOOD, LIVER, BONE = -1000, -100, 52, 44, 42, 58, 320
LUNG_HU = -865
VESSELS_PER_LUNG = 220
AIRWAYS_PER_LUNG = 14


@dataclass(frozen=True)
class Lung:
    """One lung, normalised: an ellipse in each slice that closes towards the apex, over a domed diaphragm."""

    centre_u: float
    centre_v: float
    radius_u: float
    radius_v: float
    top: float
    shoulder: float
    base: float
    dome: float

    def opening(self, w: Floats | float) -> Floats:
        """Squared in-plane scale at height w: 1 below the shoulder, 0 at the apex."""
        rise = np.clip((np.asarray(w, np.float32) - self.shoulder) / (self.top - self.shoulder), 0, 1)
        scale: Floats = np.maximum(1 - rise * rise, 1e-6).astype(np.float32)
        return scale

    def level(self, u: Floats, v: Floats, w: Floats) -> Floats:
        """0 on the lung's axis, 1 on the costal pleura, for broadcastable coordinates."""
        across = ((u - self.centre_u) / self.radius_u) ** 2 + ((v - self.centre_v) / self.radius_v) ** 2
        return np.sqrt(across / self.opening(w)).astype(np.float32)

    def relative(self, uvw: NDArray[np.float64]) -> tuple[float, float, float]:
        """(medial 0 .. lateral 1, anterior 0 .. posterior 1, base 0 .. apex 1) of one point."""
        u, v, w = (float(value) for value in uvw)
        return (
            (abs(u) - abs(self.centre_u)) / (2 * self.radius_u) + 0.5,
            (v - self.centre_v) / (2 * self.radius_v) + 0.5,
            (w - self.base) / (self.top - self.base),
        )


@dataclass(frozen=True)
class Fissures:
    """The oblique one rises to the back: below `slope * v + height` lies the lower lobe. The other is level."""

    slope: float
    height: float
    horizontal: float


@dataclass
class Patient:
    """What a lesion is drawn into. `hu` and `lobes` are arrays [z, y, x]; `lobes` is 0 outside lung tissue."""

    grid: Grid
    right: Lung
    left: Lung
    fissures: Fissures
    hu: NDArray[np.int16]
    lobes: NDArray[np.uint8]
    taken: Bools = field(init=False)

    def __post_init__(self) -> None:
        self.taken = np.zeros(self.grid.array_shape, dtype=np.bool_)

    def lung_of(self, lobe: int) -> Lung:
        """The lung that has this lobe."""
        return self.right if lobe in RIGHT_LOBES else self.left

    def level(self, lobe: int, crop: Crop, *, shift_v: Floats | float = 0.0) -> Floats:
        """`Lung.level` of a crop's voxels, for the lung of `lobe` moved backwards by `shift_v`."""
        grid = self.grid
        u, v, w = grid.u[None, None, crop[2]], grid.v[None, crop[1], None], grid.w[crop[0], None, None]
        return self.lung_of(lobe).level(u, np.asarray(v - shift_v, np.float32), w)


def draw(grid: Grid, rng: np.random.Generator) -> Patient:
    """A healthy patient, slightly different for every state of `rng`."""

    def about(value: float, relative: float = 0.03) -> float:
        return value * (1 + relative * float(rng.uniform(-1, 1)))

    right = Lung(about(-0.42), about(0.02), about(0.35), about(0.50), about(0.86), 0.1, about(-0.9), about(0.42, 0.1))
    left = Lung(about(0.43), about(0.03), about(0.33), about(0.50), about(0.86), 0.1, about(-0.9), about(0.34, 0.1))
    fissures = Fissures(about(1.25, 0.06), about(-0.12, 0.3), about(-0.03, 0.8))
    patient = Patient(
        grid,
        right,
        left,
        fissures,
        np.full(grid.array_shape, AIR, dtype=np.int16),
        np.zeros(grid.array_shape, dtype=np.uint8),
    )
    heart_size = about(1.0, 0.08)
    for z in range(grid.array_shape[0]):
        _draw_wall(patient, z)
        _draw_lungs(patient, z)
        _draw_mediastinum(patient, z, heart_size)
    _draw_vessels(patient, rng)
    _draw_airways(patient, rng)
    return patient


def _inside(grid: Grid, u: float, v: float, radius_u: float, radius_v: float, size: float = 1.0) -> Bools:
    """One slice's voxels [y, x] in an ellipse; `size` scales it (squared scale, may be negative for nothing)."""
    across: Bools = (((grid.u - u) / radius_u) ** 2)[None, :] + (((grid.v - v) / radius_v) ** 2)[:, None] < size
    return across


def _draw_wall(patient: Patient, z: int) -> None:
    grid, image = patient.grid, patient.hu[z]
    image[_inside(grid, 0, 0, 0.95, 0.72)] = FAT
    image[_inside(grid, 0, 0, 0.91, 0.67)] = MUSCLE
    cage = _inside(grid, 0, 0.01, 0.855, 0.605)
    interior = _inside(grid, 0, 0.01, 0.81, 0.565)
    # Ribs slope down to the front, so at one height they show at some depths only.
    height_mm = float(grid.w[z] * grid.half_extent_mm[0])
    phase = (height_mm - grid.v * 0.45 * grid.half_extent_mm[1]) / 26.0
    image[cage & ~interior & (phase % 1.0 < 0.42)[:, None]] = BONE
    image[interior] = MEDIASTINUM
    image[_inside(grid, 0, 0.47, 0.115, 0.135)] = BONE - (140 if height_mm % 28.0 < 6.0 else 0)
    image[_inside(grid, 0, 0.5, 0.045, 0.05)] = 30
    image[_inside(grid, 0, -0.585, 0.11, 0.03)] = BONE


def _draw_lungs(patient: Patient, z: int) -> None:
    grid, image, lobes, fissures = patient.grid, patient.hu[z], patient.lobes[z], patient.fissures
    w = float(grid.w[z])
    is_lower = (w < fissures.slope * grid.v + fissures.height)[:, None]
    for lung, upper, lower in ((patient.right, RUL, RLL), (patient.left, LUL, LLL)):
        under_dome = 1 - (w - lung.base) / lung.dome
        diaphragm = _inside(grid, lung.centre_u, -0.05, lung.radius_u * 1.15, lung.radius_v * 1.1, under_dome)
        cavity = _inside(grid, lung.centre_u, lung.centre_v, lung.radius_u, lung.radius_v, float(lung.opening(w)))
        if w > lung.top:
            cavity &= False
        image[cavity & diaphragm] = LIVER
        tissue = cavity & ~diaphragm & bool(w > lung.base)
        image[cavity & ~tissue] = LIVER
        lobes[tissue & is_lower] = lower
        front = RML if upper == RUL and w < fissures.horizontal else upper
        lobes[tissue & ~is_lower] = front
        depth = np.broadcast_to((LUNG_HU + 35 * grid.v)[:, None], image.shape)
        image[tissue] = depth[tissue].astype(np.int16)


def _draw_mediastinum(patient: Patient, z: int, heart_size: float) -> None:
    grid, image = patient.grid, patient.hu[z]
    w = float(grid.w[z])
    heart = _inside(
        grid, 0.10, -0.17, 0.30 * heart_size, 0.28 * heart_size, 1 - ((w + 0.33) / (0.37 * heart_size)) ** 2
    )
    vessels = _inside(grid, 0.10, 0.28, 0.065, 0.075, float(w < 0.3))  # descending aorta
    vessels |= _inside(grid, 0.02, -0.12, 0.13, 0.13, 1 - ((w - 0.2) / 0.25) ** 2)  # great vessels
    vessels |= _inside(grid, -0.09, -0.12, 0.05, 0.055, float(w > 0.0))  # superior vena cava
    image[heart | vessels] = BLOOD
    patient.lobes[z][heart | vessels] = 0


def hilum(patient: Patient, lung: Lung) -> Point:
    """Where vessels and bronchi enter a lung."""
    side = -1.0 if lung is patient.right else 1.0
    return patient.grid.to_mm(np.array([side * 0.15, 0.06, 0.02]))


def random_points(patient: Patient, lung: Lung, rng: np.random.Generator, count: int) -> Point:
    """Points in mm (count, 3), uniformly in the lung's box and inside lung tissue; fewer where little is left."""
    low = np.array([lung.centre_u - lung.radius_u, lung.centre_v - lung.radius_v, lung.base])
    high = np.array([lung.centre_u + lung.radius_u, lung.centre_v + lung.radius_v, lung.top])
    points = patient.grid.to_mm(rng.uniform(low, high, (count * 6, 3)))
    return points[patient.lobes[patient.grid.index_of(points)] > 0][:count]


def _grow(start: Point, targets: Point) -> tuple[Point, Point, NDArray[np.intp]]:
    """A tree from `start` to all targets, each joined to the nearest node there is: (from, to, leaves carried)."""
    targets = targets[np.argsort(np.linalg.norm(targets - start, axis=1), kind="stable")]
    nodes = np.vstack([start, targets])
    parent = np.zeros(len(nodes), dtype=np.intp)
    for node in range(1, len(nodes)):
        distance = np.linalg.norm(nodes[:node] - nodes[node], axis=1)
        parent[node] = int(np.argmin(distance))
    carried = np.ones(len(nodes), dtype=np.intp)
    for node in range(len(nodes) - 1, 0, -1):
        carried[parent[node]] += carried[node]
    return nodes[parent[1:]], nodes[1:], carried[1:]


def _draw_vessels(patient: Patient, rng: np.random.Generator) -> None:
    for lung in (patient.right, patient.left):
        targets = random_points(patient, lung, rng, VESSELS_PER_LUNG)
        for start, end, carried in zip(*_grow(hilum(patient, lung), targets), strict=True):
            radius = min(0.9 * float(carried) ** 0.36, 5.5)
            crop, near = capsule(patient.grid, start, end, radius)
            patient.hu[crop][near & (patient.lobes[crop] > 0)] = BLOOD


def _draw_airways(patient: Patient, rng: np.random.Generator) -> None:
    grid = patient.grid
    carina = grid.to_mm(np.array([0.0, 0.1, 0.22]))
    tubes = [(grid.to_mm(np.array([0.0, 0.08, 1.0])), carina, 9.0)]
    for lung in (patient.right, patient.left):
        gate = hilum(patient, lung)
        tubes.append((carina, gate, 6.5))
        targets = random_points(patient, lung, rng, AIRWAYS_PER_LUNG)
        targets = gate + 0.6 * (targets - gate)  # bronchi are visible in the inner lung only
        for start, end, carried in zip(*_grow(gate, targets), strict=True):
            tubes.append((start, end, min(1.3 * float(carried) ** 0.45, 5.5)))
    for wall in (1.3, 0.0):  # all walls first: a branch must not wall off the lumen it leaves
        for start, end, radius in tubes:
            crop, near = capsule(grid, start, end, radius + wall)
            patient.hu[crop][near] = -150 if wall else AIR
            patient.lobes[crop][near] = 0


def capsule(grid: Grid, start: Point, end: Point, radius_mm: float) -> tuple[Crop, Bools]:
    """The voxels within `radius_mm` of a straight piece."""
    crop = grid.crop(np.minimum(start, end) - radius_mm, np.maximum(start, end) + radius_mm)
    dz, dy, dx = grid.offsets(crop, start)
    axis = end - start
    length2 = float(axis @ axis) + 1e-9
    along = np.clip((dz * axis[0] + dy * axis[1] + dx * axis[2]) / length2, 0, 1).astype(np.float32)
    distance2 = (dz - along * axis[0]) ** 2 + (dy - along * axis[1]) ** 2 + (dx - along * axis[2]) ** 2
    near: Bools = distance2 < radius_mm * radius_mm
    return crop, near
