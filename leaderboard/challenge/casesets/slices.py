"""Three axial slices of a case, side by side, with the outlines of its findings: a PNG, made in bounded memory.

The slices are those on which its largest findings are largest. CT and mask are read forwards, a slice at a time, since
a mask of many findings does not fit in memory.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, zoom

from evaluation import EvaluationError
from evaluation.masks.nifti import NiftiStream

SLICES = 3
SIDE = 320  # pixels, of a slice's longer side
WINDOW = (-1350.0, 350.0)  # HU: lungs, and what lies beside them
_GREYS = 240
_GAP = 4
# Told apart by people who see no red or green, on grey: outlines of the findings, in turns.
_COLOURS = ((230, 159, 0), (86, 180, 233), (0, 200, 150), (240, 228, 66), (213, 94, 0), (204, 121, 167))

Slice = NDArray[Any]


class Unreadable(Exception):
    """A case of which no picture can be made."""


class Png(NamedTuple):
    """A picture as a file, with its size in pixels."""

    file: io.BytesIO
    width: int
    height: int


def draw_case(volume: Path, mask: Path) -> Png:
    """The picture of a case. Raises Unreadable."""
    try:
        sizes = _sizes(mask)
        places = _places(sizes)
        slices = [_drawn(*one) for one in zip(*_slices(volume, mask, places), strict=True)]
    except (EvaluationError, OSError, ValueError) as error:
        raise Unreadable(str(error)) from error
    return _png(_side_by_side(slices))


def _sizes(mask: Path) -> NDArray[np.int64]:
    """How many voxels each finding has on each slice: (D, F)."""
    with NiftiStream(mask) as stream:
        return np.array([(one != 0).sum(axis=(0, 1)) for one in _each(stream, 4)])


def _places(sizes: NDArray[np.int64]) -> list[int]:
    """Where the largest findings are largest; else spread over the volume. From the lowest slice to the highest."""
    depth = len(sizes)
    peaks = [int(sizes[:, finding].argmax()) for finding in np.argsort(-sizes.sum(axis=0)) if sizes[:, finding].any()]
    spread = [round(depth * (place + 1) / (SLICES + 1)) for place in range(SLICES)]
    chosen = list(dict.fromkeys(min(one, depth - 1) for one in (*peaks, *spread)))[:SLICES]
    return sorted(chosen)


def _slices(volume: Path, mask: Path, places: list[int]) -> tuple[list[Slice], list[Slice], list[tuple[float, float]]]:
    """Hounsfield units [W, H] and masks [W, H, F] at these places, and how large a pixel is."""
    with NiftiStream(volume) as stream:
        header = stream.header
        units = [one * header.slope + header.inter for one in _at(stream, 3, places)]
        spacing = header.spacing_mm or (1.0, 1.0, 1.0)
    with NiftiStream(mask) as stream:
        masks = [one != 0 for one in _at(stream, 4, places)]
    return units, masks, [(spacing[1], spacing[0])] * len(units)


def _at(stream: NiftiStream, axes: int, places: list[int]) -> list[Slice]:
    return [one.astype(np.float32) for place, one in enumerate(_each(stream, axes)) if place in places]


def _each(stream: NiftiStream, axes: int) -> Any:
    """One slice after the other, as C-ordered arrays: [W, H], and [W, H, F] of a mask."""
    dims = stream.header.dims
    if len(dims) != axes:
        raise ValueError(f"{len(dims)} axes in place of {axes}")
    *plane, depth = dims
    size = int(np.prod(plane)) * stream.header.dtype.itemsize
    for _ in range(depth):
        yield np.frombuffer(stream.read(size), stream.header.dtype).reshape(plane[::-1])


def _drawn(units: Slice, masks: Slice, pixel_mm: tuple[float, float]) -> NDArray[np.uint8]:
    """A slice as places in the palette: greys, then the colours of outlines."""
    scale = _scale(units.shape, pixel_mm)
    low, high = WINDOW
    grey = np.clip((zoom(units, scale, order=1) - low) / (high - low), 0, 1) * (_GREYS - 1)
    picture = grey.astype(np.uint8)
    for finding in range(masks.shape[2]):
        shown = zoom(masks[:, :, finding].astype(np.float32), scale, order=1) >= 0.5
        outline = shown & ~binary_erosion(shown)
        picture[outline] = _GREYS + finding % len(_COLOURS)
    return picture


def _scale(shape: tuple[int, ...], pixel_mm: tuple[float, float]) -> tuple[float, float]:
    """So that the longer side has SIDE pixels, and pixels are square."""
    lengths = [count * step for count, step in zip(shape, pixel_mm, strict=True)]
    per_mm = SIDE / max(lengths)
    return pixel_mm[0] * per_mm, pixel_mm[1] * per_mm


def _side_by_side(slices: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    gap = np.zeros((slices[0].shape[0], _GAP), np.uint8)
    return np.hstack([part for one in slices for part in (one, gap)][:-1])


def _png(picture: NDArray[np.uint8]) -> Png:
    """Written here: 30 lines for what would be one more library on the server."""
    height, width = picture.shape
    greys = [(round(255 * one / (_GREYS - 1)),) * 3 for one in range(_GREYS)]
    palette = bytes(part for colour in (*greys, *_COLOURS) for part in colour)
    rows = np.hstack([np.zeros((height, 1), np.uint8), picture]).tobytes()
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    written = b"".join(_chunk(kind, content) for kind, content in chunks)
    return Png(io.BytesIO(b"\x89PNG\r\n\x1a\n" + written), width, height)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
