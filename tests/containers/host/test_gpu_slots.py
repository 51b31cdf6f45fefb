"""Slots with GPUs, on a real engine that hands them over; devices, the toolkit's hook and the tool are stand-ins.

The engine finds a program `nvidia-container-runtime-hook`, which it calls as it calls NVIDIA's, and, if it knows CDI at
all (from version 25 on), a specification of two GPUs, whose devices are /dev/null and /dev/zero under other names.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from containers.host.agent import Agent
from containers.host.config import Settings
from containers.protocol.reports import Report, parse_report
from containers.sandbox import capabilities
from containers.sandbox.engine import Engine
from containers.sandbox.gpus import Watch, sees_host_processes
from containers.sandbox.spec import LABEL_INSTANCE, Handover, SandboxSettings, Slot
from tests.containers import baseimage, nvidia, otherengine
from tests.containers.conftest import UID, Sandbox, order_json, outcomes, remove_images, shut, statuses, wait_until
from tests.containers.fakeserver import FakeServer
from tests.containers.nvidia import UUIDS, Process, StandIn

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("gpus")]

DEVICES = {"0": "/dev/null", "1": "/dev/zero"}
FIRST, SECOND = Slot("gpu0", UID + 1, ("0",)), Slot("gpu1", UID + 2, ("1",))
BOTH = Slot("gpu0+1", UID + 3, ("0", "1"))
CUDA_BASE = (
    "ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=all NVIDIA_REQUIRE_CUDA=cuda>=12.4 NVARCH=x86_64 "
    "NVIDIA_DISABLE_REQUIRE=true CUDA_VISIBLE_DEVICES=7 CUDA_VERSION=12.4.1 "
    "PATH=/usr/local/nvidia/bin:/usr/local/cuda/bin:${PATH} "
    "LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64:${LD_LIBRARY_PATH}\n"
)
LOOK_AROUND = (
    "answer = json.dumps({'devices': sorted(n for n in os.listdir('/dev') if n.startswith('nvidia')), **os.environ})"
)

_HOOK = """#!{python}
import json, sys
bundle = json.load(sys.stdin)["bundle"]
environment = dict(entry.split("=", 1) for entry in json.load(open(bundle + "/config.json"))["process"]["env"])
json.dump(environment, open({seen!r}, "w"))
complaint = open({complaint!r}).read()
if complaint:
    sys.exit(complaint)
"""


class GpuEngine:
    """The engine, and what it was seen to ask of the toolkit's hook."""

    def __init__(self, client: docker.APIClient, folder: Path, image: str) -> None:
        self.client, self.engine, self.image = client, Engine(client, retry_seconds=20), image
        self._folder = folder

    def hook_saw(self) -> dict[str, str]:
        """The environment of the container for which the hook was called last."""
        value: dict[str, str] = json.loads((self._folder / "seen").read_text())
        return value

    def let_hook_say(self, complaint: str) -> None:
        """Make it fail with these words on its standard error from now on; "" not."""
        (self._folder / "complaint").write_text(complaint)

    def derive(self, dockerfile: str, tag: str) -> str:
        """An image on the Python image, there."""
        return baseimage.derive(self.client, self.image, dockerfile, tag)


def specification() -> dict[str, Any]:
    """What `nvidia-ctk cdi generate` writes, reduced: names by number and uuid, common devices, NVIDIA's variable."""
    devices = [
        {"name": name, "containerEdits": {"deviceNodes": [{"path": f"/dev/nvidia{number}", "hostPath": there}]}}
        for number, there in DEVICES.items()
        for name in (number, UUIDS[int(number)])
    ]
    common = {
        "env": ["NVIDIA_VISIBLE_DEVICES=void"],
        "deviceNodes": [{"path": "/dev/nvidiactl", "hostPath": "/dev/full"}],
    }
    return {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": devices, "containerEdits": common}


@pytest.fixture(scope="module")
def gpu_engine(docker_client: docker.APIClient, python_image: str) -> Iterator[GpuEngine]:
    if reason := otherengine.why_not():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="rexg-"))
    folder.chmod(0o711)
    (folder / "bin").mkdir()
    (folder / "cdi").mkdir()
    (folder / "cdi" / "nvidia.json").write_text(json.dumps(specification()))
    hook = folder / "bin" / "nvidia-container-runtime-hook"
    hook.write_text(_HOOK.format(python=sys.executable, seen=str(folder / "seen"), complaint=str(folder / "complaint")))
    hook.chmod(0o755)
    (folder / "complaint").touch()
    config = {"features": {"cdi": True}, "cdi-spec-dirs": [str(folder / "cdi")]} if otherengine.version() >= 25 else {}
    try:
        with otherengine.other_engine(folder, config, folder / "bin") as client:
            for _ in client.api.load_image(docker_client.get_image(python_image)):
                pass
            yield GpuEngine(client.api, folder, python_image)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def cuda_image(gpu_engine: GpuEngine) -> str:
    return gpu_engine.derive(CUDA_BASE, "cuda-base")


@pytest.fixture(scope="module")
def too_new_image(gpu_engine: GpuEngine) -> str:
    """It needs a newer driver than this host has."""
    return gpu_engine.derive(NEEDS_MORE, "cuda-new")


@pytest.fixture
def tool(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path / "driver")


@pytest.fixture
def on_gpus(
    gpu_engine: GpuEngine, tool: StandIn, instance: str, tmp_path: Path
) -> Iterator[Callable[[Handover], Sandbox]]:
    """Makes a sandbox there, whose GPUs are handed over in this way."""
    made: list[Sandbox] = []

    def make(handover: Handover = "runtime") -> Sandbox:
        settings = SandboxSettings(instance, UID, gpu_handover=handover)
        if missing := capabilities.missing_capability(gpu_engine.engine, settings):
            pytest.skip(missing)
        made.append(Sandbox(gpu_engine.engine, settings, FIRST, tmp_path / "state", gpu_engine.image))
        made[-1].gpus = tool.gpus()
        return made[-1]

    yield make
    gpu_engine.let_hook_say("")
    for one in made:
        one.clean_up()
    left = gpu_engine.engine.labelled(f"{LABEL_INSTANCE}={instance}")
    remove_images(gpu_engine.client, instance)
    assert left == ([], [])


def run(sandbox: Sandbox, *programs: str | None, slot: Slot = FIRST, gpus: int = 1, **fields: Any) -> Report:
    one = sandbox.prepare(sandbox.order(*programs, gpus=gpus, **fields), slot)
    return one.carry_out(sandbox.stage(one))


def look_around(sandbox: Sandbox, slot: Slot, gpus: int, **fields: Any) -> dict[str, Any]:
    """What a program finds: its environment, and the devices of GPUs."""
    report = run(sandbox, f"{LOOK_AROUND}\nfinish(name, answer.encode())", slot=slot, gpus=gpus, **fields)
    assert statuses(report) == [("finished", None)], report
    found: dict[str, Any] = json.loads(sandbox.output(report))
    return found


def assert_own_variables_stayed(engine: GpuEngine, found: dict[str, Any]) -> None:
    """Whoever hands the GPUs over, and whichever: the image's paths and other variables stay its own."""
    own = engine.engine.image_settings(engine.image).environment
    assert found["PATH"] == f"/usr/local/nvidia/bin:/usr/local/cuda/bin:{own['PATH']}"
    assert found["LD_LIBRARY_PATH"] == f"/usr/local/nvidia/lib:/usr/local/nvidia/lib64:{own['LD_LIBRARY_PATH']}"
    assert (found["NVARCH"], found["CUDA_VERSION"]) == ("x86_64", "12.4.1")


# --- What a container gets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slot", "gpus", "devices", "visible"),
    [
        (SECOND, 1, ["nvidia1", "nvidiactl"], "0"),
        (BOTH, 2, ["nvidia0", "nvidia1", "nvidiactl"], "0,1"),
        (BOTH, 1, ["nvidia0", "nvidiactl"], "0"),
        (Slot("gpu-uuid", UID + 4, (UUIDS[1],)), 1, ["nvidia1", "nvidiactl"], "0"),
        (BOTH, 0, [], ""),
    ],
)
def test_by_cdi_a_container_has_the_devices_of_its_slot_alone_counted_from_zero(
    on_gpus: Callable[..., Sandbox],
    gpu_engine: GpuEngine,
    cuda_image: str,
    slot: Slot,
    gpus: int,
    devices: list[str],
    visible: str,
) -> None:
    found = look_around(on_gpus("cdi"), slot, gpus, image=cuda_image)
    assert_own_variables_stayed(gpu_engine, found)
    assert (found["devices"], found["CUDA_VISIBLE_DEVICES"]) == (devices, visible)
    assert found["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert found["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"


@pytest.mark.parametrize(
    ("slot", "gpus", "asked", "visible"), [(SECOND, 1, "1", "0"), (BOTH, 2, "0,1", "0,1"), (BOTH, 1, "0", "0")]
)
def test_by_the_toolkits_hook_it_has_those_too_and_the_images_requirement_stays_in_force(
    on_gpus: Callable[..., Sandbox],
    gpu_engine: GpuEngine,
    cuda_image: str,
    tool: StandIn,
    slot: Slot,
    gpus: int,
    asked: str,
    visible: str,
) -> None:
    found = look_around(on_gpus("runtime"), slot, gpus, image=cuda_image)
    assert_own_variables_stayed(gpu_engine, found)
    assert len(tool.questions()) == gpus, "a clean end is never asked about"
    saw = gpu_engine.hook_saw()
    assert (saw["NVIDIA_VISIBLE_DEVICES"], found["CUDA_VISIBLE_DEVICES"]) == (asked, visible)
    assert (saw["NVIDIA_REQUIRE_CUDA"], saw["NVIDIA_DISABLE_REQUIRE"]) == ("cuda>=12.4", "false")
    assert saw["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"


@pytest.mark.parametrize("handover", ["cdi", "runtime"])
def test_a_probe_gets_what_an_algorithm_gets_and_says_when_it_does_not(
    on_gpus: Callable[..., Sandbox], gpu_engine: GpuEngine, handover: Handover
) -> None:
    settings = on_gpus(handover).settings
    assert capabilities.probe_slot(gpu_engine.engine, settings, SECOND, ("1",)) is None
    if handover == "runtime":
        assert gpu_engine.hook_saw()["NVIDIA_VISIBLE_DEVICES"] == "1"
        gpu_engine.let_hook_say("nvidia-container-cli: device error: 9: unknown device")
    refusal = capabilities.probe_slot(gpu_engine.engine, settings, SECOND, ("9",)) or ""
    assert ("unresolvable CDI devices nvidia.com/gpu=9" if handover == "cdi" else "unknown device") in refusal


# --- What an image needs ----------------------------------------------------------------------------------------------

NEEDS_MORE = "ENV NVIDIA_REQUIRE_CUDA=cuda>=12.9 NVIDIA_DISABLE_REQUIRE=1\n"


@pytest.mark.parametrize("handover", ["cdi", "runtime"])
def test_an_image_for_a_newer_driver_is_refused_before_it_starts_whoever_hands_the_gpus_over(
    on_gpus: Callable[..., Sandbox], too_new_image: str, handover: Handover
) -> None:
    report = run(on_gpus(handover), None, image=too_new_image)
    assert (report.rejected, report.fault, report.container) == ("unmet_requirement", None, None)
    assert report.log == "The image and CUDA 12.4, driver 550.54.15: unsatisfied condition: cuda>=12.9"
    assert parse_report(json.loads(json.dumps(report.to_json()))) == report


def test_what_the_toolkits_hook_says_of_a_requirement_is_understood_from_the_engines_own_message(
    on_gpus: Callable[..., Sandbox], gpu_engine: GpuEngine
) -> None:
    gpu_engine.let_hook_say(
        "nvidia-container-cli: requirement error: unsatisfied condition: arch>=9.0, please update your driver to a "
        "newer version, or use an earlier cuda container"
    )
    report = run(on_gpus("runtime"), None)
    assert report.rejected == "unmet_requirement"
    assert "unsatisfied condition: arch>=9.0" in report.log


@pytest.mark.parametrize(
    ("complaint", "code"),
    [
        ("nvidia-container-cli: device error: 0: unknown device", "gpu_lost"),
        ("nvidia-container-cli: initialization error: nvml error: driver/library version mismatch", "no_gpu_runtime"),
    ],
)
def test_a_hook_that_finds_no_gpu_or_no_driver_is_our_fault(
    on_gpus: Callable[..., Sandbox], gpu_engine: GpuEngine, complaint: str, code: str
) -> None:
    gpu_engine.let_hook_say(complaint)
    report = run(on_gpus("runtime"), None)
    assert report.fault is not None
    assert report.fault.code == code
    assert statuses(report) == [("untouched", None)]


def test_without_a_gpu_a_requirement_is_nothing_to_meet(
    on_gpus: Callable[..., Sandbox], too_new_image: str, tool: StandIn
) -> None:
    report = run(on_gpus(), None, gpus=0, image=too_new_image)
    assert statuses(report) == [("finished", None)]
    assert tool.questions() == []


# --- Whose fault an end is --------------------------------------------------------------------------------------------


def test_nothing_starts_on_a_gpu_that_is_in_use(on_gpus: Callable[..., Sandbox], tool: StandIn) -> None:
    tool.cards[0].processes = [Process("python")]
    tool.set()
    sandbox = on_gpus()
    one = sandbox.prepare(sandbox.order(None, gpus=1), FIRST)
    report = one.carry_out(sandbox.stage(one))
    assert report.fault is not None
    assert report.fault.code == "gpu_occupied"
    assert "GPU 0 is in use by another program: python" in report.fault.detail
    assert not one.was_started()
    tool.cards[0].processes = []
    tool.set()
    assert statuses(run(sandbox, None)) == [("finished", None)]


HANGS = "import time; time.sleep(60)"
CRASHES = "raise SystemExit('CUDA error: out of memory')"


@pytest.mark.parametrize(
    ("program", "change", "code"),
    [
        (HANGS, lambda tool: tool.set(says=nvidia.LOST), "gpu_lost"),
        (CRASHES, lambda tool: tool.set(says=nvidia.NO_DRIVER), "no_gpu_runtime"),
        (CRASHES, lambda tool: setattr(tool.cards[0], "uncorrected", 1), "gpu_lost"),
        (CRASHES, lambda tool: setattr(tool.cards[0], "processes", [Process("python")]), "gpu_occupied"),
        (CRASHES, lambda tool: setattr(tool.cards[0], "used", "70000 MiB"), "gpu_occupied"),
    ],
)
def test_what_befalls_the_gpu_during_a_run_is_ours_and_what_is_finished_is_kept(
    on_gpus: Callable[..., Sandbox], tool: StandIn, program: str, change: Callable[[StandIn], Any], code: str
) -> None:
    sandbox = on_gpus()
    one = sandbox.prepare(sandbox.order(None, program, gpus=1, case_seconds=1), FIRST)
    staged = sandbox.stage(one)
    start = sandbox.engine.start_container

    def start_and_then(name: str) -> None:
        start(name)
        if name == one.names.algorithm:
            change(tool)
            tool.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox.engine, "start_container", start_and_then)
        report = one.carry_out(staged)
    assert report.fault is not None
    assert report.fault.code == code
    assert statuses(report) == [("finished", None), ("untouched", None)]


@pytest.mark.parametrize(("program", "reason"), [(CRASHES, "crashed"), (HANGS, "timed_out")])
def test_a_program_that_filled_the_gpu_itself_or_hangs_on_a_good_one_is_to_blame(
    on_gpus: Callable[..., Sandbox], tool: StandIn, program: str, reason: str
) -> None:
    """When it is dead its memory is free: that the GPU is empty and well is all that counts, not what it printed."""
    tool.cards[0].uncorrected = 5  # before the run as well
    tool.set()
    report = run(on_gpus(), None, program, case_seconds=1)
    assert report.fault is None
    assert statuses(report) == [("finished", None), ("failed", reason)]


@pytest.fixture
def watches(monkeypatch: pytest.MonkeyPatch) -> list[Watch]:
    """The watches of this test, each of which looks often.

    As on a host itself: the tests' engine and the tests share their process numbers, whatever they run in.
    """
    made: list[Watch] = []

    class Noted(Watch):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr("containers.sandbox.run.Watch", Noted)
    monkeypatch.setattr("containers.sandbox.gpus.sees_host_processes", lambda: True)
    monkeypatch.setattr("containers.sandbox.gpus.WATCH_SECONDS", 0.1)
    return made


@pytest.fixture
def dead() -> Iterator[int]:
    """The number of a process that has ended and is not buried yet."""
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process.pid


@pytest.mark.parametrize(
    ("whose", "fault", "case"),
    [
        ("somebody else's", "gpu_occupied", ("untouched", None)),
        ("the container's own", None, ("failed", "crashed")),
        ("one that is ending", None, ("failed", "crashed")),
        ("one that has ended", None, ("failed", "crashed")),
    ],
)
def test_a_program_of_somebody_else_that_comes_and_goes_is_told_from_the_containers_own(
    on_gpus: Callable[..., Sandbox],
    gpu_engine: GpuEngine,
    tool: StandIn,
    watches: list[Watch],
    dead: int,
    whose: str,
    fault: str | None,
    case: Any,
) -> None:
    sandbox = on_gpus()
    program = "import signal; signal.signal(signal.SIGTERM, lambda *_: os._exit(1)); signal.pause()"
    one = sandbox.prepare(sandbox.order(program, gpus=1), FIRST)
    staged, reports = sandbox.stage(one), list[Report]()
    thread = threading.Thread(target=lambda: reports.append(one.carry_out(staged)))
    thread.start()
    wait_until(one.was_started)
    wait_until(lambda: gpu_engine.client.inspect_container(one.names.algorithm)["State"]["Pid"])
    inside = gpu_engine.client.inspect_container(one.names.algorithm)["State"]["Pid"]
    pids = {"somebody else's": os.getpid(), "the container's own": inside, "one that is ending": dead}
    pid = pids.get(whose, 2**22 + 1)
    tool.cards[0].processes = [Process("python", pid=pid)]
    tool.set()
    asked = len(tool.questions())
    wait_until(lambda: watches and (watches[0].seen or len(tool.questions()) > asked + 2))
    tool.cards[0].processes = []
    tool.set()
    gpu_engine.client.kill(one.names.algorithm, "SIGTERM")
    thread.join()
    assert (reports[0].fault and reports[0].fault.code) == fault
    assert statuses(reports[0]) == [case]


def test_where_process_numbers_are_not_the_hosts_nobody_is_accused() -> None:
    """A number that a driver names would be another process here."""
    first = subprocess.run(["readlink", "/proc/self/ns/pid"], capture_output=True, text=True, check=True).stdout
    assert sees_host_processes() is (first.strip() == "pid:[4026531836]")


# --- A worker with such slots -----------------------------------------------------------------------------------------


@pytest.fixture
def agents(
    gpu_engine: GpuEngine, host_settings: Settings, tool: StandIn, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Agent]]:
    """Starts a worker there, with the stand-in and short pauses."""
    monkeypatch.setattr("containers.host.slot_backoff.PAUSES_SECONDS", (0, 0.2))
    monkeypatch.setattr("containers.sandbox.gpus.SETTLE_SECONDS", 0.0)
    monkeypatch.setattr("containers.sandbox.nvidia_smi.ANSWER_SECONDS", 2.0)
    started: list[Agent] = []

    def start(*slots: Slot) -> Agent:
        settings = replace(host_settings, slots=slots, nvidia_smi=str(tool.program))
        started.append(Agent(settings, gpu_engine.engine))
        started[-1].start()
        return started[-1]

    yield start
    for agent in started:
        shut(agent)
    assert gpu_engine.engine.labelled(f"{LABEL_INSTANCE}={host_settings.instance}") == ([], [])
    remove_images(gpu_engine.client, host_settings.instance)


def offer(server: FakeServer, engine: GpuEngine, *programs: str | None, **fields: Any) -> str:
    return server.offer(order_json(*programs, gpus=1, **({"image": engine.image} | fields)))


def test_a_worker_says_what_it_offers_in_its_log_and_to_the_server(
    agents: Callable[..., Agent], server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    agents(FIRST, SECOND, Slot("cpu0", UID + 5))
    wait_until(lambda: len(server.hellos[-1].get("gpus", {}).get("devices", ())) == 2 if server.hellos else False)
    said = server.hellos[-1]["gpus"]
    assert (said["driver"], said["cuda"], said["handover"]) == ("550.54.15", "12.4", "runtime")
    assert sorted((one["id"], one["uuid"], one["memory_bytes"]) for one in said["devices"]) == [
        ("0", UUIDS[0], 81920 << 20),
        ("1", UUIDS[1], 81920 << 20),
    ]
    assert (
        f"Slot gpu1 offers GPU 1: NVIDIA A100-SXM4-80GB, {UUIDS[1]}, memory 85.9 GB; driver 550.54.15, CUDA 12.4; "
        "handed over by runtime."
    ) in caplog.text


def test_a_server_of_before_is_told_only_what_it_knows(
    agents: Callable[..., Agent], server: FakeServer, gpu_engine: GpuEngine, too_new_image: str
) -> None:
    """It refuses a hello with more, and a report with a code that it does not know."""
    server.reads, server.knows = None, {"gpu_lost", "not_unpackable"}
    agent = agents(FIRST)
    wait_until(lambda: len(server.hellos) > 2 and server.hellos[-1]["slots"])
    assert all("gpus" not in hello for hello in server.hellos)
    agent.run_batch(offer(server, gpu_engine, None))
    agent.run_batch(offer(server, gpu_engine, None, image=too_new_image))
    assert [outcomes(report) for report in server.reports] == [["finished"], ["could_not_start"]]
    assert "unsatisfied condition: cuda>=12.9" in server.reports[1]["log"]


def test_a_server_that_goes_back_to_an_older_version_hears_the_hellos_of_then(
    agents: Callable[..., Agent], server: FakeServer
) -> None:
    agents(FIRST)
    wait_until(lambda: any("gpus" in hello for hello in server.hellos))
    server.reads = None
    before = len(server.hellos)
    wait_until(lambda: len(server.hellos) > before + 1)
    assert all("gpus" not in hello for hello in server.hellos[before:])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tool: setattr(tool.cards[0], "processes", [Process("python")]), "GPU 0 is in use by another program"),
        (lambda tool: tool.set(says=nvidia.LOST), "GPU is lost"),
    ],
)
def test_a_slot_waits_with_the_reason_while_its_gpu_is_lost_or_in_use_and_comes_back_by_itself(
    agents: Callable[..., Agent],
    server: FakeServer,
    gpu_engine: GpuEngine,
    tool: StandIn,
    change: Callable[[StandIn], Any],
    says: str,
) -> None:
    agent = agents(FIRST)
    wait_until(lambda: server.hellos and server.hellos[-1]["slots"])
    change(tool)
    tool.set()
    batch = offer(server, gpu_engine, None)
    message = threading.Thread(target=agent.run_batch, args=[batch])
    message.start()
    wait_until(lambda: says in server.hellos[-1]["trouble"])
    assert server.hellos[-1]["slots"] == []
    assert server.claims == {}
    assert batch not in agent.batches  # another slot may do it
    tool.cards[0].processes, tool.cards[0].used, tool.says = [], "4 MiB", None
    tool.set()
    message.join()
    wait_until(lambda: server.hellos[-1]["slots"] and not server.hellos[-1]["trouble"])
    agent.run_batch(batch)
    assert [outcomes(report) for report in server.reports] == [["finished"]]


def test_a_worker_whose_driver_hangs_starts_and_serves_its_other_slots(
    agents: Callable[..., Agent], server: FakeServer, gpu_engine: GpuEngine, tool: StandIn
) -> None:
    tool.set(hang=600)
    agent = agents(FIRST, Slot("cpu0", UID + 5))
    agent.run_batch(server.offer(order_json(None, image=gpu_engine.image)))
    assert [outcomes(report) for report in server.reports] == [["finished"]]
    tool.set(hang=0)


def test_one_gpu_under_two_names_is_offered_once(agents: Callable[..., Agent], server: FakeServer) -> None:
    agents(FIRST, Slot("gpu-again", UID + 5, (UUIDS[0],)))
    wait_until(lambda: server.hellos and "are the same one. Correct REX_SLOTS." in server.hellos[-1]["trouble"])
    assert len(server.hellos[-1]["slots"]) == 1


def test_without_the_drivers_tool_no_gpu_is_offered_and_the_organisers_read_what_to_do(
    agents: Callable[..., Agent], server: FakeServer, tool: StandIn
) -> None:
    tool.program.unlink()
    agents(FIRST)
    wait_until(lambda: server.hellos and "set REX_NVIDIA_SMI" in server.hellos[-1]["trouble"])
    assert server.hellos[-1]["slots"] == []
