"""What a worker does with a message when the broker dies, against a real broker of the test's own."""

import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection, Producer, Queue

from containers.protocol.task_queue import survive_lost_acknowledgements
from deploy.local.broker import broker_program
from deploy.local.ports import is_answering


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def broker(port: int) -> Iterator[subprocess.Popen[bytes]]:
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen([str(broker_program()), *options], stdout=subprocess.DEVNULL)
    while not is_answering(port):
        time.sleep(0.02)
    yield process
    process.kill()
    process.wait()


def test_a_message_that_cannot_be_acknowledged_does_not_keep_the_worker_from_taking_another(
    broker: subprocess.Popen[bytes], port: int
) -> None:
    survive_lost_acknowledgements()
    with Connection(f"redis://127.0.0.1:{port}/0") as connection:
        channel: Any = connection.channel()
        channel.basic_qos(0, 1, False)
        queue = Queue("batches")(channel)
        queue.declare()
        Producer(channel).publish("a batch", routing_key="batches")
        message: Any = queue.get()
        assert not channel.qos.can_consume()
        broker.kill()
        broker.wait()
        with pytest.raises(connection.connection_errors):
            message.ack()
        assert channel.qos.can_consume()
