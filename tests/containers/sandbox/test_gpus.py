"""What the host sees of its GPUs through the driver's tool, which a stand-in plays."""

import threading
import time
from pathlib import Path

import pytest

from containers.sandbox.gpu_requirements import Driver, unmet
from containers.sandbox.nvidia_smi import GpuTrouble, NvidiaSmi
from tests.containers import nvidia
from tests.containers.conftest import wait_until
from tests.containers.nvidia import PARTS, UUIDS, Card, Part, Process, StandIn


@pytest.fixture
def tool(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path / "driver")


@pytest.fixture
def divided(tool: StandIn) -> StandIn:
    """The first GPU is divided by MIG; under MIG a driver may not tell the memory of the whole."""
    tool.cards[0].parts, tool.cards[0].used = [Part(uuid) for uuid in PARTS], "N/A"
    tool.set()
    return tool


def trouble(tool: StandIn, gpu: str = "0") -> tuple[str, str]:
    """The code and the sentence of what is wrong."""
    with pytest.raises(GpuTrouble) as raised:
        tool.gpus().expect_empty([gpu])
    return raised.value.code, str(raised.value)


# --- Which there are --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v12", "v13"])
def test_a_gpu_is_described(tool: StandIn, version: str) -> None:
    tool.cards[1].version, tool.cards[1].uncorrected = version, 2
    tool.set()
    gpu = tool.gpus().look("1")
    assert (gpu.id, gpu.uuid, gpu.name) == ("1", UUIDS[1], "NVIDIA A100-SXM4-80GB")
    assert (gpu.memory_bytes, gpu.used_bytes, gpu.uncorrected) == (81920 << 20, 4 << 20, 2)
    assert gpu.driver == Driver(cuda="12.4", driver="550.54.15", brand="NVIDIA")


def test_a_real_answer_is_read(tool: StandIn) -> None:
    """That of an H200 under driver 580, idle; only its serial numbers are not its own."""
    tool.set(says=((Path(__file__).parent / "nvidia_smi_h200.xml").read_text(), 0))
    (gpu,) = tool.gpus().expect_empty(["0"])
    assert (gpu.key, gpu.name, gpu.users) == ((UUIDS[0], None), "NVIDIA H200", ())
    assert (gpu.memory_bytes, gpu.used_bytes, gpu.uncorrected) == (143771 << 20, 0, 0)
    assert gpu.driver == Driver(cuda="13.0", driver="580.159.04", brand="NVIDIA")


@pytest.mark.parametrize(("name", "uuid"), [("0", UUIDS[0]), (UUIDS[1], UUIDS[1]), ("GPU-0a1b", UUIDS[1])])
def test_a_gpu_is_found_by_number_uuid_or_the_beginning_of_its_uuid(tool: StandIn, name: str, uuid: str) -> None:
    assert tool.gpus().look(name).uuid == uuid


@pytest.mark.parametrize("name", ["0:1", PARTS[1], f"MIG-{UUIDS[0]}/4/0"])
def test_a_part_of_a_gpu_is_found_by_its_number_or_either_kind_of_uuid(divided: StandIn, name: str) -> None:
    divided.cards[0].parts[1].used = "700 MiB"
    divided.set()
    part = divided.gpus().look(name)
    assert part.key == (UUIDS[0], "1")
    assert (part.memory_bytes, part.used_bytes) == (40448 << 20, 700 << 20)


@pytest.mark.parametrize(
    ("name", "code", "sentence"),
    [
        ("0", "no_gpu_runtime", "GPU 0 is divided by MIG: name its parts in REX_SLOTS"),
        ("0:7", "gpu_lost", "GPU 0:7 has no such part"),
        ("7", "gpu_lost", "No devices were found"),
        ("GPU-ffff", "gpu_lost", "nvidia-smi -L lists no GPU GPU-ffff."),
        ("MIG-", "gpu_lost", "nvidia-smi -L lists several GPUs MIG-."),
    ],
)
def test_what_is_not_there_is_said(divided: StandIn, name: str, code: str, sentence: str) -> None:
    found, said = trouble(divided, name)
    assert (found, sentence in said) == (code, True), said


# --- Whether it is well -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "code"),
    [
        (nvidia.LOST, "gpu_lost"),
        (nvidia.NO_DEVICE, "gpu_lost"),
        (("Unable to determine the device handle for GPU0: 0000:01:00.0: Unknown Error\n", 255), "gpu_lost"),
        (("Unable to determine the device handle for GPU0: 0000:01:00.0: Unknown Error\n", 0), "gpu_lost"),
        (nvidia.NO_DRIVER, "no_gpu_runtime"),
        (nvidia.MISMATCH, "no_gpu_runtime"),
        (("", 1), "no_gpu_runtime"),
        (("<?xml version='1.0' ?><nvidia_smi_log><gpu>", 0), "no_gpu_runtime"),
        (("something new\n", 0), "no_gpu_runtime"),
    ],
)
def test_a_failure_of_the_tool_is_a_lost_gpu_or_a_driver_that_does_not_work(
    tool: StandIn, says: tuple[str, int], code: str
) -> None:
    tool.set(says=says)
    found, said = trouble(tool)
    assert found == code
    assert said.startswith("nvidia-smi says: ")
    assert says[0].splitlines()[0][:80] in said if says[0].strip() else "exit code 1" in said


@pytest.mark.parametrize("word", ["GPU is lost", "[GPU is lost]", "Unknown Error", "ERR!"])
def test_a_gpu_that_is_lost_among_others_is_told_in_place_of_a_number(tool: StandIn, word: str) -> None:
    tool.cards[0].used = word
    tool.set()
    assert trouble(tool)[0] == "gpu_lost"
    assert tool.gpus().look("1").uuid == UUIDS[1]


@pytest.mark.parametrize(
    "reset",
    [
        "<gpu_reset_status><reset_required>Yes</reset_required></gpu_reset_status>",
        "<gpu_recovery_action>Reset</gpu_recovery_action>",
        "<gpu_recovery_action>Reboot</gpu_recovery_action>",
    ],
)
def test_a_gpu_that_has_to_be_reset_takes_no_work(tool: StandIn, reset: str) -> None:
    tool.cards[0].reset = reset
    tool.set()
    code, said = trouble(tool)
    assert (code, "GPU 0 has to be reset" in said) == ("gpu_lost", True)


@pytest.mark.parametrize("reset", ["<gpu_recovery_action>None</gpu_recovery_action>", ""])
def test_a_gpu_whose_repaired_memory_waits_for_a_reset_goes_on(tool: StandIn, reset: str) -> None:
    """The stand-in says `remapped_row_pending` throughout: NVIDIA lets such a GPU work until it is convenient."""
    tool.cards[0].reset = reset
    tool.set()
    assert tool.gpus().expect_empty(["0", "1"])


def test_a_damaged_inforom_is_a_warning_beside_a_whole_answer(tool: StandIn) -> None:
    warning = "WARNING: infoROM is corrupted at gpu 0000:81:00.0\n"
    tool.set(says=(warning + Card(UUIDS[0]).xml + warning, 14))
    assert tool.gpus().look("0").uuid == UUIDS[0]


def test_a_tool_that_is_not_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(GpuTrouble, match="REX_NVIDIA_SMI") as raised:
        NvidiaSmi(str(tmp_path / "nowhere")).describe("0")
    assert raised.value.code == "no_gpu_runtime"


def test_a_tool_that_hangs_is_killed_and_the_gpu_counts_as_lost(tool: StandIn) -> None:
    tool.set(hang=600)
    began = time.monotonic()
    with pytest.raises(GpuTrouble, match=r"did not answer within 0\.5 s") as raised:
        tool.gpus(seconds=0.5).look("0")
    assert raised.value.code == "gpu_lost"
    assert time.monotonic() - began < 60
    tool.set(hang=0)
    assert tool.gpus(seconds=20).look("0").uuid == UUIDS[0]


def test_a_tool_that_the_kernel_does_not_let_go_is_not_started_again_until_it_has_ended(
    tool: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing here can be made to hang in a driver: the kill is left out instead."""
    monkeypatch.setattr("subprocess.Popen.kill", lambda process: None)
    monkeypatch.setattr("containers.sandbox.nvidia_smi._KILL_SECONDS", 0.05)
    smi = NvidiaSmi(str(tool.program), seconds=0.5)
    tool.set(hang=6)
    with pytest.raises(GpuTrouble, match="did not answer"):
        smi.describe("0")
    wait_until(lambda: tool.questions() == ["-q -x -i 0"])
    with pytest.raises(GpuTrouble, match="hangs in the driver"):
        smi.describe("0")
    assert tool.questions() == ["-q -x -i 0"]
    tool.set(hang=0)
    wait_until(lambda: all(process.poll() is not None for process in smi._hanging.values()))
    patient = NvidiaSmi(str(tool.program))
    patient._hanging = smi._hanging
    assert patient.describe("0").find("gpu") is not None


# --- Whether it is empty ----------------------------------------------------------------------------------------------


def test_another_program_that_computes_is_named(tool: StandIn) -> None:
    tool.cards[0].processes = [Process("/usr/bin/python3", pid=99)]
    tool.set()
    code, said = trouble(tool)
    assert code == "gpu_occupied"
    assert said == "GPU 0 is in use by another program: /usr/bin/python3 (process 99, 300 MiB)."


def test_a_desktop_and_the_drivers_own_need_are_no_obstacle(tool: StandIn) -> None:
    tool.cards[0].processes, tool.cards[0].used = [Process("/usr/lib/xorg/Xorg", kind="G")], "1024 MiB"
    tool.set()
    assert tool.gpus().expect_empty(["0"])


def test_memory_in_use_is_an_obstacle_also_where_no_program_is_seen(tool: StandIn) -> None:
    """As in a container without the host's processes."""
    tool.cards[0].used = "1025 MiB"
    tool.set()
    code, said = trouble(tool)
    assert code == "gpu_occupied"
    assert said == "1.1 GB of GPU 0 are in use, and none of it by us (REX_GPU_BASELINE: 1.1 GB)."
    assert tool.gpus(baseline_bytes=1025 << 20).expect_empty(["0"])


def test_what_has_just_ended_gets_a_moment_to_give_its_memory_back(tool: StandIn) -> None:
    tool.cards[0].used = "70000 MiB"
    tool.set()
    gpus = tool.gpus(settle_seconds=60)
    asked = len(tool.questions())

    def free() -> None:
        wait_until(lambda: len(tool.questions()) > asked + 1)
        tool.cards[0].used = "4 MiB"
        tool.set()

    thread = threading.Thread(target=free)
    thread.start()
    assert gpus.expect_empty(["0"])[0].used_bytes == 4 << 20
    thread.join()


def test_a_neighbour_on_another_part_of_the_same_gpu_is_none_of_ours(divided: StandIn) -> None:
    divided.cards[0].processes = [Process("python", instance="4", used="30000 MiB")]
    divided.cards[0].parts[1].used = "30000 MiB"
    divided.set()
    assert divided.gpus().expect_empty(["0:0"])
    assert trouble(divided, "0:1")[0] == "gpu_occupied"


# --- What an image needs ----------------------------------------------------------------------------------------------

CUDA_12_9 = (
    "NVIDIA_REQUIRE_CUDA=cuda>=12.9 brand=unknown,driver>=535,driver<536 brand=tesla,driver>=535,driver<536 "
    "brand=nvidia,driver>=535,driver<536 brand=nvidiartx,driver>=535,driver<536 brand=nvidia,driver>=550,driver<551"
)


@pytest.mark.parametrize(
    ("environment", "driver", "condition"),
    [
        ([CUDA_12_9], Driver("12.9", "575.57.08", "NVIDIA"), None),
        ([CUDA_12_9], Driver("13.1", "590.44.01", "NVIDIA"), None),
        ([CUDA_12_9], Driver("12.4", "550.54.15", "NVIDIA"), None),  # its forward compatibility package suits it
        ([CUDA_12_9], Driver("12.2", "535.54.03", "NVIDIA RTX"), None),
        ([CUDA_12_9], Driver("12.2", "535.54.03", "GeForce"), "cuda>=12.9"),
        ([CUDA_12_9], Driver("12.6", "560.35.03", "NVIDIA"), "cuda>=12.9"),
        ([CUDA_12_9], Driver(), None),  # nothing is known: the toolkit has the last word
        ([], Driver("10.0", "410.48", "Tesla"), None),
        (["CUDA_VERSION=12.9.1"], Driver("12.4", "550.54.15", "NVIDIA"), "cuda>=12.9"),  # an image of the old kind
        (["CUDA_VERSION=12.9.1", "NVIDIA_REQUIRE_CUDA=cuda>=12.0"], Driver("12.4", "550.54.15", "NVIDIA"), None),
        (["CUDA_VERSION=12.4.1"], Driver("12.4", "550.54.15", "NVIDIA"), None),
        (["NVIDIA_REQUIRE_X=driver>=570", "NVIDIA_REQUIRE_CUDA=cuda>=12"], Driver("12.4", "550.1", ""), "driver>=570"),
        (["NVIDIA_REQUIRE_CUDA=CUDA>=12.9"], Driver("12.4", "550.54.15", "NVIDIA"), "cuda>=12.9"),
        (["NVIDIA_REQUIRE_CUDA=arch>=9.0 nonsense cuda>=99"], Driver("12.4", "550.54.15", "NVIDIA"), None),
        (["NVIDIA_REQUIRE_CUDA="], Driver("12.4", "550.54.15", "NVIDIA"), None),
        (["NVIDIA_DISABLE_REQUIRE=true", "NVIDIA_REQUIRE_CUDA=cuda>=99"], Driver("12.4", "5", "NVIDIA"), "cuda>=99"),
        (["NVIDIA_REQUIRE_CUDA=cuda>=9999999999999999999999"], Driver("12.4", "5", ""), None),  # no version at all
    ],
)  # fmt: skip
def test_an_images_requirement_is_compared_with_the_driver(
    environment: list[str], driver: Driver, condition: str | None
) -> None:
    variables = dict(entry.split("=", 1) for entry in environment)
    assert unmet(variables, driver) == condition
