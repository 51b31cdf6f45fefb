"""Processes of a stack: which there are, and how to be sure that none outlives it.

Three nets, since each has a hole. A part's direct child gets a signal from the kernel when its supervisor
dies (PR_SET_PDEATHSIG), which does not reach grandchildren. Every process of a stack carries a mark in its
environment, so whatever its parts started, in whatever session, is found by reading /proc. A guardian process
waits for the supervisor's death and ends what is then still marked; the next start does the same, in case the
guardian died too.

A number alone names no process: the kernel gives it to another one when the first is gone. So a process is remembered
with the instant of its start, and a signal goes through a descriptor of the process, which its number cannot outlive.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.local import LocalError

MARK = "REX_SUPERVISED"
PR_SET_PDEATHSIG = 1
SERVICE_USERS = ("postgres", "rexg")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Fields of /proc/PID/stat, counted behind the name in parentheses, which may hold spaces.
STATE, PARENT, GROUP, STARTED = 0, 1, 2, 19


@dataclass(frozen=True)
class Process:
    """One process of this machine, and no later one with its number: `started` in the kernel's ticks since the boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this number now."""
        fields = _stat(pid)
        return cls(pid, int(fields[STARTED])) if fields else None

    @classmethod
    def from_json(cls, said: object) -> Process | None:
        """The process that `to_json` told of, if it lives: the numbers of an earlier boot name nobody."""
        if not isinstance(said, dict) or said.get("boot") != _boot():
            return None
        process = cls(said.get("pid", 0), said.get("started", 0))
        return process if process.lives() else None

    def to_json(self) -> dict[str, int | str]:
        """What to write down to find this very process again."""
        return {"pid": self.pid, "started": self.started, "boot": _boot()}

    def lives(self) -> bool:
        """Whether it has not ended; one that only waits to be buried has."""
        fields = _stat(self.pid)
        return bool(fields) and int(fields[STARTED]) == self.started and fields[STATE] not in ("Z", "X")

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process still exists and is ours to signal."""
        with suppress(ProcessLookupError, PermissionError):
            descriptor = os.pidfd_open(self.pid)
            try:
                if Process.of(self.pid) == self:
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)


def _boot() -> str:
    return BOOT_ID.read_text().strip()


def _stat(pid: int) -> list[str]:
    """The fields of a process's state behind its name; empty when there is no such process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def _numbers() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


@dataclass(frozen=True)
class Account:
    """An unprivileged user of this machine."""

    name: str
    uid: int
    gid: int


def service_account() -> Account | None:
    """Who runs what refuses root: PostgreSQL's usual user, else one made for it. None if we are not root."""
    if os.geteuid() != 0:
        return None
    account = _find_account()
    if account is None and (useradd := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")):
        made = [
            useradd,
            "--system",
            "--user-group",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            SERVICE_USERS[-1],
        ]
        subprocess.run(made, check=False, capture_output=True)
        account = _find_account()
    if account is None:
        raise LocalError("PostgreSQL cannot run as root: create a user for it with `useradd --system rexg`.")
    return account


def _find_account() -> Account | None:
    for name in SERVICE_USERS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    return None


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """For a child, before exec and after any change of user (it undoes this): its parent's death is a signal."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def in_child() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:
            os._exit(1)

    return in_child


def marked(mark: str) -> set[Process]:
    """The live processes whose mark begins with `mark`."""
    wanted = f"{MARK}={mark}".encode()
    found = set()
    for pid in _numbers():
        with suppress(OSError):
            process = Process.of(pid)  # first: a number that changes hands meanwhile is then nobody's
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            if process and any(item.startswith(wanted) for item in environment.split(b"\0")):
                found.add(process)
    return {process for process in found if process.pid != os.getpid()}


def with_descendants(processes: Iterable[Process]) -> set[Process]:
    """These processes and all that descend from them, such as a container's, which carry no mark."""
    children: dict[int, list[Process]] = {}
    for pid in _numbers():
        if fields := _stat(pid):
            children.setdefault(int(fields[PARENT]), []).append(Process(pid, int(fields[STARTED])))
    found: set[Process] = set()
    waiting = list(processes)
    while waiting:
        process = waiting.pop()
        if process not in found:
            found.add(process)
            waiting += children.get(process.pid, [])
    return found


def in_group(leader: int, mark: str) -> set[Process]:
    """The processes with this mark in the group of a leader that may be gone, and its number another's."""
    return {process for process in marked(mark) if (fields := _stat(process.pid)) and int(fields[GROUP]) == leader}


def end_marked(mark: str, *, grace_seconds: float) -> int:
    """End every process with this mark: a request, then, after the grace, force. Returns their number."""
    first = marked(mark)
    if not first:
        return 0
    send(first, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while (left := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    while left:
        send(with_descendants(left), signal.SIGKILL)
        time.sleep(0.05)
        left = marked(mark)
    return len(first)


def send(processes: Iterable[Process], number: signal.Signals) -> None:
    """Send a signal to each process that still exists."""
    for process in processes:
        process.send(number)
