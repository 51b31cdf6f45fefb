"""What a mask holds, as a digest: the same for every file that means the same voxels, however it was saved."""

from __future__ import annotations

import hashlib

import numpy as np

from evaluation.masks.run_lengths import Channel, PackedRuns, blocks


class MaskDigest:
    """Takes the findings of one case in turn; a file's compression, number type, scaling and header are no part."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._is_empty = True

    def add(self, finding: str, channel: Channel) -> None:
        """The next finding, by its key. Whether its runs are packed depends on nothing but the runs."""
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

