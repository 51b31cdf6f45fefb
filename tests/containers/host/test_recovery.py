"""A worker that dies, and the one that comes after it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import docker
import pytest

from containers.host.agent import Agent
from containers.host.config import ConfigurationError, Settings
from containers.protocol.orders import parse_order
from containers.sandbox import holder, spec
from containers.sandbox.engine import Engine
from tests.containers.conftest import NOTHING, order_json, outcomes, wait_until
from tests.containers.fakeserver import FakeServer

pytestmark = pytest.mark.engine

SLOW = "import time; time.sleep(1.0)\n"
TOKENED = "import uuid; token = globals().get('token') or uuid.uuid4().hex; finish(name, token.encode())"


@pytest.fixture
def doomed(host_settings: Settings) -> Callable[[str], subprocess.Popen[bytes]]:
    """Starts a worker process for one batch, to be killed."""

    def start(batch: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "REX_SERVER_URL": host_settings.server_url,
            "REX_HOST_TOKEN": host_settings.token,
            "REDIS_URL": host_settings.redis_url,
            "REX_STATE_DIR": str(host_settings.state_dir),
            "REX_INSTANCE": host_settings.instance,
        }
        return subprocess.Popen([sys.executable, "-m", "tests.containers.agentprocess", batch], env=environment)

    return start


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_killed_workers_container_is_adopted_and_no_case_is_run_twice(
    new_agent: Callable[[], Agent],
    server: FakeServer,
    offer: Callable[..., str],
    doomed: Callable[[str], subprocess.Popen[bytes]],
    docker_client: docker.APIClient,
    instance: str,
) -> None:
    batch = offer(*[SLOW + TOKENED] * 4)
    algorithm = spec.names(instance, parse_order(server.orders[batch])).algorithm
    process = doomed(batch)
    wait_until(lambda: 1 in server.beats)
    kill(process)
    container = docker_client.inspect_container(algorithm)["Id"]
    new_agent()
    wait_until(lambda: 3 in server.beats)
    assert docker_client.inspect_container(algorithm)["Id"] == container
    wait_until(lambda: server.reports)
    assert outcomes(server.reports[0]) == ["finished"] * 4
    assert len(set(server.outputs.values())) == 1  # one process made them all
    assert [round(case["seconds"]) for case in server.reports[0]["cases"]] == [1, 1, 1, 1]


def test_a_container_that_ended_while_no_worker_was_there_is_harvested(
    new_agent: Callable[[], Agent],
    server: FakeServer,
    offer: Callable[..., str],
    doomed: Callable[[str], subprocess.Popen[bytes]],
    engine: Engine,
    instance: str,
) -> None:
    batch = offer(*[SLOW + TOKENED] * 2)
    process = doomed(batch)
    wait_until(lambda: 1 in server.beats)
    kill(process)
    algorithm = spec.names(instance, parse_order(server.orders[batch])).algorithm
    engine.wait_for_end(algorithm)
    before = time.monotonic()
    new_agent()
    wait_until(lambda: server.reports)
    assert time.monotonic() - before < 1.8  # less than the two cases would take again
    assert outcomes(server.reports[0]) == ["finished"] * 2
    assert len(set(server.outputs.values())) == 1


def test_a_result_that_was_not_acknowledged_is_delivered_by_the_next_worker(
    new_agent: Callable[[], Agent],
    server: FakeServer,
    offer: Callable[..., str],
    doomed: Callable[[str], subprocess.Popen[bytes]],
) -> None:
    server.fail("/report", 503, times=1000)
    process = doomed(offer(TOKENED))
    wait_until(lambda: any("/report" in path for path in server.requests))
    kill(process)
    made = dict(server.outputs)
    server.stop_failing()
    new_agent()
    wait_until(lambda: server.reports)
    assert server.outputs == made


def test_an_adopted_batch_that_is_stale_by_now_is_cleaned_up(
    new_agent: Callable[[], Agent],
    server: FakeServer,
    offer: Callable[..., str],
    doomed: Callable[[str], subprocess.Popen[bytes]],
) -> None:
    batch = offer("import time; time.sleep(60)")
    process = doomed(batch)
    wait_until(lambda: server.beats)
    kill(process)
    server.called_off.add(batch)
    agent = new_agent()
    wait_until(lambda: not agent.batches)
    assert server.reports == []


def test_a_worker_that_is_told_to_stop_leaves_its_container_to_the_next(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    agent = new_agent()
    message = threading.Thread(target=agent.run_batch, args=[offer(*[SLOW + TOKENED] * 3)])
    message.start()
    wait_until(lambda: 1 in server.beats)
    before = time.monotonic()
    agent.shut_down()
    message.join()
    assert time.monotonic() - before < 1
    new_agent()
    wait_until(lambda: server.reports)
    assert outcomes(server.reports[0]) == ["finished"] * 3
    assert len(set(server.outputs.values())) == 1


def test_a_start_removes_what_belongs_to_no_batch_and_nothing_else(
    new_agent: Callable[[], Agent], host_settings: Settings, engine: Engine, instance: str
) -> None:
    order = parse_order(order_json(None, image=NOTHING))
    others = replace(host_settings.sandbox, instance=f"{instance}-other")
    for settings in (host_settings.sandbox, others):
        engine.create_volume(spec.output_volume(order, settings))
        image = holder.ensure_image(engine, instance)
        name = spec.names(settings.instance, order).holder
        engine.create_container(name, spec.holder(order, settings, image))
        engine.start_container(name)
    leftover = host_settings.state_dir / "batches" / "leftover-1" / "input"
    leftover.mkdir(parents=True)
    new_agent()
    try:
        assert engine.labelled(f"{spec.LABEL_INSTANCE}={instance}") == ([], [])
        assert engine.inspect_container(spec.names(others.instance, order).holder) is not None
        assert not leftover.exists()
    finally:
        engine.remove_container(spec.names(others.instance, order).holder)
        engine.remove_volume(spec.names(others.instance, order).volume)


def test_an_image_that_a_killed_worker_loaded_and_no_more_gets_our_tag(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str], engine: Engine, instance: str
) -> None:
    agent, batch = new_agent(), offer(None)
    image = server.orders[batch]["image"]["id"]
    tag = f"rexgrounding-{instance}/image:{image.removeprefix('sha256:')}"
    assert tag not in engine.image_tags(image)
    agent.run_batch(batch)
    assert tag in engine.image_tags(image)


def test_what_an_engine_does_not_let_go_of_is_removed_later_though_no_batch_follows(
    new_agent: Callable[[], Agent],
    host_settings: Settings,
    engine: Engine,
    docker_client: docker.APIClient,
    instance: str,
) -> None:
    order = parse_order(order_json(None, image=NOTHING))
    volume = spec.output_volume(order, host_settings.sandbox)
    engine.create_volume(volume)
    binds = docker_client.create_host_config(binds=[f"{volume['name']}:/output"])
    image = holder.ensure_image(engine, instance)
    user = docker_client.create_container(image, "/holder", host_config=binds)["Id"]
    try:
        new_agent()
        assert engine.labelled(f"{spec.LABEL_INSTANCE}={instance}")[1]  # it is in use
    finally:
        engine.remove_container(user)
    wait_until(lambda: engine.labelled(f"{spec.LABEL_INSTANCE}={instance}") == ([], []))


def test_two_workers_cannot_share_a_state_folder(
    new_agent: Callable[[], Agent], host_settings: Settings, engine: Engine
) -> None:
    new_agent()
    with pytest.raises(ConfigurationError, match="another worker"):
        Agent(host_settings, engine)
