"""From a stream of voxels to the runs of each finding, without ever holding the volume.

In the file the F findings are interleaved: the predecessor of a voxel along H lies F voxels before it. A run begins or
ends where these two differ, and in a mask they hardly ever do. So the stream is compared with itself, F voxels apart:
by the compiled kernel, where there is one and a voxel is a byte, else by NumPy.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Protocol

import numpy as np

from evaluation.masks.run_lengths import (
    Grid,
    Integers,
    Packer,
    Runs,
    Shape,
    ValuedRuns,
    Values,
    blocks,
    kernel_for,
    position_dtype,
    words_of_box,
)

TABLE_RUNS, MIN_TABLE_RUNS = 1 << 16, 1 << 10  # that the kernel finds before they are given to their findings
PENDING_CHANGES = 1 << 18
RUN_BYTES, WORD_BYTES = 8, 8


class RunScanner(Protocol):
    """Takes a file's voxels in order, in pieces; gives the runs of each finding."""

    def feed(self, voxels: Values) -> None:
        """The next voxels of the stream."""

    def feed_bytes(self, data: bytes) -> None:
        """The next voxels of the stream, each a byte."""

    def skip(self, count: int) -> None:
        """The next `count` voxels are zero."""

    def result(self) -> Iterator[ValuedRuns]:
        """All voxels were given: the runs of each finding in order, which can be had once."""


def scanner(shape: Shape, *, of_bytes: bool, binarise: bool = False) -> RunScanner:
    """A scanner for a mask of this shape (F, H, W, D); `of_bytes` if all voxels that it will be fed are uint8.

    With `binarise`, all values of such bytes but 0 are one.
    """
    compiled = kernel_for(shape[1:]) if of_bytes else None
    if compiled is not None:
        return _ByKernel(compiled, shape, binarise=binarise)
    return _ByNumPy(shape, binarise=binarise)


class _ByKernel:
    def __init__(self, compiled: ModuleType, shape: Shape, *, binarise: bool) -> None:
        findings = shape[0]
        self._scan, self._height, self._binarise = compiled.scan, shape[1], binarise
        self._found = _Found(shape)
        self._tail = bytearray(findings)
        of_open = (np.zeros(findings, np.int32), np.zeros(findings, np.uint8))  # where it starts, and what it holds
        table = (findings, max(TABLE_RUNS // findings, MIN_TABLE_RUNS))
        self._columns = (np.empty(table, np.int32), np.empty(table, np.int32), np.empty(table, np.uint8))
        self._used = np.zeros(findings, np.int64)
        self._state = (self._tail, *of_open, *self._columns, self._used)
        self._done = 0

    def feed(self, voxels: Values) -> None:
        self.feed_bytes(voxels.data)

    def feed_bytes(self, data: bytes | memoryview) -> None:
        consumed = self._scanned(data)
        while consumed < len(data):  # the table is full
            self._distribute()
            consumed += self._scanned(memoryview(data)[consumed:])

    def _scanned(self, data: bytes | memoryview) -> int:
        consumed: int = self._scan(data, *self._state, self._done, self._height, self._binarise)
        self._done += consumed
        return consumed

    def skip(self, count: int) -> None:
        near = min(len(self._tail), count)
        self.feed(np.zeros(near, np.uint8))
        self._done += count - near

    def result(self) -> Iterator[ValuedRuns]:
        self.skip(len(self._tail))  # what reaches to the last voxel ends behind it
        self._distribute()
        return self._found.result()

    def _distribute(self) -> None:
        start, stop, value = self._columns
        for finding, used in enumerate(self._used.tolist()):
            of_finding = (finding, slice(used))
            self._found.add(finding, start[of_finding].copy(), stop[of_finding].copy(), value[of_finding].copy())
        self._used[:] = 0


class _ByNumPy:
    def __init__(self, shape: Shape, *, binarise: bool) -> None:
        self._step, self._grid, self._binarise = shape[0], shape[1:], binarise
        self._dtype = position_dtype(self._grid)
        self._found = _Found(shape)
        self._tail: Values = np.zeros(self._step, np.uint8)
        self._done = 0
        self._pending: list[tuple[Values, ...]] = []  # where a voxel differs from its predecessor, from what, to what
        self._open = [np.zeros(0, np.int64)] * self._step  # of each finding: where a run began, and its value

    def feed(self, voxels: Values) -> None:
        if self._binarise:
            voxels = (voxels != 0).view(np.uint8)
        both = np.concatenate([self._tail, voxels])
        now, earlier = both[self._step :], both[: len(both) - self._step]
        place = np.flatnonzero(now != earlier)
        self._pending.append((place + self._done, earlier[place], now[place]))
        self._tail = both[len(both) - self._step :]
        self._done += len(voxels)
        if sum(len(changes[0]) for changes in self._pending) > PENDING_CHANGES:
            self._distribute()

    def feed_bytes(self, data: bytes) -> None:
        self.feed(np.frombuffer(data, np.uint8))

    def skip(self, count: int) -> None:
        near = min(self._step, count)
        self.feed(np.zeros(near, self._tail.dtype))
        self._done += count - near

    def result(self) -> Iterator[ValuedRuns]:
        self.skip(self._step)
        if self._pending:
            self._distribute()
        return self._found.result()

    def _distribute(self) -> None:
        """Give each change to its finding, as the start of a run, the stop of one, or both."""
        place, before, after = (np.concatenate(parts) for parts in zip(*self._pending, strict=True))
        self._pending = []
        position, finding = np.divmod(place, self._step)
        for number in range(self._step):
            mine = finding == number
            begins, ends = mine & (after != 0), mine & (before != 0)
            start = np.concatenate([self._open[number][:1], position[begins]]).astype(self._dtype)
            values = np.concatenate([self._open[number][1:].astype(after.dtype), after[begins]])
            stop = position[ends].astype(self._dtype)
            whole = len(stop)  # the last one may still be open
            self._open[number] = np.array([start[whole], values[whole]], np.int64) if len(start) > whole else start[:0]
            self._found.add(number, *split_at_rows(self._grid, start[:whole], stop, values[:whole]))


class _Found:
    """The runs of each finding, as they are found."""

    def __init__(self, shape: Shape) -> None:
        self._findings = [RunsOfFinding(shape[1:]) for _ in range(shape[0])]

    def add(self, finding: int, start: Integers, stop: Integers, values: Values) -> None:
        """The next runs of a finding, which end with their rows."""
        if len(start):
            self._findings[finding].add(start, stop, values)

    def result(self) -> Iterator[ValuedRuns]:
        """The findings in order; each can be had once."""
        self._findings.reverse()
        while self._findings:
            yield self._findings.pop().result()


class RunsOfFinding:
    """The runs of one finding: as numbers, or packed once these would take more memory than a bit for each voxel."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._parts: list[tuple[Integers, Integers, Values]] = []
        self._count = 0
        self._value: int | None = None  # that all have; 0: they differ
        self._packer: Packer | None = None

    def add(self, start: Integers, stop: Integers, values: Values) -> None:
        """The next runs, at least one, which end with their rows."""
        first = int(values[0])
        if self._value is None:
            self._value = first
        if self._value and (self._value != first or (values != first).any()):
            self._unpack()
            self._value = 0
        if self._packer is not None:
            self._packer.add(start, stop)
            return
        self._parts.append((start, stop, values))
        self._count += len(start)
        if self._value and self._count * RUN_BYTES > words_of_box(self._grid) * WORD_BYTES:
            self._pack()

    def result(self) -> ValuedRuns:
        """All of them."""
        if self._packer is not None:
            return ValuedRuns(self._packer.result(), np.array([self._value]))
        dtype = position_dtype(self._grid)
        nothing = (np.empty(0, dtype), np.empty(0, dtype), np.empty(0, np.uint8))
        start, stop, values = (np.concatenate(column) for column in zip(nothing, *self._parts, strict=True))
        return ValuedRuns(Runs(self._grid, start, stop), values)

    def _pack(self) -> None:
        self._packer = Packer(self._grid)
        for start, stop, _ in self._parts:
            self._packer.add(start, stop)
        self._parts = []

    def _unpack(self) -> None:
        if self._packer is not None:
            runs = self._packer.result().unpacked()
            self._parts = [(runs.start, runs.stop, np.full(len(runs), self._value))]
            self._packer = None


def split_at_rows(grid: Grid, start: Integers, stop: Integers, values: Values) -> tuple[Integers, Integers, Values]:
    """Cut the runs that go on from the end of a row into the next."""
    height = grid[0]
    parts = []
    for block in blocks(len(start)):
        first, last = start[block] // height, (stop[block] - 1) // height
        rows = last - first + 1
        owner = np.repeat(np.arange(len(rows)), rows)
        before = np.cumsum(rows) - rows
        row = first[owner] + (np.arange(len(owner)) - before[owner]).astype(start.dtype)
        low, high = np.maximum(start[block][owner], row * height), np.minimum(stop[block][owner], (row + 1) * height)
        parts.append((low, high, values[block][owner]))
    if not parts:
        return start, stop, values
    low, high, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    return low, high, value
