"""What the fork server does: it has imported what scoring needs, and forks a child for each batch of cases.

To import all that takes a second, to fork a process that has done so a few milliseconds. The server never does anything
else. It opens no mask, and sees no request and no answer, since a child's pipes lead past it, to whoever ordered the
child. So a child inherits what every child inherits, and nothing of another batch.

An order is a message through a socket: the child's memory limit in bytes, and with it three descriptors, for its
requests, for its answers, and for the exit code, which the server writes when the child has ended. The reply is the
child's process id and a descriptor of the process, or, without one, what went wrong.

When the socket ends, so does the server; and when the server ends, however that came about, the kernel kills its
children. It has one thread, since only the copy of such a process can be trusted: no lock in it is held by nobody.

(multiprocessing has a fork server, too. It hands its starter's environment and main module down to every child, and
one that is stuck cannot be replaced.)
"""

from __future__ import annotations

import gc
import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, NamedTuple, NoReturn

from evaluation import system
from evaluation.isolation import worker
from evaluation.isolation.messages import ORDER_BYTES

Work = Callable[[BinaryIO, BinaryIO, int], None]  # requests, answers, bytes of memory

_MAX_DESCRIPTORS = 1 << 20


class _Order(NamedTuple):
    """What a child is forked for; the descriptors are this process's own."""

    memory_bytes: int
    requests: int
    answers: int
    exit_code: int


def main(descriptor: int, work: Work = worker.main) -> None:
    """Fork a child that does `work` for each order that comes through the socket, until that ends."""
    threads = system.threads()
    if threads != 1:
        raise RuntimeError(f"this process must not fork, for it has {threads} threads")
    gc.freeze()  # collections would write into, and so copy, the memory that children share with this process
    with socket.socket(fileno=descriptor) as orders:
        orders.send(b"ready")
        _Server(orders, work).serve()


class _Server:
    def __init__(self, orders: socket.socket, work: Work) -> None:
        self._orders = orders
        self._work = work
        self._events = system.poller()
        self._events.register(orders, select.POLLIN)
        self._running: dict[int, tuple[int, int]] = {}  # process id and pipe for the exit code, by process descriptor

    def serve(self) -> None:
        """Take orders, and tell of ends, until nobody can order any more."""
        while True:
            for descriptor, _ in self._events.poll():
                if descriptor in self._running:
                    self._tell_end(descriptor)
                elif (order := self._next_order()) is not None:
                    self._fork(order)
                else:
                    return

    def _next_order(self) -> _Order | None:
        message, passed, *_ = socket.recv_fds(self._orders, ORDER_BYTES, 3, socket.MSG_CMSG_CLOEXEC)
        return _Order(int(message), *passed) if message else None

    def _fork(self, order: _Order) -> None:
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(order.exit_code)
            self._orders.send(str(error).encode())
        else:
            if pid == 0:
                _become_child(order, self._work, server)
            process = system.open_process(pid)
            self._running[process] = pid, order.exit_code
            self._events.register(process, select.POLLIN)  # readable when it has ended
            socket.send_fds(self._orders, [str(pid).encode()], [process])
        os.close(order.requests)
        os.close(order.answers)

    def _tell_end(self, process: int) -> None:
        pid, exit_code = self._running.pop(process)
        self._events.unregister(process)
        os.close(process)
        _, status = os.waitpid(pid, 0)
        with suppress(BrokenPipeError):  # whoever ordered it does not care
            os.write(exit_code, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(exit_code)


def _become_child(order: _Order, work: Work, server: int) -> NoReturn:
    """Do the work as a process that has lost everything of the server but its memory; never returns to its caller."""
    code = 1
    try:
        system.end_with_parent()
        if os.getppid() == server:  # else it ended before that took effect
            os.setsid()
            os.dup2(order.requests, 0)
            os.dup2(order.answers, 3)
            os.closerange(4, _MAX_DESCRIPTORS)
            with os.fdopen(0, "rb") as requests, os.fdopen(3, "wb", buffering=0) as answers:
                work(requests, answers, order.memory_bytes)
            code = 0
    finally:
        os._exit(code)
