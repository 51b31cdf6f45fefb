"""Debian packages that are installed on the way, where this is Debian and we are root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import LocalError
from deploy.local.paths import State

POLICY = Path("/usr/sbin/policy-rc.d")


def can_install() -> bool:
    """Whether Debian's packages can be installed: as root, where there is apt."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(state: State, package: str, say: Callable[[str], None]) -> None:
    """Install one package, starting no service; LocalError, with the log's place, when that fails."""
    say(f"Installing {package} ...")
    log = state.logs / "apt.log"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", package]
    with log.open("ab") as out, _no_service_starts():
        for step in (command, ["apt-get", "update", "-q"], command):
            done = subprocess.run(
                step,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
            if step is command and done.returncode == 0:
                return
    raise LocalError(f"apt-get could not install {package}: the reason is at the end of {log}")


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian starts an installed service at once, with its own settings; its policy hook forbids that."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
