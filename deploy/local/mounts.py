"""Mounts that a killed daemon, or a killed chaos, left behind."""

from __future__ import annotations

import subprocess
from pathlib import Path


def unmount_below(folder: Path) -> None:
    """Undo every mount in this folder, the deepest first, so that deleting it deletes nothing else."""
    mounted = [Path(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for path in sorted((p for p in mounted if p.is_relative_to(folder)), key=lambda p: len(p.parts), reverse=True):
        subprocess.run(["umount", "--lazy", str(path)], check=True)
