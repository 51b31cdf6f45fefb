"""A slot that fails by our own fault rests until it is well: a broken host must not halt one run after another."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from docker.errors import APIError

from containers.host import slot_backoff
from containers.host.agent import Agent
from containers.host.slot_backoff import PAUSES_SECONDS, Caution
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
    slots = Caution(lambda slot: None, pauses)
    for _ in range(8):
        slots.hold(SLOT, "gpu_lost")
    assert pauses.seconds == [*PAUSES_SECONDS, PAUSES_SECONDS[-1], PAUSES_SECONDS[-1]]


def test_a_batch_without_a_fault_ends_the_row_of_its_slot_alone() -> None:
    pauses = Pauses()
    slots = Caution(lambda slot: None, pauses)
    for slot in (SLOT, SLOT, OTHER, OTHER):
        slots.hold(slot, "gpu_lost")
    slots.well(OTHER)
    pauses.seconds.clear()
    slots.hold(OTHER, "gpu_lost")
    slots.hold(SLOT, "gpu_lost")
    assert pauses.seconds == [PAUSES_SECONDS[0], PAUSES_SECONDS[2]]


def test_a_slot_is_held_until_its_trial_succeeds_and_the_reason_is_known_meanwhile() -> None:
    answers, seen = ["no GPU", "still no GPU", None], []
    pauses = Pauses()

    def try_slot(slot: Slot) -> str | None:
        seen.append(slots.held)
        return answers.pop(0)

    slots = Caution(try_slot, pauses)
    slots.hold(SLOT, "gpu_lost")
    assert [held["gpu0"] for held in seen] == [
        "gpu0 rests after 1 x gpu_lost",
        "gpu0 rests after 2 x no GPU",
        "gpu0 rests after 3 x still no GPU",
    ]
    assert slots.held == {}


def test_a_shutdown_does_not_wait_for_a_pause() -> None:
    closing = threading.Event()
    closing.set()
    Caution(lambda slot: pytest.fail("no trial any more"), closing).hold(SLOT, "gpu_lost")


# --- A worker with such a slot ----------------------------------------------------------------------------------------


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_backoff, "PAUSES_SECONDS", (0, 0.2))


@pytest.mark.engine
@pytest.mark.usefixtures("short_pauses")
def test_a_host_whose_gpu_is_broken_claims_nothing_says_so_and_goes_on_when_it_is_mended(
    new_agent: Callable[..., Agent], server: FakeServer, offer: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine has no GPU at all, so the engine refuses the trial of the slot itself."""
    agent = new_agent(slots=(SLOT, Slot("cpu0", UID + 3)))
    wait_until(lambda: any("could not select device driver" in hello["trouble"] for hello in server.hellos))
    assert [slot["name"] for slot in server.hellos[-1]["slots"]] == ["cpu0"]
    agent.run_batch(offer(None))  # on the other slot
    waiting = offer(None)
    rings = [threading.Thread(target=agent.run_batch, args=[batch]) for batch in (offer(SLOW), waiting)]
    for ring in rings:
        ring.start()
        time.sleep(0.3)
    assert waiting not in server.claims
    assert [outcomes(report) for report in server.reports] == [["finished"]]
    monkeypatch.setattr(spec, "_device_requests", lambda gpus: [])  # the GPU is back
    wait_until(lambda: len(server.reports) == 3)
    for ring in rings:
        ring.join()
    wait_until(lambda: server.hellos[-1]["trouble"] == "")


SLOW = "import time; time.sleep(2); finish(name)"


@pytest.mark.engine
@pytest.mark.usefixtures("short_pauses")
def test_a_host_whose_engine_cannot_start_containers_halts_one_run_only(
    new_agent: Callable[..., Agent],
    server: FakeServer,
    offer: Callable[..., str],
    engine: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent = new_agent()
    agent.run_batch(offer(None))  # while all is well
    real = engine.client.start

    def refuse(*_: Any, **__: Any) -> None:
        raise APIError("refused", explanation="OCI runtime create failed: the disk of the engine is read-only")

    monkeypatch.setattr(engine.client, "start", refuse)
    ring = threading.Thread(target=agent.run_batch, args=[offer(None)])
    ring.start()
    wait_until(lambda: agent.held)
    second = offer(None)
    other = threading.Thread(target=agent.run_batch, args=[second])
    other.start()
    wait_until(lambda: "x OCI runtime create failed" in agent.held.get("cpu0", ""))
    assert second not in server.claims
    monkeypatch.setattr(engine.client, "start", real)
    ring.join()
    other.join()
    assert [report["fault"] and report["fault"]["code"] for report in server.reports] == [None, "internal", None]
