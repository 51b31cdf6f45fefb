"""Debian packages that are installed on the way, where this is Debian and we are root.

`python -m deploy.local.apt COMMAND` installs what that command of `./dev` will need. The script `dev` has it run beside
the set-up of the Python packages, and the command itself looks again: hence nothing here needs a package, and a failure
is the command's to tell.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.local import LocalError
from deploy.local.paths import State, current_state

POLICY = Path("/usr/sbin/policy-rc.d")
ENGINE: dict[str, tuple[str, ...]] = {"docker.io": ("dockerd",)}
COMPILER: dict[str, tuple[str, ...]] = {"gcc": ("cc", "gcc"), "python3-dev": ("python3-config",)}
BROWSER = "chromium-headless-shell"
# Programs that tests use for real.
TEST_PROGRAMS: dict[str, tuple[str, ...]] = {
    "buildah": ("buildah",),
    # Without windows a browser costs a fourth less; where there is one with windows already, it will do.
    BROWSER: ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"),
    "crun": ("crun",),
    "exim4-daemon-light": ("exim4",),
    "git": ("git",),
    "iproute2": ("ip",),
    "nginx-light": ("nginx",),
    "openssl": ("openssl",),
    "podman": ("podman",),
    "postgresql": ("pg_createcluster",),
    "redis-server": ("redis-server",),
    "skopeo": ("skopeo",),
    "systemd": ("systemd-analyze",),
    "xz-utils": ("xz",),
    "zstd": ("zstd",),
}
# By the commands of `./dev` that need them, in the order in which they are said.
WANTED: dict[str, dict[str, tuple[str, ...]]] = {
    "test": TEST_PROGRAMS | ENGINE | COMPILER,
    **dict.fromkeys(("demo", "up", "bench", "chaos"), ENGINE | COMPILER),
}


def can_install() -> bool:
    """Whether Debian's packages can be installed: as root, where there is apt."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def search_path() -> str:
    """With the folders of system programs, which a shell started by `su` may lack."""
    return os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


def find_program(*names: str) -> str | None:
    """The first of these programs that is installed."""
    return next(filter(None, (shutil.which(name, path=search_path()) for name in names)), None)


def missing(programs: Mapping[str, Sequence[str]]) -> list[str]:
    """The packages of which none of the programs is installed."""
    return [package for package, names in programs.items() if find_program(*names) is None]


def missing_for(command: str, environment: Mapping[str, str]) -> list[str]:
    """What a command of `./dev` will need and does not find; no engine where somebody else's may do."""
    wanted = dict(WANTED.get(command, {}))
    if environment.get("DOCKER_HOST") or Path("/var/run/docker.sock").exists():
        wanted.pop("docker.io", None)
    if environment.get("REX_CHROMIUM"):
        wanted.pop(BROWSER, None)
    return missing(wanted)


def install(state: State, packages: Sequence[str], say: Callable[[str], None]) -> None:
    """Install these packages, starting no service; LocalError, with the log's place, when that fails."""
    say(f"Installing {', '.join(packages)} ...")
    log = state.logs / "apt.log"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
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
    raise LocalError(f"apt-get could not install {', '.join(packages)}: the reason is at the end of {log}")


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


if __name__ == "__main__":
    if can_install() and (packages := missing_for(sys.argv[1], os.environ)):
        with suppress(LocalError):
            install(current_state(), packages, lambda line: print(line, file=sys.stderr, flush=True))
