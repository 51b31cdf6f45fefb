"""Whatever scoring asks of the operating system that not every one has, and what is missing here.

Linux has all of it. Elsewhere there is no isolation (`isolation_lacks` says what for), and everything else works: what
can be done without is left out here, and nobody else has to ask where a program runs.
"""

from __future__ import annotations

import ctypes
import math
import os
import select
import signal
import socket
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

PROC = Path("/proc")
# For a file that may be a FIFO or a terminal, and not be waited for. Windows reads text unless it is told not to.
READ_ONLY = os.O_RDONLY
for _flag in ("O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
    READ_ONLY |= getattr(os, _flag, 0)
# For a file that only grows.
APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND
for _flag in ("O_CLOEXEC", "O_BINARY"):
    APPEND |= getattr(os, _flag, 0)

# Exit codes of processes that a signal ended.
KILLED = -getattr(signal, "SIGKILL", 9)
OUT_OF_PROCESSOR_TIME = -getattr(signal, "SIGXCPU", 24)

_PR_SET_PDEATHSIG = 1


def isolation_lacks() -> list[str]:
    """What scoring in processes with limits needs and this system does not have; nothing on Linux.

    >>> import evaluation
    >>> for what in evaluation.isolation_lacks():
    ...     print("this system has no", what)
    """
    needed = {
        "fork": hasattr(os, "fork") and hasattr(os, "register_at_fork"),
        "poll": hasattr(select, "poll"),
        "SOCK_SEQPACKET": hasattr(socket, "SOCK_SEQPACKET") and hasattr(socket, "send_fds"),
        "setrlimit": resource is not None,
        "prctl": _prctl() is not None,
        "pidfd_open": _opens_processes(),
        "/proc": (PROC / "self" / "task").is_dir(),
    }
    return [name for name, is_there in needed.items() if not is_there]


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_each_forked_process(work: Callable[[], None]) -> None:
    """Have this done first of all in every process that is forked from this one."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=work)


# --- what isolation needs ---------------------------------------------------------------------------------------------


def poller() -> select.poll:
    """Waits for any of several descriptors."""
    return select.poll()


def is_readable(descriptor: int, seconds: float) -> bool:
    """Whether it has something to read, or is at its end, within so many seconds."""
    poll = poller()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def open_process(pid: int) -> int:
    """A descriptor of a process, which is readable when that has ended."""
    return os.pidfd_open(pid)


def kill_process(descriptor: int) -> None:
    """End a process now. Raises `ProcessLookupError` if it has ended."""
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)


def processor_seconds(pid: int) -> float | None:
    """Processor time that a process has taken so far, by the kernel's account; None of one that is gone."""
    try:
        after_name = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    user, system = after_name[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def threads() -> int:
    """How many threads this process has."""
    return len(list((PROC / "self" / "task").iterdir()))


def end_with_parent() -> None:
    """Have the kernel kill this process when the one that forked it ends."""
    prctl = _prctl()
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def limit(memory_bytes: int) -> None:
    """No more memory than this for this process, no core dumps, no files written, few files open."""
    for kind, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (allowed, allowed))


def limit_processor_time(seconds: float) -> None:
    """End this process by SIGXCPU after so much more processor time, rounded up to a whole second of its total.

    Only the soft limit does that; at the hard one, which is the machine's, the signal is SIGKILL.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = math.ceil(usage.ru_utime + usage.ru_stime + seconds)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, hard))


@cache
def _prctl() -> Any:
    """The C library's function, which Linux alone has."""
    try:
        return getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    except (OSError, TypeError):
        return None


def _opens_processes() -> bool:
    """Whether the kernel knows process descriptors: Python may, and it not."""
    try:
        os.close(open_process(os.getpid()))
    except (AttributeError, OSError):
        return False
    return hasattr(signal, "pidfd_send_signal")
