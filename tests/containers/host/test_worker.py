"""The worker's process with the real broker: it is woken by a message, and by nothing else that a broker might send."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery

from containers.host.broker import celery_settings
from containers.host.config import from_environment
from containers.protocol.task_queue import QUEUE_NAME, TASK
from tests.containers.conftest import order_json, wait_until
from tests.containers.fakeserver import TOKEN, FakeServer

pytestmark = pytest.mark.engine


@pytest.fixture
def environment(server: FakeServer, instance: str, tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "REX_SERVER_URL": server.url,
        "REX_HOST_TOKEN": TOKEN,
        "REX_STATE_DIR": str(tmp_path / "state"),
        "REX_INSTANCE": instance,
        "REX_SLOTS": "cpu:2",
    }


class Worker:
    """A worker process and what it printed."""

    def __init__(self, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "containers"]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.printed = b""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.printed += line

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[[], Worker]]:
    workers: list[Worker] = []

    def start() -> Worker:
        workers.append(Worker(environment))
        wait_until(lambda: b"ready" in workers[-1].printed or workers[-1].process.poll() is not None)
        return workers[-1]

    yield start
    for worker in workers:
        if worker.process.poll() is None:
            worker.end()


@pytest.fixture
def broker(instance: str) -> Iterator[redis.Redis]:
    """The broker's keys of this test's instance."""
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    yield client
    flush(client, instance)
    client.close()


def flush(broker: redis.Redis, instance: str) -> None:
    """What FLUSHALL would do, for this test's keys."""
    for key in broker.scan_iter(f"{instance}:*"):
        broker.delete(key)


@pytest.fixture
def notify(instance: str) -> Iterator[Callable[[str], None]]:
    """Sends the message for a batch as the server does."""
    app = Celery("server", broker=os.environ["REDIS_URL"])
    app.conf.broker_transport_options = {"global_keyprefix": f"{instance}:"}

    def notify(batch: str) -> None:
        app.send_task(TASK, args=[batch], queue=QUEUE_NAME)

    yield notify
    app.close()


def test_a_message_makes_it_do_the_batch_before_and_after_a_flush(
    start: Callable[[], Worker],
    server: FakeServer,
    notify: Callable[[str], None],
    broker: redis.Redis,
    instance: str,
    python_image: str,
) -> None:
    worker = start()
    notify(server.offer(order_json(None, image=python_image)))
    wait_until(lambda: len(server.reports) == 1)
    flush(broker, instance)
    notify(server.offer(order_json(None, image=python_image)))
    wait_until(lambda: len(server.reports) == 2)
    assert b"Traceback" not in worker.printed
    assert not [key for key in broker.scan_iter(f"{instance}:*") if b"pidbox" in key]


def test_it_steps_out_within_seconds_and_leaves_its_container_to_the_next(
    start: Callable[[], Worker],
    server: FakeServer,
    notify: Callable[[str], None],
    broker: redis.Redis,
    python_image: str,
) -> None:
    worker = start()
    notify(server.offer(order_json(*["import time; time.sleep(1.5); finish(name)"] * 3, image=python_image)))
    wait_until(lambda: 1 in server.beats)
    before = time.monotonic()
    worker.end()
    assert time.monotonic() - before < 8
    assert server.reports == []
    start()
    wait_until(lambda: server.reports)
    assert [case["status"] for case in server.reports[0]["cases"]] == ["finished"] * 3


def test_it_listens_to_no_remote_control_and_accepts_nothing_but_json(environment: dict[str, str]) -> None:
    settings = celery_settings(from_environment(environment))
    assert settings["worker_enable_remote_control"] is False
    assert settings["accept_content"] == ["json"]
    assert settings["task_acks_late"] is True
    assert settings["worker_concurrency"] == 2


def start_in_vain(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A worker with settings that end its start."""
    command = [sys.executable, "-m", "containers"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_a_setting_that_the_engine_cannot_fulfil_stops_the_start(environment: dict[str, str]) -> None:
    result = start_in_vain(environment | {"REX_SANDBOX_RUNTIME": "no-such-runtime"})
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("The sandbox worker cannot start: REX_SANDBOX_RUNTIME: the engine has no OCI runtime ")


def test_a_bad_setting_stops_the_start_with_one_line(environment: dict[str, str]) -> None:
    result = start_in_vain(environment | {"REX_SLOTS": "tpu:1"})
    assert result.returncode == 1
    assert result.stderr.strip().splitlines() == [
        'The sandbox worker cannot start: REX_SLOTS: "tpu:1" is neither cpu:<number> nor gpu:<id>[+<id>...].'
    ]
