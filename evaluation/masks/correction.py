"""What a mask would have been, had it been saved in another way: turned, inverted, its channels in another order.

On runs, like everything that is done with masks. A corrected mask is scored as any other (`metrics.scoring.assess`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations, product

import numpy as np

from evaluation.masks.run_lengths import Channel, Coordinates, Grid, Integers, Runs, coordinates, expand, position_dtype

AXES = "HWD"
AS_SAVED = "HWD"


class Order(StrEnum):
    """An order in which channels are saved by a slip that all cases share."""

    REVERSED = "reversed"
    AS_TEXT = "as text"  # the findings' keys sorted as words: 0, 1, 10, 11, 2
    FROM_NEXT = "from next"  # each finding lies one channel too high, the last one in channel 0
    FROM_PREVIOUS = "from previous"  # each one channel too low, the first one in the last channel


@dataclass(frozen=True)
class Correction:
    """How to change a mask (F, H, W, D): its foreground, its orientation, the order of its channels.

    `turn` is a code of `orientations`. `channels` is an order that all cases share, or for each finding of one case the
    channel that shows it; empty means as saved.
    """

    turn: str = AS_SAVED
    channels: Order | tuple[int, ...] = ()
    inverted: bool = False

    def apply(self, findings: Iterable[Channel]) -> Iterator[Channel]:
        """The findings of the corrected mask, from those of the saved one; ValueError for an order of another mask."""
        if self.channels:
            saved = list(findings)
            channels = _channels(self.channels, len(saved))
            if sorted(channels) != list(range(len(saved))):
                raise ValueError(f"{channels} is no order of {len(saved)} channels")
            findings = [saved[channel] for channel in channels]
        if self.turn == AS_SAVED and not self.inverted:
            yield from findings
            return
        for channel in findings:
            runs = channel.unpacked()
            yield turn_runs(invert(runs) if self.inverted else runs, self.turn)


def _channels(order: Order | tuple[int, ...], count: int) -> Sequence[int]:
    return channels_of(order, count) if isinstance(order, Order) else order


def channels_of(order: Order, count: int) -> list[int]:
    """For each of `count` findings the channel that shows it, when the channels were saved in this order."""
    if order is Order.REVERSED:
        return list(range(count))[::-1]
    if order is Order.AS_TEXT:
        saved = sorted(range(count), key=str)
        return [saved.index(finding) for finding in range(count)]
    step = 1 if order is Order.FROM_NEXT else -1
    return [(finding + step) % count for finding in range(count)]


# --- orientation ------------------------------------------------------------------------------------------------------


def orientations(grid: Grid) -> list[str]:
    """The codes of all flips and transpositions that keep the shape of a volume, plainest first.

    "HWD" is as saved, "HwD" flipped along W, "WHD" has its first two axes swapped.
    """
    codes = []
    for axes in permutations(range(3)):
        if all(grid[source] == grid[axis] for axis, source in enumerate(axes)):
            names = [AXES[source] for source in axes]
            codes += ["".join(code) for code in product(*((name, name.lower()) for name in names))]
    return sorted(codes, key=_changes)


def _changes(code: str) -> int:
    moved = sum(letter.upper() != axis for letter, axis in zip(code, AXES, strict=True))
    return 2 * moved + sum(letter.islower() for letter in code)


def turn_voxels(voxels: Coordinates, grid: Grid, code: str) -> Coordinates:
    """Where voxels lie in the turned volume."""
    turned = np.empty_like(voxels)
    for axis, letter in enumerate(code):
        source = voxels[AXES.index(letter.upper())]
        turned[axis] = grid[axis] - 1 - source if letter.islower() else source
    return turned


def turn_runs(runs: Runs, code: str) -> Runs:
    """The runs of the turned volume, which must have the same shape."""
    if code == AS_SAVED or not len(runs):
        return runs
    if code[0].upper() == AXES[0]:  # rows stay rows
        lengths = runs.lengths()
        ends = np.stack(runs.coordinates())
        if code[0].islower():
            ends[0] += lengths - 1
        start = _positions(turn_voxels(ends, runs.grid, code), runs.grid)
        order = np.argsort(start)
        return Runs(runs.grid, start[order], start[order] + lengths[order])
    pieces = [
        _positions(turn_voxels(np.stack(coordinates(positions, runs.grid)), runs.grid, code), runs.grid)
        for _, positions in expand(runs.start, runs.lengths())
    ]
    return _runs_of(np.sort(np.concatenate(pieces)), runs.grid)


def _positions(voxels: Coordinates, grid: Grid) -> Integers:
    dtype = position_dtype(grid)
    h, w, d = (axis.astype(dtype, copy=False) for axis in voxels)
    positions: Integers = h + grid[0] * (w + grid[1] * d)
    return positions


def _runs_of(positions: Integers, grid: Grid) -> Runs:
    """The runs that sorted positions make."""
    begins = np.ones(len(positions), bool)
    begins[1:] = (np.diff(positions) != 1) | (positions[1:] % grid[0] == 0)
    ends = np.append(begins[1:], True)
    return Runs(grid, positions[begins], positions[ends] + 1)


# --- foreground -------------------------------------------------------------------------------------------------------


def invert(runs: Runs) -> Runs:
    """All other voxels of the volume."""
    height, width, depth = runs.grid
    dtype = position_dtype(runs.grid)
    rows = np.arange(width * depth, dtype=dtype) * height
    # In each row, what is left opens where the row begins or a run stops, and closes where a run starts or it ends.
    opens = np.sort(np.concatenate([rows, runs.stop]))
    closes = np.sort(np.concatenate([runs.start, rows + height]))
    kept = opens < closes
    return Runs(runs.grid, opens[kept].astype(dtype, copy=False), closes[kept].astype(dtype, copy=False))
