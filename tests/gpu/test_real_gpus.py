"""The sandbox with real GPUs: each line of deploy/README's "What was proven" is a test here."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from containers.protocol.reports import Report
from containers.sandbox.gpus import Gpus
from containers.sandbox.nvidia_smi import GpuTrouble
from containers.sandbox.spec import Slot
from tests.containers.conftest import UID, Sandbox, statuses
from tests.gpu.conftest import CUDA

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("gpus")]

PROGRAM = CUDA.read_text()
LOOK = """
cuda = load()
answer = {"devices": devices(cuda), "listing": smi_listing(), "nodes": sorted(os.listdir("/dev"))}
use(cuda)
allocate(cuda, 64 * MEBIBYTE)
finish(name, json.dumps(answer).encode())
"""
SECOND_UID = UID + 2


def run(sandbox: Sandbox, program: str, *, slot: Slot | None = None, gpus: int = 1, **fields: Any) -> Report:
    order = sandbox.order(f"{PROGRAM}\n{program}", gpus=gpus, **({"memory_bytes": 4 << 30, "pids": 512} | fields))
    one = sandbox.prepare(order, slot)
    return one.carry_out(sandbox.stage(one))


def look(sandbox: Sandbox, **options: Any) -> dict[str, Any]:
    report = run(sandbox, LOOK, **options)
    assert statuses(report) == [("finished", None)], (report.fault, report.log)
    found: dict[str, Any] = json.loads(sandbox.output(report))
    return found


def test_a_program_finds_its_one_gpu_as_cuda_0_whatever_the_slot_and_nvidia_smi_lists_that_alone(
    sandbox: Sandbox, uuids: list[str]
) -> None:
    for number, uuid in enumerate(uuids):
        found = look(sandbox, slot=Slot(f"gpu{number}", UID + 1 + number, (uuid,)))
        assert [device["uuid"] for device in found["devices"]] == [uuid]
        assert len(found["listing"]) == 1
        assert uuid in found["listing"][0]


def test_an_image_that_asks_for_all_gpus_gets_its_own(
    sandbox: Sandbox, uuids: list[str], docker_client: Any, cuda_image: str
) -> None:
    from tests.containers import baseimage

    asks = "ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=all CUDA_VISIBLE_DEVICES=0,1,2,3,4,5,6,7"
    image = baseimage.derive(docker_client, cuda_image, asks, "cuda-greedy")
    try:
        assert [device["uuid"] for device in look(sandbox, image=image)["devices"]] == uuids[:1]
        assert run(sandbox, "load()", gpus=0, image=image).cases[0].status == "failed"  # without a GPU no driver
    finally:
        sandbox.clean_up()
        docker_client.remove_image(f"{baseimage.REPOSITORY}:cuda-greedy", force=True)


def test_two_slots_at_once_see_a_gpu_each_and_a_slot_of_two_sees_both(sandbox: Sandbox, uuids: list[str]) -> None:
    if len(uuids) < 2:
        pytest.skip("this machine has one GPU")
    both = Slot("gpu0+1", UID + 3, tuple(uuids[:2]))
    assert [device["uuid"] for device in look(sandbox, slot=both, gpus=2)["devices"]] == uuids[:2]
    assert [device["uuid"] for device in look(sandbox, slot=both, gpus=1)["devices"]] == uuids[:1]
    reports: dict[int, Report] = {}

    def fill(number: int) -> None:
        slot = Slot(f"gpu{number}", UID + 1 + number, (uuids[number],))
        reports[number] = run(sandbox, "cuda = load(); use(cuda); fill(cuda); time.sleep(3); finish(name)", slot=slot)

    threads = [threading.Thread(target=fill, args=[number]) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [statuses(reports[number]) for number in (0, 1)] == [[("finished", None)]] * 2


def test_a_program_that_fills_its_gpu_and_dies_of_it_is_to_blame(
    sandbox: Sandbox, gpus: Gpus, uuids: list[str]
) -> None:
    dies = "cuda = load(); use(cuda); taken = fill(cuda); raise SystemExit(f'CUDA out of memory after {taken} MiB')"
    report = run(sandbox, dies)
    assert report.fault is None
    assert statuses(report) == [("failed", "crashed")]
    assert gpus.expect_empty(uuids[:1])


def test_nothing_starts_beside_another_program_and_what_dies_beside_one_that_came_is_ours(
    sandbox: Sandbox, held: Callable[..., Any]
) -> None:
    with held(2048):
        before = run(sandbox, LOOK)
    assert before.fault is not None
    assert before.fault.code == "gpu_occupied"
    order = sandbox.order(
        f"{PROGRAM}\ncuda = load(); use(cuda)\nimport time; time.sleep(10); raise SystemExit(1)", gpus=1
    )
    one = sandbox.prepare(order)
    staged = sandbox.stage(one)
    reports: list[Report] = []
    thread = threading.Thread(target=lambda: reports.append(one.carry_out(staged)))
    thread.start()
    while thread.is_alive() and not one.was_started():
        thread.join(0.1)
    with held(2048):
        thread.join()
    assert reports[0].fault is not None
    assert reports[0].fault.code == "gpu_occupied"


def test_a_gpu_is_seen_as_it_is(gpus: Gpus, uuids: list[str]) -> None:
    (gpu,) = gpus.expect_empty(uuids[:1])
    assert gpu.uuid == uuids[0]
    assert gpu.name
    assert gpu.driver.driver.count(".") >= 1
    assert gpu.driver.cuda.count(".") == 1
    assert gpus.look("0").uuid.startswith("GPU-")
    with pytest.raises(GpuTrouble) as raised:
        gpus.look("99")
    assert raised.value.code == "gpu_lost"


@pytest.mark.parametrize("asked", ["by the worker", "by the toolkit"])
def test_an_image_for_a_newer_driver_is_refused_with_what_it_needs(
    sandbox: Sandbox, docker_client: Any, cuda_image: str, asked: str
) -> None:
    from tests.containers import baseimage

    image = baseimage.derive(docker_client, cuda_image, "ENV NVIDIA_REQUIRE_CUDA=cuda>=99.0", "cuda-newer")
    if asked == "by the toolkit":
        sandbox.gpus = None
    try:
        report = run(sandbox, LOOK, image=image)
        if asked == "by the toolkit" and statuses(report) == [("finished", None)]:
            pytest.skip("CDI hands the GPUs over here, and that checks no requirement: the worker alone does")
        assert report.rejected == "unmet_requirement", (report.fault, report.log)
        assert "unsatisfied condition: cuda" in report.log
    finally:
        sandbox.clean_up()
        docker_client.remove_image(f"{baseimage.REPOSITORY}:cuda-newer", force=True)
