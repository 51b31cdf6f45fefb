"""A second engine for a few tests: it maps user ids (userns-remap) and knows another OCI runtime, crun.

Or it has settings of its own (`config`), and finds programs in a folder of the test's first (`programs`).

It runs in a mount namespace of its own, where /etc/subuid and /etc/subgid grant a range to `daemon`, and without the
mount of cgroup v2 that crun does not want beside v1. Nothing of it is seen outside but its socket and its folder.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import docker

FIRST_ID = 300_000
COUNT = 70_000  # the ids of the sandboxes lie beyond 60,000
#: runc behind a script that reads a container's configuration first, as what a runtime of another kind would do.
RUNTIMES = {
    "strict": "grep -q '\"/proc/loadavg\"' $config && echo nothing is mounted below /proc >&2 && exit 1",
    "careless": 'sed -i \'s/"maskedPaths":\\[[^]]*\\]/"maskedPaths":[]/\' $config',
}
_RUNTIME = """#!/bin/sh
for word; do [ "$before" = --bundle ] && config=$word/config.json; before=$word; done
[ -n "$config" ] && { %s; }
exec runc "$@"
"""
_START = """
for file in /etc/subuid /etc/subgid; do mount --bind "$0/ids" "$file" || exit 1; done
umount /sys/fs/cgroup/unified 2>/dev/null
exec "$@"
"""


def why_not() -> str:
    """Why there can be no such engine on this machine; empty when there can."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    if os.geteuid() != 0:
        return "only root can start a second engine"
    if missing := [name for name in ("dockerd", "crun", "unshare") if shutil.which(name, path=path) is None]:
        return f"{' and '.join(missing)} not installed"
    if not all(Path(file).exists() for file in ("/etc/subuid", "/proc/self/ns/user")):
        return "the kernel or the system has no user namespaces"
    return ""


def version() -> int:
    """The first number of the version of the engine that would be started."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    said = subprocess.run([shutil.which("dockerd", path=path) or "", "--version"], capture_output=True, text=True)
    return int(said.stdout.split("version ")[1].split(".")[0])


def _runtime(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text(_RUNTIME % RUNTIMES[name])
    path.chmod(0o755)
    return path


@contextmanager
def other_engine(
    folder: Path, config: dict[str, Any] | None = None, programs: Path | None = None
) -> Iterator[docker.DockerClient]:
    """The engine, until the block ends. `folder` has a short path, for the socket in it."""
    (folder / "ids").write_text(f"daemon:{FIRST_ID}:{COUNT}\n")
    runtimes = {
        "crun": {"path": shutil.which("crun")},
        **{name: {"path": str(_runtime(folder, name))} for name in RUNTIMES},
    }
    usual = {"runtimes": runtimes, "userns-remap": "daemon"}
    (folder / "daemon.json").write_text(json.dumps(usual if config is None else config))
    address = f"unix://{folder / 'docker.sock'}"
    command = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", _START, str(folder)]
    if "docker0" in (name for _, name in socket.if_nameindex()):  # a daemon without a bridge would delete it
        command[1:1] = ["--net"]
    command += ["dockerd", "--config-file", str(folder / "daemon.json"), "--host", address, "--bridge=none"]
    command += ["--iptables=false", "--shutdown-timeout=5", "--log-level=warn"]
    command += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    command += ["--pidfile", str(folder / "pid")]
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    environment = {**os.environ, "PATH": f"{programs}:{path}" if programs else path}
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        with closing(_connected(address, daemon, folder / "log")) as client:
            yield client
    finally:
        daemon.terminate()
        daemon.wait(60)


def _connected(address: str, daemon: subprocess.Popen[bytes], log: Path) -> docker.DockerClient:
    give_up = time.monotonic() + 60
    while True:
        try:
            return docker.DockerClient(base_url=address, version="auto", timeout=120)
        except docker.errors.DockerException:
            assert daemon.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.1)
