"""Ports: free, remembered, and nobody else's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.paths import State
from deploy.local.ports import claim_ports, is_answering, is_free, remembered_ports


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


def prepared(home: Path, name: str) -> State:
    state = State(clone=home / f"clone-{name}", root=home / name)
    state.prepare()
    return state


def test_a_listener_makes_its_port_taken(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert not is_free(port)
    assert is_answering(port)
    listener.close()
    assert is_free(port)
    assert not is_answering(port)


def test_ports_are_remembered(state: State) -> None:
    assert remembered_ports(state) is None
    assert claim_ports(state) == claim_ports(state) == remembered_ports(state)


def test_two_clones_never_get_the_same_port_even_while_both_are_down(home: Path) -> None:
    one, other = (claim_ports(prepared(home, name)) for name in ("one", "other"))
    assert not set(vars(one).values()) & set(vars(other).values())


def test_a_port_that_another_program_took_is_replaced_and_the_others_stay(state: State) -> None:
    before = claim_ports(state)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", before.web))
        thief.listen()
        after = claim_ports(state)
    assert after.web != before.web
    assert (after.postgres, after.broker) == (before.postgres, before.broker)


def test_a_damaged_record_is_made_anew(state: State) -> None:
    (state.root / "ports.json").write_text("{")
    assert claim_ports(state) == remembered_ports(state)
