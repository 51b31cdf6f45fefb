"""What a host does when its own machine fails: the server hears of it as a fault of ours, whatever it was."""

import errno
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError

from containers.host.agent import Agent
from containers.host.journal import Journal, JournalEntry
from containers.protocol.reports import parse_report
from containers.sandbox import spec
from containers.sandbox.engine import Engine
from containers.sandbox.spec import Slot
from tests.containers import baseimage
from tests.containers.conftest import UID, Sandbox, outcomes, statuses, wait_until
from tests.containers.fakeserver import FakeServer

pytestmark = pytest.mark.engine

UNTOUCHED = ("untouched", None)
GPU_SLOT = Slot("gpu0", UID + 1, ("0",))


def faults(server: FakeServer) -> list[str]:
    """The faults that were reported, each in a form that the real server takes."""
    return [fault.code for report in server.reports if (fault := parse_report(report).fault)]


# --- orders and reports -----------------------------------------------------------------------------------------------


def test_an_order_that_makes_no_sense_is_reported(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    batch = offer(None)
    server.orders[batch]["cases"][0]["name"] = "../escape.nii.gz"
    new_agent().run_batch(batch)
    assert faults(server) == ["order_unreadable"]
    assert server.reports[0]["cases"] == []


def test_an_order_of_a_newer_server_is_reported(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    batch = offer(None)
    server.orders[batch]["limits"]["new_in_version_9"] = 1
    new_agent().run_batch(batch)
    assert faults(server) == ["order_unreadable"]
    assert "new_in_version_9" in server.reports[0]["fault"]["detail"]


def test_an_order_without_a_fence_is_dropped(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    batch = offer(None)
    server.orders[batch]["fence"] = "one"
    new_agent().run_batch(batch)
    assert server.reports == []


@pytest.mark.parametrize("step", ["/outputs/", "/report"])
def test_results_that_the_server_does_not_take_are_reported_as_a_fault(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str], step: str
) -> None:
    server.fail(step, 400)
    new_agent().run_batch(offer(None))
    assert faults(server) == ["internal"]


# --- the disk ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[JournalEntry], bool]], None]:
    """Makes the journal's disk full for the entries of which a condition is true."""
    write = Journal.write

    def fill(when: Callable[[JournalEntry], bool]) -> None:
        def fail_or_write(journal: Journal, entry: JournalEntry) -> JournalEntry:
            if when(entry):
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(journal, entry)

        monkeypatch.setattr(Journal, "write", fail_or_write)

    return fill


def test_a_disk_that_is_full_before_the_claim_leaves_the_batch_and_the_slot_to_others(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str], full_disk: Any
) -> None:
    agent, batch = new_agent(), offer(None)
    full_disk(lambda entry: True)
    agent.run_batch(batch)
    assert server.claims == {}
    full_disk(lambda entry: False)
    agent.run_batch(batch)  # the one slot is free again
    assert [outcomes(report) for report in server.reports] == [["finished"]]


def test_a_disk_that_is_full_after_the_claim_is_reported(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str], full_disk: Any
) -> None:
    agent, batch = new_agent(), offer(None)
    full_disk(lambda entry: entry.order is not None)
    agent.run_batch(batch)
    assert faults(server) == ["disk_full"]


def test_a_disk_that_is_full_at_the_end_does_not_keep_the_results_back(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str], full_disk: Any
) -> None:
    agent, batch = new_agent(), offer(None)
    full_disk(lambda entry: entry.report is not None)
    agent.run_batch(batch)
    assert [outcomes(report) for report in server.reports] == [["finished"]]
    assert faults(server) == []


def test_a_journal_that_cannot_be_written_keeps_the_earlier_entry_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    journal.write(JournalEntry(batch="b", key="k", slot="s"))
    write_text = Path.write_text

    def half(path: Path, text: str, **options: Any) -> int:
        write_text(path, text[:5], **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OSError, match="No space"):
        journal.write(JournalEntry(batch="b", key="other", slot="s"))
    assert [entry.key for entry in journal.entries()] == ["k"]
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


# --- the image --------------------------------------------------------------------------------------------------------


def test_an_image_that_is_removed_between_the_claim_and_the_start_is_our_fault(
    sandbox: Sandbox, engine: Engine, docker_client: docker.APIClient
) -> None:
    image = baseimage.derive(docker_client, sandbox.image, "LABEL soon=gone", f"gone-{uuid.uuid4().hex[:12]}")
    run = sandbox.prepare(sandbox.order(None, image=image))
    staged = sandbox.stage(run)
    assert engine.has_image(image)
    docker_client.remove_image(image, force=True)
    report = run.carry_out(staged)
    assert report.fault is not None
    assert report.fault.code == "image_unavailable"
    assert statuses(report) == [UNTOUCHED]


# --- the GPU ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def gpu_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has no GPU: the algorithm starts without one, as if it had been there until then."""
    build = spec.algorithm

    def without_request(*arguments: Any) -> dict[str, Any]:
        config = build(*arguments)
        del config["HostConfig"]["DeviceRequests"]
        return config

    monkeypatch.setattr(spec, "algorithm", without_request)


def probe_of(sandbox: Sandbox) -> str:
    """What the probe of the slot's GPUs is called in the engine."""
    return f"rexgrounding-{sandbox.settings.instance}-{GPU_SLOT.uid}-probe"


CRASH_BESIDE_A_LOST_GPU = "raise SystemExit('CUDA error: device-side assert')"


@pytest.mark.usefixtures("gpu_at_the_start")
@pytest.mark.parametrize("program", [CRASH_BESIDE_A_LOST_GPU, "import time; time.sleep(60)"])
def test_a_gpu_that_is_lost_during_the_run_is_our_fault_and_keeps_what_is_finished(
    sandbox: Sandbox, program: str
) -> None:
    run = sandbox.prepare(sandbox.order(None, program, gpus=1, case_seconds=0.6), GPU_SLOT)
    report = run.carry_out(sandbox.stage(run))
    assert report.fault is not None
    assert report.fault.code == "gpu_lost"
    assert statuses(report) == [("finished", None), UNTOUCHED]
    assert sandbox.engine.inspect_container(probe_of(sandbox)) is None


@pytest.mark.usefixtures("gpu_at_the_start")
def test_a_crash_beside_a_gpu_that_still_answers_is_the_programs_own(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spec, "_device_requests", lambda *_: [])  # so that the probe starts
    run = sandbox.prepare(sandbox.order(CRASH_BESIDE_A_LOST_GPU, gpus=1), GPU_SLOT)
    report = run.carry_out(sandbox.stage(run))
    assert report.fault is None
    assert statuses(report) == [("failed", "crashed")]


@pytest.mark.usefixtures("gpu_at_the_start")
def test_a_probe_for_gpus_that_an_earlier_worker_left_is_no_obstacle(
    sandbox: Sandbox, docker_client: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spec, "_device_requests", lambda *_: [])
    run = sandbox.prepare(sandbox.order("raise SystemExit(1)", gpus=1), GPU_SLOT)
    docker_client.create_container_from_config(
        {"Image": sandbox.image, "Labels": {spec.LABEL_INSTANCE: sandbox.settings.instance}}, probe_of(sandbox)
    )
    report = run.carry_out(sandbox.stage(run))
    assert statuses(report) == [("failed", "crashed")]


def test_the_probe_for_gpus_is_as_locked_down_as_everything_else(sandbox: Sandbox) -> None:
    config = spec.probe(GPU_SLOT, sandbox.settings, "holder", ["0"])
    host = config["HostConfig"]
    assert [request["DeviceIDs"] for request in host["DeviceRequests"]] == [["0"]]
    assert (host["NetworkMode"], host["ReadonlyRootfs"], host["CapDrop"]) == ("none", True, ["ALL"])
    assert "Mounts" not in host


# --- the server and the engine ----------------------------------------------------------------------------------------


def test_a_server_without_its_database_hears_the_report_when_it_is_back(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str]
) -> None:
    server.fail("/report", 500, times=3)
    new_agent().run_batch(offer(None))
    assert [outcomes(report) for report in server.reports] == [["finished"]]
    assert server.requests.count(next(path for path in server.requests if path.endswith("/report"))) == 4


def test_an_engine_that_refuses_for_no_known_reason_is_our_fault(
    sandbox: Sandbox, docker_client: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sandbox.prepare(sandbox.order(None))

    def refuse(*_: Any, **__: Any) -> None:
        raise APIError("weather", explanation="something new")

    staged = sandbox.stage(run)
    with monkeypatch.context() as patch:
        patch.setattr(docker_client, "create_container_from_config", refuse)
        report = run.carry_out(staged)
    assert report.fault is not None
    assert report.fault.code == "internal"
    wait_until(lambda: sandbox.engine.inspect_container(run.names.algorithm) is None)
