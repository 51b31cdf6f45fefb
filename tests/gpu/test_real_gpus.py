"""The sandbox with real GPUs: each line of deploy/README's "What was proven" is a test here."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from containers.host.agent import Agent
from containers.host.config import Settings
from containers.protocol.reports import Report
from containers.sandbox.gpus import Gpus, sees_host_processes
from containers.sandbox.nvidia_smi import GpuTrouble
from containers.sandbox.spec import Slot
from tests.containers.conftest import UID, Sandbox, order_json, outcomes, shut, statuses, wait_until
from tests.containers.fakeserver import FakeServer
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
#: One that a matrix product, a convolution and a second stream make busy, checked with what the processor computes.
PYTORCH = """
from pathlib import Path
import torch
left, right = torch.randn(1024, 768), torch.randn(768, 512)
product = (left.cuda() @ right.cuda()).cpu()
assert torch.allclose(product, left @ right, rtol=1e-3, atol=1e-2), (product - left @ right).abs().max()
kernel = torch.ones(1, 1, 3, 3, 3, device="cuda")
volume = torch.nn.functional.conv3d(torch.ones(1, 1, 34, 34, 34, device="cuda"), kernel)
assert volume.sum().item() == 27 * 32**3
with torch.cuda.stream(torch.cuda.Stream()), torch.autocast("cuda", torch.float16):
    assert torch.isfinite(left.cuda() @ right.cuda()).all()
torch.cuda.synchronize()
seen = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
networks = [path.name for path in Path("/sys/class/net").iterdir() if int((path / "flags").read_text(), 16) & 1]
print(torch.__version__, torch.version.cuda, seen)
finish(name, json.dumps({
    "uuids": ["GPU-" + str(one.uuid) for one in seen], "uid": os.getuid(), "networks": networks,
    "read_only": bool(os.statvfs("/").f_flag & os.ST_RDONLY), "can": int(status["CapEff"], 16),
    "seccomp": int(status["Seccomp"]),
}).encode())
"""
BUSY = """
import torch
matrix, taken = torch.randn(4096, 4096, device="cuda"), []
product = matrix @ matrix
try:
    while True:
        taken.append(torch.ones(1 << 28, dtype=torch.uint8, device="cuda"))
except torch.OutOfMemoryError:
    print("filled", len(taken), flush=True)
while True:
    torch.mm(matrix, matrix, out=product)
"""


def run(sandbox: Sandbox, program: str, *, slot: Slot | None = None, gpus: int = 1, **fields: Any) -> Report:
    order = sandbox.order(f"{PROGRAM}\n{program}", gpus=gpus, **({"memory_bytes": 4 << 30, "pids": 512} | fields))
    one = sandbox.prepare(order, slot)
    return one.carry_out(sandbox.stage(one))


def run_pytorch(sandbox: Sandbox, *programs: str, **fields: Any) -> Report:
    limits = {"memory_bytes": 16 << 30, "tmp_bytes": 1 << 30, "pids": 512, "startup_seconds": 120, "case_seconds": 120}
    one = sandbox.prepare(sandbox.order(*programs, gpus=1, **(limits | fields)))
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


def test_pytorch_computes_on_the_gpu_as_nobody_in_a_read_only_image_without_a_network(
    sandbox: Sandbox, uuids: list[str], pytorch_image: str
) -> None:
    sandbox.image = pytorch_image
    report = run_pytorch(sandbox, PYTORCH)
    assert statuses(report) == [("finished", None)], (report.fault, report.log)
    found = json.loads(sandbox.output(report))
    assert found == {
        "uuids": uuids[:1], "uid": sandbox.slot.uid, "networks": ["lo"], "read_only": True, "can": 0, "seccomp": 2
    }  # fmt: skip


def test_a_program_that_hangs_with_its_gpu_busy_and_full_is_ended_and_leaves_it_empty(
    sandbox: Sandbox, gpus: Gpus, uuids: list[str], pytorch_image: str
) -> None:
    sandbox.image = pytorch_image
    report = run_pytorch(sandbox, PYTORCH, BUSY, case_seconds=10)
    assert report.fault is None
    assert statuses(report) == [("finished", None), ("failed", "timed_out")], report.log
    assert "filled" in report.log
    assert gpus.expect_empty(uuids[:1])


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


COMPUTES = "\nimport time; cuda = load(); use(cuda); allocate(cuda, 64 * MEBIBYTE); time.sleep(10); raise SystemExit(1)"


LOOK_FROM_WITHIN = """
import sys
from containers.sandbox.gpus import Gpus
from containers.sandbox.nvidia_smi import GpuTrouble, NvidiaSmi
gpus = Gpus(NvidiaSmi(), baseline_bytes=1 << 30, settle_seconds=0)
print(len(gpus.look(sys.argv[1]).users), "programs.", end=" ")
try:
    print(gpus.expect_empty(sys.argv[1:]))
except GpuTrouble as trouble:
    print(f"{trouble.code}: {trouble}")
"""


@pytest.mark.parametrize("beside", [False, True])
def test_a_program_of_somebody_else_that_comes_and_goes_is_told_from_the_containers_own(
    sandbox: Sandbox, held: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    if not sees_host_processes():
        pytest.skip("process numbers here are not the host's")
    monkeypatch.setattr("containers.sandbox.gpus.WATCH_SECONDS", 0.5)
    one = sandbox.prepare(sandbox.order(PROGRAM + COMPUTES, gpus=1, memory_bytes=4 << 30, pids=512))
    staged, reports = sandbox.stage(one), list[Report]()
    thread = threading.Thread(target=lambda: reports.append(one.carry_out(staged)))
    thread.start()
    wait_until(one.was_started)
    if beside:
        with held(64):
            thread.join(4)  # it comes and goes while the other one computes
        assert thread.is_alive()
    thread.join()
    expected = ("gpu_occupied", ("untouched", None)) if beside else (None, ("failed", "crashed"))
    assert (reports[0].fault and reports[0].fault.code, *statuses(reports[0])) == expected, reports[0].log


def test_a_worker_says_at_its_start_what_it_offers_and_runs_a_batch_on_it(
    sandbox: Sandbox,
    host_settings: Settings,
    server: FakeServer,
    gpus: Gpus,
    uuids: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    settings = replace(host_settings, slots=(sandbox.slot,), sandbox=sandbox.settings, nvidia_smi="nvidia-smi")
    agent = Agent(settings, sandbox.engine)
    agent.start()
    try:
        wait_until(lambda: server.hellos and server.hellos[-1].get("gpus"))
        said = server.hellos[-1]["gpus"]
        (gpu,) = gpus.expect_empty(uuids[:1])
        assert (said["driver"], said["cuda"]) == (gpu.driver.driver, gpu.driver.cuda)
        assert said["handover"] == sandbox.settings.gpu_handover
        assert said["devices"] == [{"id": gpu.id, "name": gpu.name, "uuid": gpu.uuid, "memory_bytes": gpu.memory_bytes}]
        assert f"Slot gpu0 offers GPU {gpu.id}: {gpu.name}, {gpu.uuid}, memory " in caplog.text
        limits = {"memory_bytes": 4 << 30, "pids": 512}
        agent.run_batch(server.offer(order_json(f"{PROGRAM}\n{LOOK}", image=sandbox.image, gpus=1, **limits)))
        assert [outcomes(report) for report in server.reports] == [["finished"]]
    finally:
        shut(agent)


def test_where_the_driver_names_no_process_the_memory_in_use_decides(
    held: Callable[..., Any], gpus: Gpus, uuids: list[str]
) -> None:
    """In a process namespace of its own, as a worker in a container has one."""
    if os.geteuid() != 0:
        pytest.skip("only root makes process namespaces")
    looks = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", LOOK_FROM_WITHIN, uuids[0]]
    gpus.expect_empty(uuids[:1])
    with held(2048):
        seen = subprocess.run(looks, capture_output=True, text=True, check=True).stdout
    assert re.match(rf"0 programs. gpu_occupied: \d.\d GB of GPU {uuids[0]} are in use, and none of it by us", seen), (
        seen
    )


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
