"""What a mask holds, as a digest: the same for every file that means the same voxels, however it was saved."""

from __future__ import annotations

import hashlib

import numpy as np

from evaluation.masks.run_lengths import Channel, PackedRuns, Runs, blocks


class MaskDigest:
    """Takes the findings of one case in turn; a file's compression, number type, scaling and header are no part."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._is_empty = True
        self._first: Channel | None = None
        self._repeated = self._differs = False

    @property
    def same_channels(self) -> bool:
        """Whether there are several findings and all hold the same voxels, at least one."""
        return self._repeated and not self._differs and not self._is_empty

    def add(self, finding: str, channel: Channel) -> None:
        """The next finding, by its key. Whether its runs are packed depends on nothing but the runs."""
        if self._first is None:
            self._first = channel
        else:
            self._repeated = True
            self._differs = self._differs or not _are_equal(self._first, channel)
        self._is_empty = self._is_empty and not len(channel)
        self._hash.update(f"{finding} {channel.grid} {len(channel)}\n".encode())
        if isinstance(channel, PackedRuns):
            self._hash.update(np.ascontiguousarray(channel.words, dtype="<u8").data)
            return
        for block in blocks(len(channel)):
            for ends in (channel.start[block], channel.stop[block]):
                self._hash.update(np.ascontiguousarray(ends, dtype="<i8").data)

    def value(self) -> str:
        """`sha256:` and the hash; empty where no voxel of any finding is set, for empty masks are equal by chance."""
        return "" if self._is_empty else f"sha256:{self._hash.hexdigest()}"


def _are_equal(one: Channel, other: Channel) -> bool:
    if isinstance(one, Runs) and isinstance(other, Runs):
        return np.array_equal(one.start, other.start) and np.array_equal(one.stop, other.stop)
    return isinstance(one, PackedRuns) and isinstance(other, PackedRuns) and np.array_equal(one.words, other.words)
