"""The Docker engine: one that answers, or else one of this clone's own.

Our own daemon has its socket, data, execution folder and pid file in the state folder and makes no network:
containers of the sandbox have none anyway. A daemon started with `--bridge=none` deletes a `docker0` it
finds, even another daemon's; where there is one, ours therefore gets a network namespace of its own and
cannot see it.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path

from deploy.local import LocalError, apt
from deploy.local.paths import State
from deploy.local.supervisor import Part

SYSTEM_SOCKET = Path("/var/run/docker.sock")
CGROUPS = Path("/sys/fs/cgroup")


def find_engine(environment: Mapping[str, str]) -> str | None:
    """The address of an engine that answers: DOCKER_HOST (which then must) or a usual socket; else None."""
    if chosen := environment.get("DOCKER_HOST"):
        if not answers(chosen):
            _explain_if_forbidden(chosen)
            raise LocalError(f"no Docker engine answers at DOCKER_HOST={chosen}: start it, or unset DOCKER_HOST.")
        return chosen
    for path in _usual_sockets(environment):
        if answers(f"unix://{path}"):
            return f"unix://{path}"
    return None


def prepare_engine(state: State, say: Callable[[str], None]) -> Part:
    """This clone's own engine, installed if need be; LocalError where we may not."""
    if os.geteuid() != 0:
        _explain_if_forbidden(f"unix://{SYSTEM_SOCKET}")
        raise LocalError("no Docker engine answers: start Docker, or set DOCKER_HOST to the engine to use.")
    if (daemon := apt.find_program("dockerd")) is None:
        if not apt.can_install():
            raise LocalError("there is no Docker engine: install Docker, or set DOCKER_HOST to one.")
        apt.install(state, ["docker.io"], say)
        daemon = apt.find_program("dockerd") or "dockerd"
    mount_cgroups()
    folder = state.engine
    folder.mkdir(mode=0o711, exist_ok=True)
    pid_file = state.run / "dockerd.pid"
    command = [daemon, "--host", own_address(state), "--group", str(os.getgid())]
    command += [
        "--data-root",
        str(folder / "data"),
        "--exec-root",
        str(folder / "exec"),
        "--pidfile",
        str(pid_file),
    ]
    command += ["--bridge=none", "--iptables=false", "--shutdown-timeout=5", "--log-level=warn"]
    if "docker0" in (name for _index, name in socket.if_nameindex()):
        command = ["unshare", "--net", "--", *command]
    return Part(
        name="engine",
        command=tuple(command),
        environment={"PATH": apt.search_path(), "HOME": "/root"},
        ready=lambda _log: answers(own_address(state)),
        stop_seconds=20,
        prepare=lambda: _forget_dead_daemons(pid_file, folder / "exec" / "containerd"),
    )


def _forget_dead_daemons(pid_file: Path, containerd: Path) -> None:
    """Remove files with numbers of daemons that are gone: whoever has the number now would keep ours from starting.

    No daemon of ours lives when one is started. Its containerd may: under a live restore it is found by its file.
    """
    pid_file.unlink(missing_ok=True)
    record = containerd / "containerd.pid"
    with suppress(FileNotFoundError):
        if not _is_containerd(record.read_text().strip(), containerd / "containerd.toml"):
            record.unlink()


def _is_containerd(pid: str, configuration: Path) -> bool:
    """Whether the process of this number is a containerd with this configuration."""
    with suppress(OSError):
        process = Path("/proc") / pid
        arguments = (process / "cmdline").read_bytes().split(b"\0")
        return (process / "exe").readlink().name.startswith("containerd") and os.fsencode(configuration) in arguments
    return False


def own_address(state: State) -> str:
    """Where an engine of this clone's own listens."""
    return f"unix://{state.run / 'docker.sock'}"


def answers(address: str) -> bool:
    """Whether a Docker engine answers at this address within some seconds."""
    import docker
    from docker.errors import DockerException

    path = Path(address.removeprefix("unix://"))
    if address.startswith("unix://") and not path.exists():
        return False
    try:
        if address == os.environ.get("DOCKER_HOST"):  # with the certificates that belong to it
            client = docker.from_env(timeout=5)
        else:
            client = docker.DockerClient(base_url=address, timeout=5)
        with closing(client):
            return bool(client.ping())
    except (DockerException, OSError, ValueError):
        return False


def mount_cgroups() -> None:
    """Mount the cgroup controllers where no init system has done it, as in a bare virtual machine."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    if any(line.split()[2] in ("cgroup", "cgroup2") for line in mounts):
        return
    if not any(line.split()[1] == str(CGROUPS) for line in mounts):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "cgroup", str(CGROUPS)], check=True)
    for line in Path("/proc/cgroups").read_text().splitlines()[1:]:
        name, _hierarchy, _number, enabled = line.split()
        if enabled == "1":
            (CGROUPS / name).mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", "cgroup", "-o", name, name, str(CGROUPS / name)], check=False)


def _explain_if_forbidden(address: str) -> None:
    path = Path(address.removeprefix("unix://"))
    if address.startswith("unix://") and path.is_socket() and not os.access(path, os.W_OK):
        raise LocalError(
            f"you may not use the Docker engine at {path}: join the group `{path.group()}` "
            f"(sudo usermod -aG {path.group()} $USER, then sign in again), or set DOCKER_HOST."
        )


def _usual_sockets(environment: Mapping[str, str]) -> list[Path]:
    found = [SYSTEM_SOCKET]
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        found.append(Path(runtime) / "docker.sock")
    home = Path(environment.get("HOME", "/"))
    return [*found, home / ".docker/run/docker.sock", home / ".docker/desktop/docker.sock"]
