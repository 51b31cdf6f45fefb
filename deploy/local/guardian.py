"""The guardian: a process whose only task is to outlive a killed supervisor and end what it leaves behind."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from typing import IO

from deploy.local.processes import end_marked, marked

GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Guardian:
    """A process that ends the marked processes when the supervisor dies without having dismissed it."""

    pid: int
    leash: int  # the writing end of a pipe; its closing without a word is the supervisor's death

    def dismiss(self) -> None:
        """Let it go: nothing is left to be ended."""
        os.write(self.leash, b".")
        os.close(self.leash)
        os.waitpid(self.pid, 0)


def start_guardian(mark: str, lock: IO[str]) -> Guardian:
    """Fork the guardian of the processes with this mark; it gives up its copy of the supervisor's lock."""
    watch, leash = os.pipe()
    pid = os.fork()
    if pid:
        os.close(watch)
        return Guardian(pid, leash)
    try:
        os.setsid()
        os.close(leash)
        lock.close()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if not os.read(watch, 1):
            _wait_for_orphans(mark)
            end_marked(mark, grace_seconds=0)
    finally:
        os._exit(0)


def _wait_for_orphans(mark: str) -> None:
    """The kernel has asked the parts to stop already: leave them the time to do it."""
    deadline = time.monotonic() + GRACE_SECONDS
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
