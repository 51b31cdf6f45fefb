"""What a mask holds, as a digest: the same for every file that means the same voxels, however it was saved."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from evaluation.masks.run_lengths import BLOCK_RUNS, Channel, Runs


class MaskDigest:
    """Takes the findings of one case in turn; a file's compression, number type, scaling and header are no part."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._is_empty = True

    def add(self, finding: str, channel: Channel) -> None:
        """The next finding, by its key."""
        self._is_empty = self._is_empty and not len(channel)
        self._hash.update(f"{finding} {channel.grid} {len(channel)}\n".encode())
        for runs in _in_blocks(channel):
            for ends in (runs.start, runs.stop):
                self._hash.update(np.ascontiguousarray(ends, dtype="<i8").data)

    def value(self) -> str:
        """`sha256:` and the hash; empty where no voxel of any finding is set, for empty masks are equal by chance."""
        return "" if self._is_empty else f"sha256:{self._hash.hexdigest()}"


def _in_blocks(channel: Channel) -> Iterator[Runs]:
    """All runs, `BLOCK_RUNS` at a time, whatever the slabs: the digest tells where a block ends."""
    start, stop = np.empty((2, 0), np.int64)
    for slab in channel.slabs():
        runs = slab.runs[slab.low :]
        start, stop = np.concatenate([start, runs.start]), np.concatenate([stop, runs.stop])
        while len(start) >= BLOCK_RUNS:
            yield Runs(channel.grid, start[:BLOCK_RUNS], stop[:BLOCK_RUNS])
            start, stop = start[BLOCK_RUNS:], stop[BLOCK_RUNS:]
    if len(start):
        yield Runs(channel.grid, start, stop)
