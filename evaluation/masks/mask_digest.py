"""What a mask holds, as a digest: the same for every file that means the same voxels, however it was saved."""

from __future__ import annotations

import hashlib

import numpy as np

from evaluation.masks.run_lengths import Runs, blocks


class MaskDigest:
    """Takes the findings of one case in turn; a file's compression, number type, scaling and header are no part."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._is_empty = True
        self._first: Runs | None = None
        self._repeated = self._differs = False

    @property
    def same_channels(self) -> bool:
        """Whether there are several findings and all hold the same voxels, at least one."""
        return self._repeated and not self._differs and not self._is_empty

    def add(self, finding: str, runs: Runs) -> None:
        """The next finding, by its key."""
        if self._first is None:
            self._first = runs
        else:
            self._repeated = True
            self._differs = self._differs or not _are_equal(self._first, runs)
        self._is_empty = self._is_empty and not len(runs)
        self._hash.update(f"{finding} {runs.grid} {len(runs)}\n".encode())
        for block in blocks(len(runs)):
            for ends in (runs.start[block], runs.stop[block]):
                self._hash.update(np.ascontiguousarray(ends, dtype="<i8").data)

    def value(self) -> str:
        """`sha256:` and the hash; empty where no voxel of any finding is set, for empty masks are equal by chance."""
        return "" if self._is_empty else f"sha256:{self._hash.hexdigest()}"


def _are_equal(runs: Runs, others: Runs) -> bool:
    return np.array_equal(runs.start, others.start) and np.array_equal(runs.stop, others.stop)
