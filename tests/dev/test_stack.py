"""Which part gets which environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.credentials import load_credentials
from deploy.local.paths import State
from deploy.local.ports import claim_ports
from deploy.local.stack import MANAGEMENT, Stack, attach, describe, find_stack


def found(state: State, environment: dict[str, str]) -> Stack:
    return find_stack(state, environment, MANAGEMENT, print)


def test_services_that_the_caller_names_are_not_started(state: State) -> None:
    elsewhere = {"DATABASE_URL": "postgres://db.example/x", "REDIS_URL": "redis://broker.example/0"}
    stack = found(state, elsewhere)
    assert stack.services(MANAGEMENT, print) == {}
    assert elsewhere.items() <= stack.environment().items()
    assert stack.test_environment()["REDIS_URL"] == elsewhere["REDIS_URL"]


def test_only_wanted_services_are_started(state: State) -> None:
    services = found(state, {}).services({"broker"}, print)
    assert [make().name for make in services.values()] == [*services] == ["broker"]


def test_the_sandbox_worker_knows_neither_the_database_nor_the_servers_secrets(state: State) -> None:
    stack = found(state, {"HOME": "/home/alice"})
    stack.host_token_file.write_text("token\n")
    environment = stack.host_environment()
    assert environment.keys().isdisjoint({"DATABASE_URL", "SECRET_KEY", "STORE_DIR", "STATIC_ROOT"})
    secrets = {stack.credentials.postgres, stack.credentials.secret_key, stack.credentials.broker_server}
    assert not [value for value in environment.values() for secret in secrets if secret in value]
    assert environment["REX_HOST_TOKEN"] == "token"
    assert environment["REX_SERVER_URL"] == stack.address


def test_tests_use_a_broker_database_of_their_own(state: State) -> None:
    stack = found(state, {})
    assert stack.environment()["REDIS_URL"].endswith("/0")
    assert stack.test_environment()["REDIS_URL"].endswith("/1")


def test_another_command_finds_the_running_stack_as_it_is(state: State) -> None:
    stack = found(state, {"REDIS_URL": "redis://broker.example/0"})
    record = {**describe(stack, MANAGEMENT), "ready": True}
    seen = attach(state, {"REDIS_URL": "redis://another.example/0"}, record)
    assert seen.environment() == stack.environment()


def test_a_port_that_moved_is_told(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", claim_ports(state).web))
        thief.listen()
        found(state, {})
    assert "Another program has port" in capsys.readouterr().out


def test_a_host_token_belongs_to_one_database(state: State) -> None:
    own, other = found(state, {}), found(state, {"DATABASE_URL": "postgres://db.example/x"})
    assert own.host_token_file != other.host_token_file
    assert own.credentials == other.credentials == load_credentials(state)


def test_the_site_is_on_the_loopback(state: State) -> None:
    stack = found(state, {})
    assert stack.environment()["SITE_URL"] == f"http://127.0.0.1:{stack.ports.web}"
    assert Path(stack.environment()["STORE_DIR"]).is_relative_to(state.root)
