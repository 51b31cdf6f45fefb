"""What a killed `./dev chaos` left: mounts, and a folder of its own, which no later command would use again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from deploy.local import LocalError
from deploy.local.mounts import unmount_below
from deploy.local.paths import State
from deploy.local.supervisor import Supervisor

CHAOS = "rexg-chaos-"


def remove_abandoned(say: Callable[[str], None]) -> None:
    """Remove the folders of chaos whose supervisor is dead, with all that lives and is mounted there."""
    for lock in Path(tempfile.gettempdir()).glob(f"{CHAOS}*/*/run/supervisor.lock"):
        root = lock.parents[1]
        try:
            with Supervisor(State(clone=root, root=root), "removal", say):  # ends its processes, if any are left
                unmount_below(root)
        except (LocalError, OSError):
            continue  # it lives, or is not ours
        shutil.rmtree(root.parent, ignore_errors=True)
        say(f"Removed {root.parent}, which a killed ./dev chaos had left.")
