"""A GPU host of an earlier commit, its real worker on the real engine, with the present server."""

import subprocess
import sys
import time
from contextlib import closing

import docker
import pytest

from tests.upgrade import algorithm
from tests.upgrade.release import wait_for
from tests.upgrade.test_going_on import attempts, numbers
from tests.upgrade.world import World

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("upgrade"), pytest.mark.timeout(240)]

SEGMENT = ("segment", "0", "0")
AGAIN = ("segment", "0", "12")  # the same masks, from an image that no host has seen
SLEEPER = ("segment", "600000", "0")
PATIENCE_SECONDS = 30.0


def test_it_runs_the_code_of_then(old_host: World) -> None:
    host = old_host.gpu_host("gpu-1", old_host.old)
    asked = [sys.executable, "-c", "import containers; print(containers.__file__)"]
    environment = host.environment("cpu:1") | {"PYTHONPATH": str(host.processes.code)}
    found = subprocess.run(asked, env=environment, cwd=host.processes.code, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(host.processes.code / "containers" / "__init__.py")


def test_it_says_hello(old_host: World) -> None:
    query = "SELECT version, slots, engine, trouble, free_bytes > 0 FROM leaderboard_host WHERE name = 'gpu-1'"
    version, slots, engine, trouble, has_room = old_host.upgraded.database.ask(query)[0]
    assert (slots, trouble, has_room) == ([{"name": "cpu0", "gpus": []}], "", True)
    assert version
    assert engine


def test_a_submission_goes_through_all_its_batches_to_the_same_numbers(old_host: World) -> None:
    number = old_host.submit("Alice", "development", algorithm.archive(*SEGMENT))
    old_host.reaches(number, "scored")
    told = old_host.told(number)
    assert numbers(told) == numbers(old_host.upgraded.recording.submissions["scored"])
    assert [attempts(told, batch) for batch in (1, 2)] == [[(1, "gpu-1", "")]] * 2
    assert told["charged"]


def test_a_cancelled_run_stops_its_container_within_seconds(old_host: World) -> None:
    number = old_host.submit("Charlie", "trial", algorithm.archive(*SLEEPER))
    ours = {"label": f"rexgrounding.instance={old_host.server.instance}"}
    with closing(docker.from_env(timeout=120).api) as engine:
        wait_for(lambda: len(engine.containers(filters=ours)) == 2, "the container and its holder", PATIENCE_SECONDS)
        old_host.cancel("Charlie", number)
        wait_for(lambda: not engine.containers(all=True, filters=ours), "the containers to go", PATIENCE_SECONDS)
    assert old_host.state(number) == "cancelled"


def test_it_drains_and_says_what_failed_on_its_side(old_host: World) -> None:
    """The image is lost for a while: the host's fault costs nobody anything, and an organiser lets the run go on."""
    old_host.organise("host", "drain", old_host.host_number("gpu-1"))
    number = old_host.submit("Dora", "trial", algorithm.archive(*AGAIN))
    old_host.reaches(number, "queued")
    time.sleep(1)
    assert old_host.state(number) == "queued"
    with old_host.lost_image(number):
        old_host.organise("host", "take_work", old_host.host_number("gpu-1"))
        old_host.reaches(number, "halted")
    halted = old_host.told(number)
    assert (halted["runs"][0]["reason_code"], halted["charged"]) == ("image_unavailable", False)
    assert halted["runs"][0]["attempts"][0]["detail"]
    old_host.organise("submission", "go_on", number)
    old_host.reaches(number, "scored")
    told = old_host.told(number)
    assert numbers(told) == numbers(old_host.upgraded.recording.submissions["tried"])
    assert attempts(told, 1) == [(1, "gpu-1", "image_unavailable"), (2, "gpu-1", "")]
    assert told["charged"]


def test_nothing_broke_down_in_it(old_host: World) -> None:
    assert "Traceback" not in old_host.old.log("gpu-1")
