"""Weights that this host has unpacked: whole folders, of which each serves one container at a time.

    copies/<hex>-<random>    a whole copy that nobody uses; its file in `used` says how large it is, and since when
    used/<hex>-<random>      its size in bytes as text; its time is the last use
    gone/                    what is being removed: a removal that is broken off leaves no half of a copy
    boot                     since which start of the machine: what it had not written out then is not to be trusted

An attempt takes a copy away into its own folder and gives it back when its container is gone. So what is in use is
nowhere for eviction to find, and two containers never see the same files at once: by locks on a file, or by being told
who opens it, a program on hidden cases could else talk to one whose log its team reads.
"""

import logging
import os
import secrets
import shutil
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from containers.host.image_cache import DAY_SECONDS, ImageCacheLimits
from containers.sandbox.staging import FIXED_MTIME

log = logging.getLogger(__name__)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CHUNK = 1 << 20


class WeightsCache:
    """Unpacked weights by digest ("sha256:<hex>") in `folder`: as many, for as long, as images; `max_bytes` in all.

    `free_bytes` measures the free space of its disk. Safe for threads, not for processes.
    """

    def __init__(
        self,
        folder: Path,
        limits: ImageCacheLimits,
        max_bytes: int,
        free_bytes: Callable[[], int],
        boot: Path = BOOT_ID,
    ) -> None:
        self._limits = limits
        self._max_bytes = max_bytes
        self._free_bytes = free_bytes
        self._lock = threading.Lock()
        self._copies, self._used, self._gone = (folder / name for name in ("copies", "used", "gone"))
        for path in (self._copies, self._used, self._gone):
            path.mkdir(parents=True, exist_ok=True)
        self._forget_another_boot(folder / "boot", boot)
        self._empty_gone()

    def take(self, digest: str, target: Path) -> bool:
        """Move a copy that nobody uses to `target`, if there is one."""
        with self._lock:
            for copy in self._copies.glob(f"{digest.removeprefix('sha256:')}-*"):
                copy.rename(target)
                (self._used / copy.name).unlink(missing_ok=True)
                return True
        return False

    def give_back(self, digest: str, size: int, folder: Path) -> None:
        """Keep a whole copy of `size` bytes that no container uses any more; nothing happens when it is not there."""
        name = f"{digest.removeprefix('sha256:')}-{secrets.token_hex(4)}"
        with self._lock:
            if folder.is_dir():
                (self._used / name).write_text(str(size))
                folder.rename(self._copies / name)
        self.evict()

    def evict(self, room_bytes: int = 0) -> None:
        """Remove what is beyond the limits, or more, until there is room for `room_bytes` besides the reserve."""
        with self._lock:
            copies = sorted(self._copies.iterdir(), key=self._last_use)
            total = sum(map(self._size, copies))
            for place, copy in enumerate(copies):
                too_many = len(copies) - place > self._limits.count or total > self._max_bytes
                too_old = time.time() - self._last_use(copy) > self._limits.days * DAY_SECONDS
                if too_many or too_old or self._free_bytes() < self._limits.free_bytes + room_bytes:
                    total -= self._size(copy)
                    self._remove(copy)

    def _remove(self, copy: Path) -> None:
        copy.rename(self._gone / copy.name)
        (self._used / copy.name).unlink(missing_ok=True)
        self._empty_gone()
        log.info("Weights %s: removed, they can be fetched again.", copy.name[:12])

    def _empty_gone(self) -> None:
        for folder in self._gone.iterdir():
            shutil.rmtree(folder, ignore_errors=True)

    def _forget_another_boot(self, remembered: Path, boot: Path) -> None:
        now = boot.read_text() if boot.exists() else ""
        if not now or not remembered.exists() or remembered.read_text() != now:
            for copy in self._copies.iterdir():
                copy.rename(self._gone / copy.name)
            remembered.write_text(now)

    def _last_use(self, copy: Path) -> float:
        used = self._used / copy.name
        return used.stat().st_mtime if used.exists() else 0.0

    def _size(self, copy: Path) -> int:
        used = self._used / copy.name
        return int(used.read_text() or 0) if used.exists() else 0


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive of the server's into a new folder, where everybody may read and nobody may write.

    It holds folders first and links last (containers.intake.weights); what it does not hold so is not unpacked.
    `folder` is there when all of it is. Raises OSError, and ValueError for another archive.
    """
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    folders = [part]
    with tarfile.open(archive, "r:") as reader:
        for member in reader:
            path = _below(part, member.name)
            _unpack(reader, member, path, part)
            if member.isdir():
                folders.append(path)
    for made in reversed(folders):  # the innermost first: each changes the one that it lies in
        made.chmod(0o755)
        os.utime(made, (FIXED_MTIME, FIXED_MTIME))
    part.rename(folder)


def _below(folder: Path, name: str) -> Path:
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"no path of weights: {name!r}")
    path = folder
    for part in parts:
        if path.is_symlink():
            raise ValueError(f"below a link: {name!r}")
        path /= part
    return path


def _unpack(reader: tarfile.TarFile, member: tarfile.TarInfo, path: Path, folder: Path) -> None:
    if member.isdir():
        path.mkdir()
    elif member.isreg():
        _copy(reader, member, path)
    elif member.islnk():
        os.link(_below(folder, member.linkname), path, follow_symlinks=False)
    elif member.issym():
        path.symlink_to(member.linkname)
        os.utime(path, (FIXED_MTIME, FIXED_MTIME), follow_symlinks=False)
    else:
        raise ValueError(f"nothing of weights: {member.name!r}")


def _copy(reader: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = reader.extractfile(member)
    with path.open("xb") as target:
        while source and (chunk := source.read(_CHUNK)):
            target.write(chunk)
    path.chmod(0o555 if member.mode & 0o111 else 0o444)
    os.utime(path, (FIXED_MTIME, FIXED_MTIME))
