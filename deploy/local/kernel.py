"""The compiled kernel of the scoring, built for this clone's Python where there is a compiler."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.local.paths import State


def ensure_built(state: State, say: Callable[[str], None]) -> None:
    """Build it unless that was done for this very source; without a compiler NumPy does its work, and that is said."""
    source = state.clone / "evaluation/kernel/kernel.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    stamp = Path(sys.prefix, "kernel.stamp")
    if stamp.exists() and stamp.read_text() == digest:
        return
    done = subprocess.run(
        [sys.executable, "-P", "-m", "evaluation.kernel.build"], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        stamp.write_text(digest)
    else:
        say(done.stderr.strip().splitlines()[0])
