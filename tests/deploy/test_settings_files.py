"""The annotated environment files name exactly what is read, with the true defaults."""

from __future__ import annotations

import ast
import re
import ssl
from collections.abc import Iterator, Mapping

import pytest
from kombu import Connection

from containers.host.config import from_environment
from tests.deploy.conftest import DEPLOY, ROOT

READERS = {"_text", "_number", "_flag", "get"}
# Read by programs that are not ours: gunicorn; the engine's client, and that of HTTP.
FOREIGN = {"server": {"GUNICORN_CMD_ARGS"}, "worker": {"DOCKER_HOST", "REQUESTS_CA_BUNDLE"}}

BY_PROCESS = {"WEB_ROLE"}  # compose and the units set it, for each process another one


class Recorder(Mapping[str, str]):
    """An environment that remembers which names it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_by_name, self.asked = dict(values), set[str]()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


def documented(role: str) -> dict[str, str]:
    """Every name of the example, with its value or default."""
    lines = (DEPLOY / f"{role}.env.example").read_text().splitlines()
    found = map(re.compile(r"#?([A-Z][A-Z0-9_]*)=(.*)").fullmatch, lines)
    return {match[1]: match[2] for match in found if match}


def required(role: str) -> dict[str, str]:
    """What is set in the example as it is shipped."""
    lines = (DEPLOY / f"{role}.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def in_compose(file: str) -> dict[str, str]:
    """The names that a compose file takes from the environment file, with their defaults."""
    return dict(re.findall(r"\$\{([A-Z_]+)(?::-([^}]*)|[^}]*)\}", (DEPLOY / file).read_text()))


def server_reads() -> dict[str, object]:
    """The names that leaderboard/settings.py reads, with the defaults that stand there as such (else None)."""
    found: dict[str, object] = {}
    for node in ast.walk(ast.parse((ROOT / "leaderboard" / "settings.py").read_text())):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name, called = node.args[0].value, ast.unparse(node.func).rpartition(".")[2]
            if called in READERS and isinstance(name, str) and name.isupper():
                default = node.args[1] if len(node.args) > 1 else None
                found[name] = default.value if isinstance(default, ast.Constant) else None
    return {name: default for name, default in found.items() if name not in BY_PROCESS}


def worker_reads() -> set[str]:
    environment = Recorder(documented("worker"))
    from_environment(environment)
    return environment.asked


def test_the_servers_example_names_exactly_what_is_read() -> None:
    read = set(server_reads()) | FOREIGN["server"] | set(in_compose("compose.yaml"))
    assert set(documented("server")) == read


def test_the_hosts_example_names_exactly_what_is_read() -> None:
    assert set(documented("worker")) == worker_reads() | FOREIGN["worker"] | set(in_compose("compose.worker.yaml"))


def test_the_servers_defaults_are_those_of_the_settings() -> None:
    shown = documented("server")
    skipped = {"DEBUG", "EMAIL_BACKEND", *required("server")}  # a recommendation; set
    known = {name: str(value) for name, value in server_reads().items() if value is not None and name not in skipped}
    assert {name: shown[name] for name in known} == known


def test_the_hosts_defaults_are_those_of_its_settings() -> None:
    """Leaving out what begins with # changes nothing."""
    assert from_environment(required("worker")) == from_environment(documented("worker"))


@pytest.mark.parametrize(
    ("role", "file"), [("server", "compose.yaml"), ("worker", "compose.worker.yaml")], ids=["server", "worker"]
)
def test_the_defaults_of_compose_are_those_of_the_examples(role: str, file: str) -> None:
    shown = documented(role)
    defaults = {name: default for name, default in in_compose(file).items() if default}
    assert {name: shown[name] for name in defaults} == defaults


@pytest.mark.parametrize("role", ["server", "worker"])
def test_an_example_can_be_read_by_compose_and_by_systemd(role: str) -> None:
    """They differ in quotes, dollars and comments behind a value, so there are none."""
    setting = re.compile(r"#?[A-Z][A-Z0-9_]*=[^\s'\"$\\#]*( --\S+)?")
    for line in (DEPLOY / f"{role}.env.example").read_text().splitlines():
        assert not line or line.startswith("# ") or setting.fullmatch(line), line


def test_the_hosts_example_checks_the_brokers_certificate() -> None:
    """kombu's own default for rediss:// is to take any."""
    with Connection(required("worker")["REDIS_URL"]) as connection:
        assert isinstance(connection.ssl, dict)
        assert connection.ssl["ssl_cert_reqs"] is ssl.CERT_REQUIRED


def test_filled_in_settings_cannot_be_committed() -> None:
    ignored = (DEPLOY / ".gitignore").read_text().splitlines()
    assert {"/server.env", "/worker.env", "/broker-users.acl", "/tls/"} <= set(ignored)
