"""Children without limits, for systems that cannot give any: what a team on macOS or Windows scores its own files with.

Each is a Python of its own, which answers the same requests in the same way as a child of the fork server. But nothing
keeps a file from taking all memory, and only a clock ends what takes too long. So the server never uses them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import BinaryIO, cast

from evaluation.errors import EvaluationError
from evaluation.isolation.child import END_SECONDS, MAX_ANSWER_BYTES, START_SECONDS, Ended
from evaluation.isolation.interpreter import ONE_THREAD, command
from evaluation.isolation.messages import READY, decode_request, encode_answer

PROGRAM = "from evaluation.isolation.plain import main; main()"


class PlainChildren:
    """Stands in for the fork server."""

    def start(self) -> None:
        """There is nothing to prepare."""

    def fork(self, memory_bytes: int) -> PlainChild:
        """A new child. Raises `EvaluationError` if there is none to be had."""
        return PlainChild(command(PROGRAM))


class PlainChild:
    """One process, ready for requests. Raises `EvaluationError` if it does not get that far."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
            bufsize=0,
        )
        self._requests, self._answers = cast("BinaryIO", self._process.stdin), cast("BinaryIO", self._process.stdout)
        self._asking = threading.Lock()
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
        """Whether it lives."""
        return self._process.poll() is None

    def ask(self, line: bytes, seconds: float) -> bytes:
        """Send a request and wait so long for the answer, one line if the child is sound. Raises `Ended`."""
        with self._asking:
            if self._answers.closed:  # by another thread's `kill`
                raise Ended(self._process.returncode)
            with suppress(OSError):  # it died meanwhile; reading says how
                while line:
                    line = line[self._requests.write(line) :]
            return self._read_line(seconds)

    def processor_seconds(self) -> None:
        """Nobody counts it."""

    def kill(self) -> None:
        """End it now; a thread that waits for an answer gets `Ended`."""
        self._process.kill()
        with self._asking:  # until that thread has seen it
            self._process.wait()
            with suppress(OSError):
                self._requests.close()
            self._answers.close()

    def _read_line(self, seconds: float) -> bytes:
        is_late = threading.Event()

        def stop() -> None:
            is_late.set()
            self._process.kill()

        clock = threading.Timer(seconds, stop)
        clock.daemon = True
        clock.start()
        try:
            line = bytearray()
            while piece := self._answers.read(1 << 20):
                line += piece
                if piece.endswith(b"\n") or len(line) >= MAX_ANSWER_BYTES:
                    return bytes(line)
        finally:
            clock.cancel()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        raise Ended(None if is_late.is_set() else self._process.returncode)


def main() -> None:
    """What a child does: answer each request of its standard input, until there are no more."""
    from evaluation.isolation.worker import answer  # loads what measures masks, which nobody else here needs

    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints is no answer
    answers.write(READY)
    for line in requests:
        answers.write(encode_answer(answer(decode_request(line))))
