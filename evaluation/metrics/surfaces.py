"""The surfaces of instances: their voxels with a face neighbour outside of the instance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from evaluation.masks.run_lengths import Integers, Runs, surface

Block = tuple[Runs, Integers]  # consecutive runs, and the label of each


def surfaces(blocks: Iterable[Block], wanted: NDArray[np.bool_]) -> Iterator[Block]:
    """The surface of each label that is `wanted` (one truth for each, from 0 on), block by block."""
    before: Block | None = None
    current: Block | None = None
    for following in chain((block for block in blocks if len(block[0])), [None]):
        if current is not None:
            yield _surface(before, current, following, wanted)
        before, current = current, following


def _surface(before: Block | None, current: Block, following: Block | None, wanted: NDArray[np.bool_]) -> Block:
    if before is None and following is None:
        return surface(*current, wanted, slice(0, len(current[0])))
    parts = [_slice(before, -1), current, _slice(following, 0)]
    runs, labels = zip(*(part for part in parts if part is not None), strict=True)
    together = Runs(
        current[0].grid, np.concatenate([each.start for each in runs]), np.concatenate([each.stop for each in runs])
    )
    first = len(parts[0][0]) if parts[0] is not None else 0
    return surface(together, np.concatenate(labels), wanted, slice(first, first + len(current[0])))


def _slice(block: Block | None, end: int) -> Block | None:
    """The first (0) or last (-1) slice of a block."""
    if block is None:
        return None
    runs, labels = block
    size = runs.grid[0] * runs.grid[1]
    first = runs.start[end] // size * size
    chosen = slice(*np.searchsorted(runs.start, np.array([first, first + size], runs.start.dtype)))
    return runs[chosen], labels[chosen]


class RunsByLabel:
    """Some runs, and those of each label 0..count at hand."""

    def __init__(self, runs: Runs, labels: Integers, count: int) -> None:
        # NumPy sorts integers of up to 16 bits in linear time.
        order = np.argsort(labels.astype(np.uint16 if count < 1 << 16 else np.int64), kind="stable")
        self._runs = Runs(runs.grid, runs.start[order], runs.stop[order])
        self._bounds = np.searchsorted(labels[order], np.arange(count + 2))

    def __len__(self) -> int:
        return len(self._runs)

    def of(self, label: int) -> Runs:
        """Those of a label."""
        return self._runs[slice(self._bounds[label], self._bounds[label + 1])]
