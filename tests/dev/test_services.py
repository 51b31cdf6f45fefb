"""Real services under a real supervisor."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local.broker import HOST, broker_url
from deploy.local.credentials import load_credentials
from deploy.local.ports import remembered_ports
from tests.dev.conftest import Services, Start, eventually


def query(services: Services, statement: str) -> object:
    with psycopg.connect(services.database, autocommit=True) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]


def ports_of(services: Services) -> tuple[int, int, int]:
    ports = remembered_ports(services.state)
    assert ports
    return ports.web, ports.postgres, ports.broker


def is_broker_answering(services: Services) -> bool:
    try:
        with redis.Redis.from_url(services.broker) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_two_clones_do_not_clash_and_stopping_one_leaves_the_other_alone(start: Start) -> None:
    one, other = start("one"), start("other")
    query(one, "CREATE TABLE cases (name text)")
    assert query(other, "SELECT to_regclass('cases')") is None
    assert not set(ports_of(one)) & set(ports_of(other))

    one.stop()

    assert one.left == set()
    assert query(other, "SELECT 1") == 1
    assert is_broker_answering(other)


def test_a_killed_supervisor_leaves_nothing_running_and_the_data_are_kept(start: Start) -> None:
    services = start("one")
    query(services, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert services.left

    services.process.kill()

    assert eventually(lambda: services.left == set())
    assert services.record == {}
    assert query(start("one"), "SELECT answer FROM kept") == 42


def test_what_a_killed_supervisor_and_guardian_left_is_ended_by_the_next_start(start: Start) -> None:
    services = start("one")
    survivor = next(pid for pid in services.left if b"valkey" in Path(f"/proc/{pid}/cmdline").read_bytes())
    for pid in children_of(services.process.pid) - services.left:
        os.kill(pid, signal.SIGKILL)  # the guardian
    os.kill(survivor, signal.SIGSTOP)  # deaf to the kernel's request
    services.process.kill()
    assert eventually(lambda: services.left == {survivor})

    again = start("one")

    assert survivor not in again.left
    assert is_broker_answering(again)


def test_a_part_that_dies_is_started_again_even_without_its_folder(start: Start) -> None:
    services = start("one")
    before = services.record["parts"]["broker"]

    shutil.rmtree(services.state.root / "broker")
    os.kill(before, signal.SIGKILL)

    assert eventually(lambda: services.record["parts"]["broker"] != before)
    assert eventually(lambda: is_broker_answering(services))


def test_a_second_supervisor_of_the_same_clone_is_refused(services: Services) -> None:
    with pytest.raises(ChildProcessError):
        Start(services.state.root.parent)(services.state.root.name)
    assert query(services, "SELECT 1") == 1


def test_the_services_want_a_password(services: Services) -> None:
    _web, postgres, broker = ports_of(services)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host="127.0.0.1", port=postgres, user="rexg", dbname="rexg", passfile="/dev/null")
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=broker, retry=Retry(NoBackoff(), 0)).ping()


def test_the_gpu_host_reaches_its_own_queue_and_no_other(services: Services) -> None:
    _web, _postgres, broker = ports_of(services)
    credentials = load_credentials(services.state)
    prefix = services.state.instance
    with redis.Redis.from_url(broker_url(broker, credentials.broker_host, HOST)) as client:
        client.lpush(f"{prefix}:sandbox", "batch")
        for queue in ("control", "scoring"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.lrange(f"{prefix}:{queue}", 0, -1)
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.flushall()


def test_private_files_are_private(services: Services) -> None:
    root = services.state.root
    for name in ("credentials.json", "broker/users.acl", "broker/valkey.conf", "run/supervisor.json"):
        assert (root / name).stat().st_mode & 0o077 == 0, name
    for name in ("run", "logs", "store", "host", "postgres", "postgres/data"):
        assert (root / name).stat().st_mode & 0o077 == 0, name


def children_of(parent: int) -> set[int]:
    return {int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()}
