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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from containers.protocol.reports import Blob

CHUNK: Final = 1 << 20
MAX_WARNINGS: Final = 20
MAX_RECORDS: Final = 100_000
_REFUSED: Final = {b"N": "not_a_regular_file", b"B": "output_full"}


class Truncated(Exception):
    """The dump broke off; what came is incomplete."""


@dataclass
class Harvest:
    """What lay in the folder.

    `found` maps an expected name to its file, or to the code why it is no result. `full`: the volume has no free page
    or inode. `warnings` name files that are probably misnamed results.
    """

    found: dict[str, Blob | str] = field(default_factory=dict)
    full: bool = False
    warnings: list[str] = field(default_factory=list)


class _Stream:
    """The chunks of a dump, read by size. Raises Truncated at their end."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def _fill(self) -> None:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise Truncated("The dump has no end mark.")
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
                raise Truncated("The dump is not a dump.")
        return letters.decode(errors="surrogateescape")


def harvest(chunks: Iterable[bytes], names: Sequence[str], folder: Path, *, max_bytes: int) -> Harvest:
    """Take the files named `names` from a dump into `folder`.

    `max_bytes`: the size of the output volume, which bounds all files together. Raises Truncated.
    """
    result, stream, left = Harvest(), _Stream(chunks), max_bytes
    files: list[str] = []
    folders: list[str] = []
    for _ in range(MAX_RECORDS):
        kind = stream.take(1)
        if kind == b"E":
            break
        if kind == b"L":
            result.full = True
            continue
        name = stream.text()
        if kind == b"X":
            files.append(name)
        elif kind == b"D":
            folders.append(name)
        elif name not in names or kind not in (b"F", *_REFUSED):
            raise Truncated("The dump is not a dump.")
        elif kind == b"F":
            size = int.from_bytes(stream.take(8), "little")
            left -= size
            if left < 0:
                raise Truncated("The dump is longer than the volume.")
            result.found[name] = _keep(stream, size, folder / name)
        else:
            result.found[name] = _REFUSED[kind]
    else:
        raise Truncated("The dump does not end.")
    absent = [name for name in names if name not in result.found]
    result.warnings = _warnings(files, folders, absent)
    return result


def _keep(stream: _Stream, size: int, target: Path) -> Blob:
    digest = hashlib.sha256()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for part in stream.parts(size):
            digest.update(part)
            file.write(part)
    return Blob(f"sha256:{digest.hexdigest()}", size)


def _warnings(files: Iterable[str], folders: Iterable[str], absent: Sequence[str]) -> list[str]:
    """Say which other files are probably results under a wrong name, and which folders may hide some."""
    stems = {_stem(name): name for name in absent}
    warnings = [
        f"Found {other!a} where {stems[_stem(other)]} was expected; it was not used."
        for other in sorted(files)
        if _stem(other) in stems
    ]
    if absent:
        warnings += [f"Found the folder {name!a}; only files in /output itself count." for name in sorted(folders)]
    return [warning[:500] for warning in warnings[:MAX_WARNINGS]]


def _stem(name: str) -> str:
    """What is left of a name without case and endings."""
    return PurePosixPath(name).name.lower().split(".")[0].strip()
