"""Small file systems of their own, which can be filled without harm to the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

MIB = 1 << 20
# What the disks hold: two uploads with their checks; an image on its way beside the host's reserve; the database with
# its log; the images unpacked.
SIZES = {"store": 768 * MIB, "host": 640 * MIB, "postgres": 384 * MIB, "engine/data": 768 * MIB}


def mount(folder: Path, size: int) -> None:
    """Mount a file system of `size` bytes, in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=711", "rexg-chaos", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave no free byte on the disk that is mounted here."""
    with _filler(folder).open("wb") as file:
        size = 0
        with suppress(OSError):  # somebody else writes at the same time: the rest in smaller steps
            for step in (MIB, 4096):
                while (free := shutil.disk_usage(folder).free) >= step:
                    os.posix_fallocate(file.fileno(), size, free // step * step)
                    size += free // step * step


def free(folder: Path) -> None:
    """Make the disk's space free again."""
    _filler(folder).unlink(missing_ok=True)


def _filler(folder: Path) -> Path:
    return folder / "filler"
