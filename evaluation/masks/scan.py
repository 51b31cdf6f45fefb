"""From a stream of voxels to the runs of each finding, without ever holding the volume.

In the file the F findings are interleaved: the predecessor of a voxel along H lies F voxels before it. A run begins or
ends where these two differ, and in a mask they hardly ever do. So the stream is compared with itself, F voxels apart,
eight bytes at a time, and only words that are not zero on one of the two sides are looked at any further.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.masks.run_lengths import Grid, Integers, Runs, Shape, ValuedRuns, Values, blocks, position_dtype

WORD = 8  # voxels compared at once where a voxel is a byte
MAX_RUNS_AT_ONCE = 1 << 24  # of all findings; with more, a file is read again for each portion of its findings
PENDING_CHANGES = 1 << 18


class Changes(NamedTuple):
    """Where a voxel differs from its predecessor along H (or from the last voxel of the row before)."""

    place: NDArray[np.int64]  # in the stream
    before: Values
    after: Values


class RunScanner:
    """Takes a file's voxels in order, in pieces of whole words (the last one padded); gives the runs of `findings`.

    With `binarise`, all non-zero values are one and the voxels must be uint8. When several findings have too many runs
    to be held together it has `overflowed`, and only counts them on.
    """

    def __init__(self, shape: Shape, findings: range, *, binarise: bool) -> None:
        self._step = shape[0]
        self._findings = findings
        self._grid = shape[1:]
        self._dtype = position_dtype(self._grid)
        self._binarise = binarise
        self._overlap = (self._step // WORD + 1) * WORD
        self._tail: Values = np.zeros(self._overlap, np.uint8)
        self._done = 0
        self._pending: list[Changes] = []
        self._pending_count = 0
        self.overflowed = False
        self._counts = dict.fromkeys(findings, 0)  # of runs, before they are cut into rows
        # Of each finding: starts, stops, and the values from there on; in one part, these may belong to different runs.
        self._parts: dict[int, list[tuple[Integers, Integers, Values]]] = {finding: [] for finding in findings}

    def feed(self, voxels: Values) -> None:
        """The next voxels of the stream."""
        if voxels.dtype == np.uint8:
            found = byte_changes(voxels, self._tail, self._step, binarise=self._binarise)
        else:
            found = any_changes(voxels, self._tail, self._step)
        self._keep(found._replace(place=found.place + self._done))
        self._tail = np.concatenate([self._tail, voxels[-self._overlap :]])[-self._overlap :]
        self._done += len(voxels)

    def skip(self, count: int) -> None:
        """The next `count` voxels are zero."""
        if self._tail.any():
            near = min(self._overlap, count + -count % WORD)
            self.feed(np.zeros(near, self._tail.dtype))
            count -= min(near, count)
        self._done += count

    def finish(self) -> None:
        """All voxels were given: what reaches to the last one ends behind it."""
        self.skip(self._overlap)
        self._distribute()

    def result(self) -> Iterator[ValuedRuns]:
        """The runs of each of the findings, unless it has `overflowed`; each can be had once."""
        return (self._runs(finding) for finding in self._findings)

    def portions(self) -> Iterator[range]:
        """The findings, in order, in portions that can each be held together, or are a single one."""
        first, held = self._findings.start, 0
        for finding, count in self._counts.items():
            if finding > first and held + count > MAX_RUNS_AT_ONCE:
                yield range(first, finding)
                first, held = finding, 0
            held += count
        yield range(first, self._findings.stop)

    def _keep(self, changes: Changes) -> None:
        self._pending.append(changes)
        self._pending_count += len(changes.place)
        if self._pending_count > PENDING_CHANGES:
            self._distribute()

    def _distribute(self) -> None:
        """Give each change to its finding, as the start of a run, the stop of one, or both."""
        if not self._pending:
            return
        place, before, after = (np.concatenate(parts) for parts in zip(*self._pending, strict=True))
        self._pending, self._pending_count = [], 0
        position, finding = np.divmod(place, self._step)
        for wanted in self._findings:
            mine = finding == wanted
            begins, ends = mine & (after != 0), mine & (before != 0)
            self._counts[wanted] += int(begins.sum())
            if not self.overflowed:
                start, stop = position[begins].astype(self._dtype), position[ends].astype(self._dtype)
                self._parts[wanted].append((start, stop, after[begins]))
        if sum(self._counts.values()) > MAX_RUNS_AT_ONCE and len(self._findings) > 1:
            self.overflowed = True
            self._parts.clear()

    def _runs(self, finding: int) -> ValuedRuns:
        nothing = (np.empty(0, self._dtype), np.empty(0, self._dtype), np.empty(0, np.uint8))
        start, stop, values = (
            np.concatenate(column) for column in zip(nothing, *self._parts.pop(finding), strict=True)
        )
        return split_at_rows(self._grid, start, stop, values)


def byte_changes(voxels: Values, tail: Values, step: int, *, binarise: bool) -> Changes:
    """The changes among `voxels`, which follow on `tail`; both uint8, both whole words, `tail` longer than `step`."""
    words, tail_words = voxels.view("<u8"), tail.view("<u8")
    apart, odd = divmod(step, WORD)
    filled = np.concatenate([tail_words != 0, words != 0])
    margin = len(tail_words)
    ahead, behind = (filled[margin - lag : len(filled) - lag] for lag in (apart, apart + 1))
    at = np.flatnonzero(filled[margin:] | ahead | behind)
    now = words[at]
    shift = np.uint64(8 * odd)  # the word that lies `step` bytes before straddles two words; numpy takes a shift by 64
    earlier = _words(words, tail_words, at - apart) << shift
    earlier |= _words(words, tail_words, at - apart - 1) >> (np.uint64(64) - shift)
    if binarise:
        now, earlier = ((word.view(np.uint8) != 0).view("<u8") for word in (now, earlier))
    byte = np.flatnonzero((now ^ earlier).view(np.uint8) != 0)
    place = at[byte // WORD] * WORD + byte % WORD
    return Changes(place, earlier.view(np.uint8)[byte], now.view(np.uint8)[byte])


def _words(words: Values, tail: Values, index: NDArray[np.int64]) -> Values:
    """`words[index]`, where the ascending index may reach back into `tail`."""
    found = words.take(index, mode="clip")
    reaching = int(np.searchsorted(index, 0))
    found[:reaching] = tail[index[:reaching]]
    return found


def any_changes(voxels: Values, tail: Values, step: int) -> Changes:
    """`byte_changes` for whole numbers of any type."""
    both = np.concatenate([tail, voxels])
    now, earlier = both[len(tail) :], both[len(tail) - step : len(both) - step]
    place = np.flatnonzero(now != earlier)
    return Changes(place, earlier[place], now[place])


def split_at_rows(grid: Grid, start: Integers, stop: Integers, values: Values) -> ValuedRuns:
    """Cut the runs that go on from the end of a row into the next."""
    height = grid[0]
    parts = []
    for block in blocks(len(start)):
        first, last = start[block] // height, (stop[block] - 1) // height
        if (first == last).all():
            parts.append((start[block], stop[block], values[block]))
            continue
        rows = last - first + 1
        owner = np.repeat(np.arange(len(rows)), rows)
        before = np.cumsum(rows) - rows
        row = first[owner] + (np.arange(len(owner)) - before[owner]).astype(start.dtype)
        low, high = np.maximum(start[block][owner], row * height), np.minimum(stop[block][owner], (row + 1) * height)
        parts.append((low, high, values[block][owner]))
    if len(parts) > 1 or (parts and len(parts[0][0]) != len(start)):
        start, stop, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return ValuedRuns(Runs(grid, start, stop), values)
