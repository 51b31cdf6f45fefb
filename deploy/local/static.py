"""The static files under hashed names, in the state folder; collected anew when something of them has changed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.local import LocalError
from deploy.local.paths import State

# Where they come from: our own; the admin's, with the installed packages; and how they are named.
SOURCES = ("leaderboard/static", "deploy/requirements/server.txt", "leaderboard/settings.py")


def collect_static(state: State, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Have everything that pages link lie in `state.static`. Needs no service that runs."""
    stamp = state.root / "static.stamp"
    wanted = _fingerprint(state.clone)
    if any(state.static.iterdir()) and stamp.exists() and stamp.read_text() == wanted:
        return
    say("Collecting static files ...")
    stamp.unlink(missing_ok=True)
    log = state.logs / "static.log"
    command = [sys.executable, str(state.clone / "manage.py"), "collectstatic", "--no-input"]
    with log.open("wb") as out:
        done = subprocess.run(command, env=environment, cwd="/", stdout=out, stderr=out, check=False)
    if done.returncode:
        raise LocalError(f"manage.py collectstatic failed: see {log}")
    stamp.write_text(wanted)


def _fingerprint(clone: Path) -> str:
    digest = hashlib.sha256()
    for source in (clone / name for name in SOURCES):
        for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if path.is_file():
                digest.update(f"{path.relative_to(clone)} {path.stat().st_size}\n".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
