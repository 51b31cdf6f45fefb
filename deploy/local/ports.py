"""Loopback ports: chosen once per clone, remembered, and checked at every start.

Another clone's ports are left alone even while that clone is down, so that starting it later does not move
its address.
"""

from __future__ import annotations

import fcntl
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from deploy.local import LocalError
from deploy.local.paths import State, read_json, write_json

FIRST = {"web": 8000, "postgres": 15432, "broker": 16379, "mail": 18025}
TRIED = 1000


@dataclass(frozen=True)
class Ports:
    """The ports of one clone on the loopback."""

    web: int
    postgres: int
    broker: int
    mail: int


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As servers do: connections that linger in TIME_WAIT are no obstacle, a listener is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def is_answering(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def remembered_ports(state: State) -> Ports | None:
    """The clone's ports, if it ever had a full set."""
    known = read_json(state.root / "ports.json")
    return Ports(**known) if known.keys() == FIRST.keys() else None


def claim_ports(state: State) -> Ports:
    """The clone's ports, all free now; one that is taken is replaced. Call only while the stack is down."""
    with _one_at_a_time(state):
        ours = read_json(state.root / "ports.json")
        foreign = _ports_of_other_clones(state)
        chosen = {name: _choose(ours.get(name), first, foreign) for name, first in FIRST.items()}
        ports = Ports(**chosen)
        if asdict(ports) != ours:
            write_json(state.root / "ports.json", asdict(ports))
        return ports


def _choose(ours: int | None, first: int, foreign: set[int]) -> int:
    if ours is not None and is_free(ours):
        return ours
    for port in range(first, first + TRIED):
        if port not in foreign and is_free(port):
            return port
    raise LocalError(f"no loopback port between {first} and {first + TRIED - 1} is free: end a program that holds one.")


def _ports_of_other_clones(state: State) -> set[int]:
    files = (path for path in state.root.parent.glob("*/ports.json") if path.parent != state.root)
    return {port for path in files for port in read_json(path).values()}


@contextmanager
def _one_at_a_time(state: State) -> Iterator[None]:
    with (state.root.parent / "ports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
