"""The host's bounded cache of files by digest.

    blobs/<hex>      whole, verified files
    used/<hex>       empty; its time is the last use of the blob (a blob's own are constant: containers see them)
    partial/<hex>    a download that was broken off, to be continued

A file is handed out as a hard link, and what has a second link is in use and stays. Where there is no room, downloads
that nobody goes on with make some, then the least recently used of the other files.
"""

import contextlib
import hashlib
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from containers.protocol.faults import HostFault
from containers.sandbox.staging import FIXED_MTIME

#: Free space that is always left on the host's disk.
RESERVE_BYTES = 256 << 20
_DOWNLOADS = 3

Download = Callable[[str, int, Path], None]


class CacheFull(HostFault):
    """There is no room for the file, even without everything that is not in use."""

    default_code = "disk_full"


class DigestMismatch(Exception):
    """What was downloaded is repeatedly not what its digest promises."""


class BlobCache:
    """Files by digest ("sha256:<hex>") in `folder`, at most `max_bytes` in all.

    Safe for threads, not for processes.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._blobs, self._used, self._partial = (folder / name for name in ("blobs", "used", "partial"))
        for path in (self._blobs, self._used, self._partial):
            path.mkdir(parents=True, exist_ok=True)
        self._eviction = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def link(self, digest: str, size: int, target: Path, download: Download) -> None:
        """Make `target` a hard link to the file with this digest; `download(digest, size, path)` is called if need be.

        Raises CacheFull, DigestMismatch, and whatever `download` raises.
        """
        name = digest.removeprefix("sha256:")
        with self._locks[name]:
            blob = self._blobs / name
            if not blob.exists():
                self._fetch(digest, size, blob, download)
            (self._used / name).touch()
            target.unlink(missing_ok=True)
            os.link(blob, target)

    def discard(self, digest: str) -> None:
        """Forget a file that will not be needed again; links to it stay."""
        name = digest.removeprefix("sha256:")
        with self._locks[name]:
            self._remove(self._blobs / name)

    def held_bytes(self) -> int:
        """How much it holds."""
        held = 0
        for path in self._blobs.iterdir():
            with contextlib.suppress(FileNotFoundError):  # removed at this moment
                held += path.stat().st_size
        return held

    def evict(self, free_bytes: int) -> None:
        """Remove the least recently used files, as far as nobody uses them, until so much of the disk is free."""
        with self._eviction:
            if shutil.disk_usage(self._blobs).free < free_bytes:
                self._remove_broken_off()
            for path in sorted(self._blobs.iterdir(), key=self._last_use):
                if shutil.disk_usage(self._blobs).free >= free_bytes:
                    return
                if path.stat().st_nlink == 1:
                    self._remove(path)

    def _fetch(self, digest: str, size: int, blob: Path, download: Download) -> None:
        partial = self._partial / blob.name
        for _ in range(_DOWNLOADS):
            self._make_room(size)
            download(digest, size, partial)
            if _sha256(partial) == blob.name:
                partial.chmod(0o444)
                os.utime(partial, (FIXED_MTIME, FIXED_MTIME))
                partial.rename(blob)
                return
            partial.unlink()
        raise DigestMismatch(f"{digest} arrived damaged {_DOWNLOADS} times.")

    def _make_room(self, size: int) -> None:
        with self._eviction:
            blobs = sorted(self._blobs.iterdir(), key=self._last_use)
            total = sum(path.stat().st_size for path in blobs)
            begun = sum(path.stat().st_size for path in self._partial.iterdir())
            if total + begun + size > self._max_bytes or self._free() < size:
                self._remove_broken_off()
            # What can't come in at all makes nobody else's file go: its team would empty the cache with each attempt.
            for path in blobs if size <= self._max_bytes else ():
                if total + size <= self._max_bytes and self._free() >= size:
                    return
                status = path.stat()
                if status.st_nlink == 1:
                    self._remove(path)
                    total -= status.st_size
            if total + size > self._max_bytes or self._free() < size:
                raise CacheFull(
                    f"No room for {size} bytes in {self._blobs}: {total} of {self._max_bytes} are in use, "
                    f"and its disk has {self._free() + RESERVE_BYTES} free, of which {RESERVE_BYTES} stay in reserve."
                )

    def _remove_broken_off(self) -> None:
        """Of an image that another host runs meanwhile, say: nobody may ever ask for the rest."""
        for path in self._partial.iterdir():
            lock = self._locks[path.name]
            if lock.acquire(blocking=False):  # whoever downloads it holds it
                try:
                    path.unlink(missing_ok=True)
                finally:
                    lock.release()

    def _free(self) -> int:
        return shutil.disk_usage(self._blobs).free - RESERVE_BYTES

    def _last_use(self, blob: Path) -> float:
        with contextlib.suppress(FileNotFoundError):
            return (self._used / blob.name).stat().st_mtime
        return 0.0

    def _remove(self, blob: Path) -> None:
        blob.unlink(missing_ok=True)
        (self._used / blob.name).unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
