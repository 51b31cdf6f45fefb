"""The process that `isolation.worker` runs in, and the two pipes to it; what goes through them is `isolation.messages`.

It gets a clean environment and none of its parent's open files. It limits its own memory and processor time; here is
the clock that stops waiting for it.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from evaluation.errors import EvaluationError

START_SECONDS = 60.0
END_SECONDS = 5.0  # from closing its pipe to its end
MAX_ANSWER_BYTES = 8 << 20
READY = b"ready\n"  # the child's first line

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from evaluation.isolation.worker import main; "
    "main(int(sys.argv[2]))"
)
# Threads of a maths library would only compete with the other workers, and each reserves memory of its own.
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Ended(Exception):
    """There is no answer: the process ended with `code` (-9: by signal 9), or, if that is None, its time was up."""

    def __init__(self, code: int | None) -> None:
        self.code = code
        if code is None:
            super().__init__("no answer in time")
        else:
            super().__init__(f"signal {-code}" if code < 0 else f"exit code {code}")


class Child:
    """One process; raises `EvaluationError` if it does not start."""

    def __init__(self, memory_bytes: int) -> None:
        here = str(Path(__file__).resolve().parents[2])
        paths = [here, *(str(Path(path).absolute()) for path in sys.path if path != here)]
        environment = dict(_ENVIRONMENT)
        if "LD_LIBRARY_PATH" in os.environ:  # without it, some Python builds do not start
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", _BOOT, json.dumps(paths), str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
        self._requests, self._answers = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        self._asking = threading.Lock()
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN | select.POLLHUP)
        try:
            greeting = self._read_line(START_SECONDS)
            why = "" if greeting == READY else "it says something else"
        except Ended as end:
            why = str(end)
        if why:
            self.kill()
            raise EvaluationError(f"the scoring process does not start: {why}")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def idle(self) -> bool:
        """Whether it lives, and says nothing unasked."""
        return self._process.poll() is None and not self._poll.poll(0)

    def ask(self, line: bytes, seconds: float) -> bytes:
        """Send a request and wait so long for the answer, one line if the child is sound. Raises `Ended`."""
        with self._asking:
            if self._requests.closed:  # by another thread's `kill`
                raise Ended(self._process.returncode)
            with suppress(BrokenPipeError):  # it died meanwhile; reading says how
                self._requests.write(line)
            return self._read_line(seconds)

    def kill(self) -> None:
        """End it now; a thread that waits for an answer gets `Ended`."""
        self._process.kill()
        self._process.wait()
        with self._asking:  # until that thread has seen it
            self._requests.close()
            self._answers.close()

    def _read_line(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        line = bytearray()
        while b"\n" not in line and len(line) < MAX_ANSWER_BYTES:
            left = deadline - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                raise Ended(None)
            piece = os.read(self._answers.fileno(), 1 << 20)
            if not piece:
                raise Ended(self._exit_code())
            line += piece
        return bytes(line)

    def _exit_code(self) -> int | None:
        """Of a process that closed its pipe; None if that is all it did."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(END_SECONDS)
        return None
