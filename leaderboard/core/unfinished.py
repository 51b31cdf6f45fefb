"""Files and folders that somebody is still writing: each is held by a lock, which ends with the process that writes.

So what a killed process left is known by the lock that nobody holds, and goes within minutes (`remove_abandoned`). What
is there, unlocked, for a moment (just made, about to be moved) is let alone: it was written to a moment ago.
"""

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

ABANDONED_SECONDS = 300.0  # also for processes of an older version, which hold nothing while they write
OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


def create(folder: Path, prefix: str) -> IO[bytes]:
    """A new, private file that goes with `close`, unless it was moved away."""
    made = tempfile.NamedTemporaryFile(dir=folder, prefix=prefix)  # noqa: SIM115 - the caller closes it
    fcntl.flock(made, fcntl.LOCK_EX)
    return made


def close(made: IO[Any]) -> None:
    """End a file of `create`, also one that was moved away, or whose last bytes found no room."""
    with suppress(OSError):
        made.close()


@contextmanager
def file(folder: Path, prefix: str) -> Iterator[IO[bytes]]:
    """The same for the time of the context."""
    made = create(folder, prefix)
    try:
        yield made
    finally:
        close(made)


@contextmanager
def folder(parent: Path) -> Iterator[Path]:
    """A new, private folder for the time of the context."""
    with tempfile.TemporaryDirectory(dir=parent) as name:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(descriptor)


def keep(made: IO[Any], target: Path) -> None:
    """Give a file that `create` made its lasting name, when its content is on the disk. Raises OSError."""
    made.flush()
    os.fsync(made.fileno())  # a row that says "received" must not outlive the file when the power fails
    Path(made.name).rename(target)


def is_out_of_space(error: OSError) -> bool:
    """Whether a write failed because there is no room."""
    return error.errno in OUT_OF_SPACE


def remove_abandoned(paths: Iterable[Path]) -> None:
    """Remove those of these files and folders that nobody writes any more."""
    for path in paths:
        with suppress(FileNotFoundError):  # somebody else tidied, or finished, at this very moment
            if _is_abandoned(path):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_abandoned(path: Path) -> bool:
    if path.is_symlink() or time.time() - _last_write(path) < ABANDONED_SECONDS:
        return path.is_symlink()
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _last_write(path: Path) -> float:
    inside = path.rglob("*") if path.is_dir() else ()
    return max(float(one.lstat().st_mtime) for one in (path, *inside))
