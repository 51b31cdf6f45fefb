"""Temporary files of workers: each has a folder of its own on the store's disk, which dies with it.

A worker that is killed cannot tidy up (Celery's pool makes folders for the memory that its processes share). So its
temporary files are not in /tmp, where nobody knows whose they are, but below `scratch` in the store, which the rules
about disk space look at. A folder is in use as long as any process of its worker lives, since they all hold its lock:
the kernel knows that, whatever number they have or had.
"""

import errno
import fcntl
import logging
import os
import shutil
import tempfile
from pathlib import Path

from django.conf import settings

from leaderboard.core import disk_space

logger = logging.getLogger(__name__)
LEAST_FREE_BYTES = 16 << 20
_held: list[int] = []


def root() -> Path:
    """Where the folders are, private to the server's user."""
    folder = Path(settings.STORE_DIR) / "scratch"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def use_own_folder() -> None:
    """Give this process, and those that it will fork, a new folder for temporary files, kept while one of them lives.

    On a full disk they go where the system puts them: a worker that can free some of it must be able to start.
    """
    try:
        tempfile.tempdir = str(_new_folder())
    except OSError as error:
        logger.warning("no folder for temporary files of this worker's own: %s", error)


def _new_folder() -> Path:
    if disk_space.free_bytes() < LEAST_FREE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    while True:
        folder = Path(tempfile.mkdtemp(dir=root()))
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if folder.exists():  # nobody took it for abandoned before it was locked
            break
        os.close(descriptor)
    _held.append(descriptor)
    return folder


def remove_abandoned() -> None:
    """Remove the folders of workers that are dead."""
    for folder in root().iterdir():
        _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # somebody else removed it at this moment, or it is no folder of a worker
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # it lives
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
