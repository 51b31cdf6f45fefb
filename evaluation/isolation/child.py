"""A child of the fork server, as the process that ordered it sees it: two pipes, its exit code, and a clock.

What goes through the pipes is `evaluation.isolation.messages`. The child limits its own memory and processor time; here
is the clock that stops waiting for it.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import NamedTuple

from evaluation import system
from evaluation.errors import EvaluationError
from evaluation.isolation.messages import READY

START_SECONDS = 60.0
END_SECONDS = 5.0  # from closing its pipe to its end
MAX_ANSWER_BYTES = 8 << 20


class Ended(Exception):
    """There is no answer: the process ended with `code` (-9: by signal 9), or, if that is None, its time was up."""

    def __init__(self, code: int | None) -> None:
        self.code = code
        if code is None:
            super().__init__("no answer in time")
        else:
            super().__init__(f"signal {-code}" if code < 0 else f"exit code {code}")


class Descriptors(NamedTuple):
    """What this process holds of a child: the ends of its pipes, and a descriptor of the process itself."""

    requests: int
    answers: int
    exit_code: int
    process: int


class Child:
    """One process, ready for requests. Raises `EvaluationError` if it does not get that far."""

    def __init__(self, pid: int, held: Descriptors) -> None:
        self.pid = pid
        self._held = held
        self._exit_code: int | None = None
        self._killing, self._asking = threading.Lock(), threading.Lock()
        self._closed = False
        try:
            greeting = self._read_line(START_SECONDS)
            why = "" if greeting == READY else "it says something else"
        except Ended as end:
            why = str(end)
        if why:
            self.kill()
            raise EvaluationError(f"the scoring process does not start: {why}")

    def idle(self) -> bool:
        """Whether it lives, and says nothing unasked."""
        return not system.is_readable(self._held.answers, 0)

    def ask(self, line: bytes, seconds: float) -> bytes:
        """Send a request and wait so long for the answer, one line if the child is sound. Raises `Ended`."""
        with self._asking:
            if self._closed:  # by another thread's `kill`
                raise Ended(self._exit_code)
            with suppress(BrokenPipeError):  # it died meanwhile; reading says how
                while line:
                    line = line[os.write(self._held.requests, line) :]
            return self._read_line(seconds)

    def processor_seconds(self) -> float | None:
        """Processor time that it has taken so far, by the kernel's account; None of one that is gone."""
        return system.processor_seconds(self.pid)

    def kill(self) -> None:
        """End it now; a thread that waits for an answer gets `Ended`."""
        with self._killing:
            if self._closed:
                return
            with suppress(ProcessLookupError):
                system.kill_process(self._held.process)
            with self._asking:  # until that thread has seen it
                self._wait()
                self._closed = True
                for descriptor in self._held:
                    os.close(descriptor)

    def _read_line(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        line = bytearray()
        while b"\n" not in line and len(line) < MAX_ANSWER_BYTES:
            left = deadline - time.monotonic()
            if left <= 0 or not system.is_readable(self._held.answers, left):
                raise Ended(None)
            piece = os.read(self._held.answers, 1 << 20)
            if not piece:
                self._wait()
                raise Ended(self._exit_code)
            line += piece
        return bytes(line)

    def _wait(self) -> None:
        """Learn the exit code of a process that closed its pipe or was killed; no code if it still does not end."""
        if self._exit_code is None and system.is_readable(self._held.exit_code, END_SECONDS):
            # Nothing is said by a fork server that ended, and then its children were killed.
            self._exit_code = int(os.read(self._held.exit_code, 16) or system.KILLED)
