"""The fork server as the process that needs children sees it; what it does itself is in `evaluation.isolation.forking`.

It gets a clean environment and none of its starter's open files but one end of a socket. The other end stays here and
is closed by whatever ends this process, and with it the server ends. One that was killed, or does not answer, is given
up with all its children, and another one started.
"""

from __future__ import annotations

import atexit
import os
import select
import socket
import subprocess
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from evaluation import system
from evaluation.errors import EvaluationError
from evaluation.isolation.child import END_SECONDS, Child, Descriptors, Ended
from evaluation.isolation.interpreter import ONE_THREAD, command
from evaluation.isolation.messages import ORDER_BYTES

START_SECONDS = 60.0
FORK_SECONDS = 20.0
TRIES = 2  # the second with another server

PROGRAM = "from evaluation.isolation.forking import main; main(orders)"
_PROLOGUE = "orders = int(sys.argv[2])"
# A child keeps the memory that a case took for the next one, instead of having it made and cleared anew.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(64 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}
ENVIRONMENT = {"LC_ALL": "C.UTF-8", **ONE_THREAD, **KEEP_MEMORY}


class ForkServer:
    """The fork server of this process: started when it is first needed, and again whenever it was lost.

    Several threads may use it. `program` is the Python that it runs, with the number of its socket in `orders`. A
    process that is forked from this one has no part in the server; it starts its own.
    """

    def __init__(self, program: str = PROGRAM) -> None:
        self._program = program
        self._process: _Process | None = None
        self._closed = False
        self._lock = threading.Lock()
        _instances.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The server's process id, if it was started."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start it if it was not, so that it is ready, or nearly, when the first child is needed."""
        with self._lock:
            self._started()

    def fork(self, memory_bytes: int) -> Child:
        """A new child that may take so much memory. Raises `EvaluationError` if there is none to be had."""
        (requests, our_requests), (our_answers, answers), (our_code, code) = os.pipe(), os.pipe(), os.pipe()
        try:
            pid, process = self._order(memory_bytes, (requests, answers, code))
        except BaseException:
            _close(our_requests, our_answers, our_code)
            raise
        finally:
            _close(requests, answers, code)
        return Child(pid, Descriptors(our_requests, our_answers, our_code, process))

    def close(self) -> None:
        """End it and its children, and start no other; another thread that waits for it gets an `EvaluationError`."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()
        with self._lock:
            self._give_up()

    def _order(self, memory_bytes: int, descriptors: Sequence[int]) -> tuple[int, int]:
        with self._lock:
            for _ in range(TRIES):
                process = self._started()
                try:
                    return process.order(memory_bytes, descriptors)
                except Ended as end:
                    why = str(end)
                finally:
                    if process.is_lost:
                        self._give_up()
        raise EvaluationError(f"the scoring process does not start: {why}")

    def _started(self) -> _Process:
        if self._closed:
            raise EvaluationError("the evaluation was stopped")
        if self._process is None:
            self._process = _Process(self._program)
        return self._process

    def _give_up(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _forget(self) -> None:
        """In a forked process, where the server is somebody else's and the lock may be nobody's."""
        self._lock = threading.Lock()
        process, self._process = self._process, None
        if process is not None:
            process.forget()


class _Process:
    """One process, from its start to its end."""

    def __init__(self, program: str) -> None:
        if lacks := system.isolation_lacks():
            raise EvaluationError(
                f"masks are scored in processes with limits, and this system has no {', '.join(lacks)}: use Linux"
            )
        environment = dict(ENVIRONMENT)
        if "LD_LIBRARY_PATH" in os.environ:  # without it, some Python builds do not start
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._is_ready = False
        self._owes_reply = False
        try:
            self._process = subprocess.Popen(
                command(f"{_PROLOGUE}\n{program}", str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        except BaseException:
            self._orders.close()
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_lost(self) -> bool:
        """Whether it left an order without a reply, or whoever waited for that was interrupted.

        A reply that came late would be taken for the next order's.
        """
        return self._owes_reply

    def order(self, memory_bytes: int, descriptors: Sequence[int]) -> tuple[int, int]:
        """Process id and process descriptor of a new child. Raises `Ended`, `EvaluationError` if it cannot fork."""
        self._owes_reply = True
        if not self._is_ready:
            self._receive(START_SECONDS)  # it says so
            self._is_ready = True
        with suppress(ConnectionError):  # it is gone; receiving says how
            socket.send_fds(self._orders, [str(memory_bytes).encode()], descriptors)
        reply, passed = self._receive(FORK_SECONDS)
        self._owes_reply = False
        if not passed:
            raise EvaluationError(f"the scoring process does not start: {reply.decode()}")
        return int(reply), passed[0]

    def kill(self) -> None:
        """End it now, whatever another thread does with it."""
        self._process.kill()

    def end(self) -> None:
        """End it, and leave nothing."""
        self._process.kill()
        self._process.wait()
        self._orders.close()

    def forget(self) -> None:
        """Close what a forked process has inherited of it."""
        self._orders.close()
        self._process.returncode = 0  # or else Popen would miss it

    def _receive(self, seconds: float) -> tuple[bytes, list[int]]:
        poll = system.poller()
        poll.register(self._orders, select.POLLIN)
        if not poll.poll(seconds * 1000):
            raise Ended(None)
        with suppress(ConnectionError):
            message, passed, *_ = socket.recv_fds(self._orders, ORDER_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
            if message:
                return message, passed
        raise Ended(self._exit_code())

    def _exit_code(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(END_SECONDS)
        return None


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


_instances: weakref.WeakSet[ForkServer] = weakref.WeakSet()


def _forget_all() -> None:
    for instance in list(_instances):
        instance._forget()


system.in_each_forked_process(_forget_all)

shared = ForkServer()
"""The one that is used unless another is given: one for each process that scores, however many batches."""
atexit.register(shared.close)
