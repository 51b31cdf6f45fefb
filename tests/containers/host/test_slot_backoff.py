"""A slot that fails by our own fault is held back until it works: a broken host must not halt one run after another."""

import threading
import time
from collections.abc import Callable
from typing import Any

import docker
import pytest
from docker.errors import APIError

from containers.host import slot_backoff
from containers.host.agent import Agent
from containers.host.slot_backoff import PAUSES_SECONDS, SlotBackoff
from containers.sandbox import spec
from containers.sandbox.spec import Slot
from tests.containers.conftest import UID, outcomes, wait_until
from tests.containers.fakeserver import FakeServer

SLOT, OTHER = Slot("gpu0", UID + 1, ("0",)), Slot("gpu1", UID + 2, ("1",))


class Pauses(threading.Event):
    """A worker that does not shut down, and the pauses for which it was asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0)
        return False


def test_every_further_fault_in_a_row_holds_a_slot_back_for_longer() -> None:
    pauses = Pauses()
    slots = SlotBackoff(lambda slot: None, pauses)
    for _ in range(8):
        slots.hold_back(SLOT, "gpu_lost")
    assert pauses.seconds == [*PAUSES_SECONDS, PAUSES_SECONDS[-1], PAUSES_SECONDS[-1]]


def test_a_batch_without_a_fault_ends_the_row_of_its_slot_alone() -> None:
    pauses = Pauses()
    slots = SlotBackoff(lambda slot: None, pauses)
    for slot in (SLOT, SLOT, OTHER, OTHER):
        slots.hold_back(slot, "gpu_lost")
    slots.succeeded(OTHER)
    pauses.seconds.clear()
    slots.hold_back(OTHER, "gpu_lost")
    slots.hold_back(SLOT, "gpu_lost")
    assert pauses.seconds == [PAUSES_SECONDS[0], PAUSES_SECONDS[2]]


def test_a_slot_is_held_until_its_probe_succeeds_and_the_reason_is_known_meanwhile() -> None:
    answers, seen = ["no GPU", "still no GPU", None], []
    pauses = Pauses()

    def probe(slot: Slot) -> str | None:
        seen.append(slots.held)
        return answers.pop(0)

    slots = SlotBackoff(probe, pauses)
    slots.hold_back(SLOT, "gpu_lost")
    assert [held["gpu0"] for held in seen] == [
        "gpu0 rests after 1 x gpu_lost",
        "gpu0 rests after 2 x no GPU",
        "gpu0 rests after 3 x still no GPU",
    ]
    assert slots.held == {}


def test_a_shutdown_does_not_wait_for_a_pause() -> None:
    closing = threading.Event()
    closing.set()
    SlotBackoff(lambda slot: pytest.fail("no probe any more"), closing).hold_back(SLOT, "gpu_lost")


# --- A worker with such a slot ----------------------------------------------------------------------------------------


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_backoff, "PAUSES_SECONDS", (0, 0.2))


@pytest.mark.engine
@pytest.mark.usefixtures("short_pauses")
def test_a_host_whose_gpu_is_broken_claims_nothing_says_so_and_goes_on_when_it_is_mended(
    new_agent: Callable[..., Agent], server: FakeServer, offer: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine has no GPU at all, so the engine refuses the probe of the slot itself."""
    agent = new_agent(slots=(SLOT, Slot("cpu0", UID + 3)))
    wait_until(lambda: any("could not select device driver" in hello["trouble"] for hello in server.hellos))
    assert [slot["name"] for slot in server.hellos[-1]["slots"]] == ["cpu0"]
    agent.run_batch(offer(None))  # on the other slot
    waiting = offer(None)
    messages = [threading.Thread(target=agent.run_batch, args=[batch]) for batch in (offer(SLOW), waiting)]
    for message in messages:
        message.start()
        time.sleep(0.3)
    assert waiting not in server.claims
    assert [outcomes(report) for report in server.reports] == [["finished"]]
    monkeypatch.setattr(spec, "_device_requests", lambda *_: [])  # the GPU is back
    wait_until(lambda: len(server.reports) == 3)
    for message in messages:
        message.join()
    wait_until(lambda: server.hellos[-1]["trouble"] == "")


SLOW = "import time; time.sleep(2); finish(name)"


@pytest.mark.engine
@pytest.mark.usefixtures("short_pauses")
def test_a_host_whose_engine_cannot_start_containers_halts_one_run_only(
    new_agent: Callable[..., Agent],
    server: FakeServer,
    offer: Callable[..., str],
    docker_client: docker.APIClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent = new_agent()
    agent.run_batch(offer(None))  # while all is well
    real = docker_client.start

    def refuse(*_: Any, **__: Any) -> None:
        raise APIError("refused", explanation="OCI runtime create failed: the disk of the engine is read-only")

    monkeypatch.setattr(docker_client, "start", refuse)
    first = threading.Thread(target=agent.run_batch, args=[offer(None)])
    first.start()
    wait_until(lambda: agent.held)
    second = offer(None)
    other = threading.Thread(target=agent.run_batch, args=[second])
    other.start()
    wait_until(lambda: "x OCI runtime create failed" in agent.held.get("cpu0", ""))
    assert second not in server.claims
    monkeypatch.setattr(docker_client, "start", real)
    first.join()
    other.join()
    assert [report["fault"] and report["fault"]["code"] for report in server.reports] == [None, "internal", None]
