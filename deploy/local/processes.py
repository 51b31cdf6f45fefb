"""Processes of a stack: which there are, and how to be sure that none outlives it.

Three nets, since each has a hole. A part's direct child gets a signal from the kernel when its supervisor
dies (PR_SET_PDEATHSIG), which does not reach grandchildren. Every process of a stack carries a mark in its
environment, so whatever its parts started, in whatever session, is found by reading /proc. A guardian process
waits for the supervisor's death and ends what is then still marked; the next start does the same, in case the
guardian died too.
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


def marked(mark: str) -> set[int]:
    """The live processes whose mark begins with `mark`."""
    wanted = f"{MARK}={mark}".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if any(item.startswith(wanted) for item in (entry / "environ").read_bytes().split(b"\0")):
                    found.add(int(entry.name))
    return found - {os.getpid()}


def with_descendants(pids: Iterable[int]) -> set[int]:
    """These processes and all that descend from them, such as a container's, which carry no mark."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                # The name in parentheses may hold spaces; the parent's id is the second field after it.
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


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


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each process that still exists."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
