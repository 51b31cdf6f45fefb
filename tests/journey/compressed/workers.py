"""Who does the work: the sweeper, workers that take messages from the broker, and GPU hosts that speak over HTTP."""

import hashlib
import logging
import math
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client

from containers.protocol import task_queue
from leaderboard.celery import app
from leaderboard.core import process_heartbeat
from leaderboard.notices import deadlines
from leaderboard.notices import phases as openings
from leaderboard.operations import alarms, doubles
from leaderboard.processes import sweeper, tasks
from tests.containers.intake.build import Image, tar_of
from tests.journey.compressed import cases

logger = logging.getLogger(__name__)

ALIVE = ("control@here", "scoring@here", process_heartbeat.WEB)
QUEUES = ("control", "scoring", task_queue.QUEUE_NAME)
MOST_ROUNDS = 100  # until no message is left: more would never end
_PROGRAM = re.compile(rb"#!/proc/self/exe sees them begin at (\d+)")
_LAST_LOOKS = (
    *((sweeper, f"_{what}_at") for what in ("outage", "copies_asked", "pictures_asked", "boards_asked")),
    *((sweeper, f"_{what}_at") for what in ("rescoring_asked", "arrays_looked")),
    *((module, "_next_look") for module in (deadlines, openings, doubles, alarms)),
)
"""When the sweeper's process looked at something last, on a clock that no test sets forward."""


def image_of(start: int) -> bytes:
    """An image, as `docker save` writes it, whose program sees each finding begin there."""
    return Image(layers=[tar_of({"program": f"#!/proc/self/exe sees them begin at {start}".encode()})]).saved()


@dataclass
class GpuHost:
    """A GPU host as the server hears it: each word of it is a request with its token."""

    name: str
    token: str
    is_up: bool = True
    dies_with_batch: int = 0  # the number of the batch that it claims, and of which nobody hears again
    orders: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._client = Client(headers={"Authorization": f"Bearer {self.token}"})

    def say_hello(self) -> None:
        """Say what it offers, as it does again and again."""
        slots = [{"name": "gpu0", "gpus": ["0"]}]
        assert self._post("hello", version="1", slots=slots, engine="28.0").status_code == 200

    def take(self, batch: str) -> bool:
        """Do a batch, if the server leases it to this host."""
        answer = self._post(f"batches/{batch}/claim", key=str(uuid.uuid4()), slot="gpu0")
        if answer.status_code != 200:
            return False
        order = answer.json()
        self.orders.append(order)
        if len(self.orders) == self.dies_with_batch:
            self.is_up = False
        else:
            self._carry_out(order)
        return True

    def _carry_out(self, order: dict[str, Any]) -> None:
        found = _PROGRAM.search(self._download(order["image"]))
        assert found, "the program is not in the image that the server handed out"
        done = [self._done(order, case, int(found[1])) for case in order["cases"]]
        said = {"fence": order["fence"], "cases": done, "fault": None, "log": ""}
        container = {"exit_code": 0, "oom_killed": False, "seconds": 1.0, "warnings": []}
        assert self._post(f"batches/{order['batch']}/report", **said, container=container).status_code == 200

    def _done(self, order: dict[str, Any], case: dict[str, Any], start: int) -> dict[str, Any]:
        content = cases.predicted(self._download(case), start)
        digest = hashlib.sha256(content).hexdigest()
        path = f"/worker/v1/batches/{order['batch']}/outputs/{case['name']}?fence={order['fence']}"
        sent = self._client.put(path, content, "application/octet-stream", headers={"X-Content-SHA256": digest})
        assert sent.status_code == 204
        output = {"blob": f"sha256:{digest}", "size": len(content)}
        return {"name": case["name"], "status": "finished", "reason": None, "seconds": 1.0, "output": output}

    def _download(self, what: dict[str, Any]) -> bytes:
        content = b"".join(self._client.get(f"/worker/v1/blobs/{what['blob']}"))
        assert what["blob"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        return content

    def _post(self, path: str, **body: Any) -> Any:
        return self._client.post(f"/worker/v1/{path}", body, "application/json")


@dataclass
class Workers:
    """All that works by itself: what beat, the workers and the hosts do."""

    monkeypatch: pytest.MonkeyPatch
    hosts: list[GpuHost] = field(default_factory=list)

    def work(self) -> None:
        """Look after everything, and do what that and all before it asked for."""
        for name in ALIVE:
            process_heartbeat.beat(name)
        for host in self.hosts:
            if host.is_up:
                host.say_hello()
        self._sweep()
        self._answer_messages()

    def forget_messages(self) -> None:
        """Those of tests before this one."""
        with app.connection_for_read() as connection:
            for queue in QUEUES:
                list(_taken(connection.default_channel, queue))

    def _sweep(self) -> None:
        """A round of the sweeper, as long after the one before as the clock says."""
        for module, name in _LAST_LOOKS:
            self.monkeypatch.setattr(module, name, -math.inf)
        self.monkeypatch.setattr(sweeper, "_last_sweep", None)
        sweeper.sweep()

    def _answer_messages(self) -> None:
        """Do what messages ask for, and the messages that come of it. Of equal ones one is enough."""
        with app.connection_for_read() as connection:
            for _ in range(MOST_ROUNDS):
                found = [one for queue in QUEUES for one in _taken(connection.default_channel, queue)]
                for name, key in dict.fromkeys(found):
                    self._do(name, key)
                if not found:
                    return
        raise AssertionError("the messages never end")

    def _do(self, name: str, key: str) -> None:
        if name != task_queue.TASK:
            getattr(tasks, name.removeprefix("leaderboard.")).run(key)
        elif not any(host.take(key) for host in self.hosts if host.is_up):
            logger.info("no host takes batch %s", key)


def _taken(channel: Any, queue: str) -> Iterator[tuple[str, str]]:
    """The messages that wait in a queue: the task and the key that each names."""
    while (message := channel.basic_get(queue, no_ack=True)) is not None:
        [key] = message.decode()[0]
        yield message.headers["task"], key
