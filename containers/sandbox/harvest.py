"""Reading /output after the algorithm is dead.

The holder hands the results over itself (`holder dump`, run in its container as the algorithm's user, where the volume
is mounted read-only): only regular files with one link, opened without following links. The engine's archive API would
mount the volume once more on the host, and an engine that was restarted with live-restore then shows an empty folder in
place of the full one; the holder's own mount outlives every engine.

The dump comes from our own program, so its form is trusted; names and contents are not. The bytes are bounded by the
program and again here, because a sparse file claims any size.
"""

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from containers.protocol.reports import Blob
from containers.protocol.verdicts import FailureCode

MAX_WARNINGS: Final = 20
MAX_WARNING_CHARACTERS: Final = 500
MAX_OTHER_NAMES: Final = 5
MAX_NAME_CHARACTERS: Final = 60
MAX_RECORDS: Final = 100_000

_NOTES: Final = frozenset({".csv", ".json", ".log", ".md", ".txt", ".yaml", ".yml"})

# The records of a dump, as holder.c describes them.
_FILE, _END, _VOLUME_FULL, _OTHER_FILE, _OTHER_FOLDER = b"F", b"E", b"L", b"X", b"D"
_NO_RESULT: Final[dict[bytes, FailureCode]] = {b"N": "not_a_regular_file", b"B": "output_full"}


class DumpTruncated(Exception):
    """The dump broke off, or is none; what came is incomplete."""


@dataclass
class Harvest:
    """What lay in the folder.

    `found` maps an expected name to its file, or to the code why it is no result. `full`: the volume has no free page
    or inode. `warnings` name files that are probably misnamed results.
    """

    found: dict[str, Blob | FailureCode] = field(default_factory=dict)
    full: bool = False
    warnings: list[str] = field(default_factory=list)


def harvest(chunks: Iterable[bytes], names: Sequence[str], folder: Path, *, max_bytes: int) -> Harvest:
    """Take the files named `names` from a dump into `folder`.

    `max_bytes`: the size of the output volume, which bounds all files together. Raises DumpTruncated.
    """
    return _DumpReader(chunks, names, folder, max_bytes).read()


class _DumpReader:
    """One dump, read record by record."""

    def __init__(self, chunks: Iterable[bytes], names: Sequence[str], folder: Path, max_bytes: int) -> None:
        self._stream = _Stream(chunks)
        self._names = names
        self._folder = folder
        self._bytes_left = max_bytes
        self._result = Harvest()
        self._other_files: list[str] = []
        self._other_folders: list[str] = []

    def read(self) -> Harvest:
        """Read up to the end mark."""
        for _ in range(MAX_RECORDS):
            kind = self._stream.take(1)
            if kind == _END:
                absent = [name for name in self._names if name not in self._result.found]
                self._result.warnings = _warnings(self._other_files, self._other_folders, self._names, absent)
                return self._result
            self._read_record(kind)
        raise DumpTruncated("The dump does not end.")

    def _read_record(self, kind: bytes) -> None:
        if kind == _VOLUME_FULL:
            self._result.full = True
            return
        name = self._stream.text()
        if kind == _OTHER_FILE:
            self._other_files.append(name)
        elif kind == _OTHER_FOLDER:
            self._other_folders.append(name)
        elif name in self._names and kind == _FILE:
            self._result.found[name] = self._keep(self._folder / name)
        elif name in self._names and kind in _NO_RESULT:
            self._result.found[name] = _NO_RESULT[kind]
        else:
            raise DumpTruncated("The dump is not a dump.")

    def _keep(self, target: Path) -> Blob:
        size = int.from_bytes(self._stream.take(8), "little")
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise DumpTruncated("The dump is longer than the volume.")
        digest = hashlib.sha256()
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for part in self._stream.parts(size):
                digest.update(part)
                file.write(part)
        return Blob(f"sha256:{digest.hexdigest()}", size)


class _Stream:
    """The chunks of a dump, read by size. Raises DumpTruncated at their end."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def _fill(self) -> None:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise DumpTruncated("The dump has no end mark.")
            self._rest = chunk

    def parts(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes, in the pieces in which they came."""
        while size:
            self._fill()
            part, self._rest = self._rest[:size], self._rest[size:]
            size -= len(part)
            yield part

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        return b"".join(self.parts(size))

    def text(self) -> str:
        """The next text, which ends with 0."""
        letters = bytearray()
        while (letter := self.take(1)) != b"\0":
            letters += letter
            if len(letters) > os.pathconf("/", "PC_NAME_MAX"):
                raise DumpTruncated("The dump is not a dump.")
        return letters.decode(errors="surrogateescape")


def _warnings(files: Sequence[str], folders: Iterable[str], names: Sequence[str], absent: Sequence[str]) -> list[str]:
    """Say which other files are probably results under a wrong name, and which folders may hide some."""
    stems = {_stem(name): name for name in absent}
    expected = {_stem(name) for name in names}
    warnings = [
        f"Found {other!a} where {stems[_stem(other)]} was expected; it was not used."
        for other in sorted(files)
        if _stem(other) in stems
    ]
    if absent:
        warnings = warnings[: MAX_WARNINGS - 2]  # so that there is room for what else there is
        warnings += _other_names([name for name in files if _may_be_a_mask(name, expected)])
        warnings += [f"Found the folder {name!a}; only files in /output itself count." for name in sorted(folders)]
    return [warning[:MAX_WARNING_CHARACTERS] for warning in warnings[:MAX_WARNINGS]]


def _may_be_a_mask(name: str, expected: Collection[str]) -> bool:
    """Whether it may be a result whose name fits no case: no notes, and nothing that was left of a case."""
    return _stem(name) not in expected and PurePosixPath(name).suffix.lower() not in _NOTES


def _other_names(files: Sequence[str]) -> list[str]:
    """One line for all files whose names fit no case, with as many of them as it takes to see what went wrong."""
    if not files:
        return []
    first = ", ".join(f"{_shortened(name)!a}" for name in sorted(files)[:MAX_OTHER_NAMES])
    more = f" and {len(files) - MAX_OTHER_NAMES} more" if len(files) > MAX_OTHER_NAMES else ""
    found = "1 file" if len(files) == 1 else f"{len(files)} files"
    return [f"Found {found} in /output that no case is named like, while masks are missing: {first}{more}."]


def _shortened(name: str) -> str:
    return name if len(name) <= MAX_NAME_CHARACTERS else f"{name[:MAX_NAME_CHARACTERS]}..."


def _stem(name: str) -> str:
    """What is left of a name without case and endings."""
    return PurePosixPath(name).name.lower().split(".")[0].strip()
