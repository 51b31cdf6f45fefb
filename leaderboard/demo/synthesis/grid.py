"""The voxel grid of one volume, and the two coordinate systems the phantom is drawn in.

Arrays are C-ordered [z, y, x] = (D, W, H), the order of the bytes in the file. Axes follow the usual axial CT
(LPS): x grows to the patient's **left**, y to the back, z to the head.

* Normalised (u, v, w): each axis of the field of view from -1 to 1. Anatomy is drawn here, so it fits any field
  of view.
* Millimetres (z, y, x) from the centre of the first voxel. Lesions are drawn here, so their sizes are real.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int]
Spacing = tuple[float, float, float]
Crop = tuple[slice, slice, slice]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Point = NDArray[np.float64]
"""Millimetres in the order z, y, x."""


@dataclass(frozen=True)
class Grid:
    """`shape` (H, W, D) in voxels, `spacing_mm` (H, W, D)."""

    shape: Shape
    spacing_mm: Spacing

    @cached_property
    def array_shape(self) -> Shape:
        """Shape in array order z, y, x."""
        return (self.shape[2], self.shape[1], self.shape[0])

    @cached_property
    def step(self) -> Point:
        """Spacing in mm in array order z, y, x."""
        return np.array(self.spacing_mm[::-1], dtype=np.float64)

    @cached_property
    def voxel_mm3(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.step))

    @cached_property
    def voxel_mm(self) -> float:
        """Edge of a cube as large as one voxel."""
        return float(self.voxel_mm3 ** (1 / 3))

    @cached_property
    def u(self) -> Floats:
        """Where each voxel lies from right to left, -1 to 1."""
        return self._normalised(2)

    @cached_property
    def v(self) -> Floats:
        """Where each voxel lies from front to back, -1 to 1."""
        return self._normalised(1)

    @cached_property
    def w(self) -> Floats:
        """Where each voxel lies from base to apex, -1 to 1."""
        return self._normalised(0)

    def _normalised(self, axis: int) -> Floats:
        count = self.array_shape[axis]
        return ((np.arange(count) + 0.5) * (2 / count) - 1).astype(np.float32)

    @cached_property
    def half_extent_mm(self) -> Point:
        """Half the field of view in mm in array order z, y, x: what one normalised unit measures."""
        half: Point = self.step * np.array(self.array_shape) / 2
        return half

    def to_mm(self, uvw: NDArray[np.float64]) -> Point:
        """Normalised (..., 3) as u, v, w -> millimetres (..., 3) as z, y, x."""
        return (uvw[..., ::-1] + 1) * self.half_extent_mm - self.step / 2

    def to_uvw(self, point: Point) -> NDArray[np.float64]:
        """A point (z, y, x in mm) in u, v, w."""
        return ((point + self.step / 2) / self.half_extent_mm - 1)[..., ::-1]

    def index_of(self, points: Point) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Indices (z, y, x) of the voxels that hold `points` (..., 3), clipped to the volume."""
        index = np.clip(np.rint(points / self.step), 0, np.array(self.array_shape) - 1).astype(np.intp)
        return index[..., 0], index[..., 1], index[..., 2]

    def crop(self, low: Point, high: Point) -> Crop:
        """The voxels whose centres lie between two corners in mm; at least one voxel."""
        limit = np.array(self.array_shape)
        start = np.clip(np.floor(low / self.step), 0, limit - 1).astype(int)
        stop = np.clip(np.ceil(high / self.step) + 1, start + 1, limit).astype(int)
        return (
            slice(int(start[0]), int(stop[0])),
            slice(int(start[1]), int(stop[1])),
            slice(int(start[2]), int(stop[2])),
        )

    def around(self, centre: Point, reach_mm: float) -> Crop:
        """The crop that reaches `reach_mm` from `centre` in each direction."""
        return self.crop(centre - reach_mm, centre + reach_mm)

    def offsets(self, crop: Crop, centre: Point) -> tuple[Floats, Floats, Floats]:
        """Distances in mm from `centre` along z, y, x of a crop's voxels, as open grids that broadcast."""
        dz, dy, dx = (
            (np.arange(part.start, part.stop) * step - middle).astype(np.float32)
            for part, step, middle in zip(crop, self.step, centre, strict=True)
        )
        return dz[:, None, None], dy[None, :, None], dx[None, None, :]
