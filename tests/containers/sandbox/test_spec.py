"""Every security property on the container that the engine made of our configuration."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from containers.protocol.orders import MEBIBYTE, Weights, parse_order
from containers.sandbox import spec
from containers.sandbox.image_settings import ImageSettings
from containers.sandbox.kernel_view import KernelView, kernel_view
from containers.sandbox.spec import SandboxSettings, Slot
from tests.containers.conftest import LIMITS, UID, Sandbox, order_json

pytestmark = pytest.mark.engine


@pytest.fixture
def created(sandbox: Sandbox, docker_client: docker.APIClient) -> Any:
    """Creates, without starting it, an algorithm's container and returns what the engine says about it."""

    def create(
        slot: Slot | None = None, *, gpus: int = 0, volumes: tuple[str, ...] = (), weights: Weights | None = None
    ) -> dict[str, Any]:
        run = sandbox.prepare(replace(sandbox.order(None, None, gpus=gpus), weights=weights), slot)
        sandbox.engine.create_volume(spec.output_volume(run.order, run.settings))
        image = replace(sandbox.engine.image_settings(sandbox.image), volumes=volumes)
        staged = sandbox.stage(run)
        if weights:
            run.folder.model.mkdir()
        kernel = kernel_view(run.order.limits.memory_bytes, gpus=gpus > 0)
        support = run.folder.add_support(spec.support_files(run.slot, image, kernel))
        folders = spec.Folders(staged, support, run.folder.model if run.order.weights else None)
        config = spec.algorithm(run.order, run.slot, run.settings, folders, image, kernel)
        sandbox.engine.create_container(run.names.algorithm, config)
        value: dict[str, Any] = docker_client.inspect_container(run.names.algorithm)
        return value

    return create


@pytest.fixture
def inspected(created: Any) -> dict[str, Any]:
    value: dict[str, Any] = created()
    return value


@pytest.fixture
def host_config(inspected: dict[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = inspected["HostConfig"]
    return value


def _environment(inspected: dict[str, Any]) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in inspected["Config"]["Env"])


def test_the_user_is_the_slots_own(inspected: dict[str, Any]) -> None:
    assert inspected["Config"]["User"] == f"{UID + 1}:{UID + 1}"


def test_there_is_no_network(host_config: dict[str, Any]) -> None:
    assert host_config["NetworkMode"] == "none"


def test_the_engine_has_no_network_to_set_up(inspected: dict[str, Any]) -> None:
    assert inspected["Config"]["NetworkDisabled"] is True
    assert (inspected["HostsPath"], inspected["ResolvConfPath"]) == ("", "")


def test_the_root_is_read_only_and_without_privilege(host_config: dict[str, Any]) -> None:
    assert host_config["ReadonlyRootfs"] is True
    assert host_config["Privileged"] is False
    assert host_config["CapDrop"] == ["ALL"]
    assert host_config["CapAdd"] is None
    assert host_config["Devices"] in (None, [])
    assert "no-new-privileges=true" in host_config["SecurityOpt"]


def test_the_system_call_filter_is_our_own(host_config: dict[str, Any]) -> None:
    assert f"seccomp={spec.SECCOMP_PROFILE}" in host_config["SecurityOpt"]


@pytest.mark.parametrize("path", ["/proc/keys", "/proc/kcore", "/sys/firmware"])
def test_the_engines_masked_paths_stay_masked(host_config: dict[str, Any], path: str) -> None:
    assert path in host_config["MaskedPaths"]


def test_memory_is_raised_by_every_memory_backed_folder_and_there_is_no_swap(host_config: dict[str, Any]) -> None:
    expected = sum(LIMITS[name] for name in ("memory_bytes", "shm_bytes", "tmp_bytes", "output_bytes"))
    assert host_config["Memory"] == expected
    assert host_config["MemorySwap"] == expected


def test_processes_and_processors_are_limited(host_config: dict[str, Any]) -> None:
    assert host_config["PidsLimit"] == LIMITS["pids"]
    assert host_config["NanoCpus"] == LIMITS["cpus"] * 1e9


def test_shared_memory_is_private_and_sized(host_config: dict[str, Any]) -> None:
    assert host_config["IpcMode"] == "private"
    assert host_config["ShmSize"] == LIMITS["shm_bytes"]


def test_namespaces_are_its_own(host_config: dict[str, Any]) -> None:
    assert host_config["PidMode"] == ""
    assert host_config["UTSMode"] == ""
    assert host_config["CgroupnsMode"] == "private"


def test_an_init_reaps_its_processes(host_config: dict[str, Any]) -> None:
    assert host_config["Init"] is True


def test_it_is_the_first_to_go_when_the_host_is_short_of_memory(host_config: dict[str, Any]) -> None:
    assert host_config["OomScoreAdj"] == 1000


def test_open_files_core_dumps_and_file_sizes_are_limited(host_config: dict[str, Any]) -> None:
    limits = {limit["Name"]: limit["Hard"] for limit in host_config["Ulimits"]}
    assert limits == {"nofile": spec.MAX_OPEN_FILES, "core": 1, "fsize": LIMITS["tmp_bytes"]}


def test_scratch_is_sized_and_executable(host_config: dict[str, Any]) -> None:
    options = host_config["Tmpfs"]["/tmp"].split(",")
    assert {"exec", "nosuid", "nodev", f"size={LIMITS['tmp_bytes']}"} <= set(options)


def test_a_volume_of_the_image_is_a_small_tmpfs_and_never_hides_ours(created: Any) -> None:
    host_config = created(volumes=("/data", "/input", "/tmp/x", "/output/images"))["HostConfig"]
    assert set(host_config["Tmpfs"]) == {"/tmp", "/data"}
    assert f"size={spec.VOLUME_BYTES}" in host_config["Tmpfs"]["/data"]
    without = sum(LIMITS[name] for name in ("memory_bytes", "shm_bytes", "tmp_bytes", "output_bytes"))
    assert host_config["Memory"] == without + 16 * MEBIBYTE


def test_input_is_a_read_only_bind_and_output_a_volume_that_takes_nothing_from_the_image(
    host_config: dict[str, Any],
) -> None:
    mounts = {mount["Target"]: mount for mount in host_config["Mounts"]}
    assert mounts["/input"]["Type"] == "bind"
    assert mounts["/input"]["ReadOnly"] is True
    assert mounts["/output"]["Type"] == "volume"
    assert mounts["/output"]["VolumeOptions"]["NoCopy"] is True
    assert host_config["Binds"] is None


def test_the_output_volume_is_a_tmpfs_of_exact_size(docker_client: docker.APIClient, created: Any) -> None:
    name = next(mount["Name"] for mount in created()["Mounts"] if mount["Destination"] == "/output")
    options = docker_client.inspect_volume(name)["Options"]
    assert options["type"] == "tmpfs"
    inodes = 2 + spec.SPARE_INODES
    assert {f"size={LIMITS['output_bytes']}", f"nr_inodes={inodes}", "noexec", "nosuid", "nodev"} <= set(
        options["o"].split(",")
    )


def test_the_log_is_bounded_and_local(host_config: dict[str, Any]) -> None:
    assert host_config["LogConfig"]["Type"] == "local"
    assert host_config["LogConfig"]["Config"] == {"max-size": "16384", "max-file": "1", "compress": "false"}


def test_it_is_never_restarted_and_never_checked(inspected: dict[str, Any]) -> None:
    assert inspected["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert inspected["HostConfig"]["AutoRemove"] is False
    assert inspected["Config"]["Healthcheck"]["Test"] == ["NONE"]


def test_it_has_no_terminal_and_is_stopped_by_what_nobody_can_ignore(inspected: dict[str, Any]) -> None:
    config = inspected["Config"]
    assert (config["Tty"], config["OpenStdin"], config["StopSignal"]) == (False, False, "SIGKILL")


def test_the_host_name_tells_nothing(inspected: dict[str, Any]) -> None:
    assert inspected["Config"]["Hostname"] == "sandbox"
    assert inspected["Config"]["Domainname"] == ""


def test_labels_name_the_instance_the_batch_and_the_role(inspected: dict[str, Any], instance: str) -> None:
    labels = inspected["Config"]["Labels"]
    assert labels[spec.LABEL_INSTANCE] == instance
    assert labels[spec.LABEL_ROLE] == "algorithm"
    assert labels[spec.LABEL_FENCE] == "1"


def test_home_and_temporary_files_are_where_can_be_written(inspected: dict[str, Any]) -> None:
    environment = _environment(inspected)
    assert (environment["HOME"], environment["TMPDIR"]) == ("/tmp/home", "/tmp")
    assert "XDG_CACHE_HOME" not in environment


def test_what_only_writes_caches_and_asks_the_network_is_told_so(inspected: dict[str, Any]) -> None:
    environment = _environment(inspected)
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "MPLCONFIGDIR", "NUMBA_CACHE_DIR"):
        assert environment[name].startswith("/tmp/cache/")
    assert environment["HF_HUB_OFFLINE"] == environment["TRANSFORMERS_OFFLINE"] == "1"


@pytest.mark.parametrize(("cpus", "threads"), [(0.5, "1"), (1, "1"), (3.9, "3"), (8, "8")])
def test_libraries_start_as_many_threads_as_there_are_processors(cpus: float, threads: str) -> None:
    order = parse_order(order_json(None, cpus=cpus))
    image = ImageSettings(("/run",), environment={"MKL_NUM_THREADS": "7", "OMP_NUM_THREADS": ""})
    settings, staged = SandboxSettings("x", UID), Path("/staged")
    folders = spec.Folders(staged, staged)
    entries = spec.algorithm(order, Slot("cpu0", UID + 1), settings, folders, image, KernelView())["Env"]
    environment = dict(entry.split("=", 1) for entry in entries)
    assert environment["OPENBLAS_NUM_THREADS"] == environment["PYTHON_CPU_COUNT"] == threads
    assert not {"MKL_NUM_THREADS", "OMP_NUM_THREADS"} & set(environment)  # the image's own stay


def test_the_launcher_comes_first_and_an_image_without_a_program_gets_none(created: Any) -> None:
    config = created()["Config"]
    assert config["Entrypoint"] == [spec.LAUNCHER_PROGRAM, "/root", "/tmp/home", "/", "python3", "/algorithm.py"]
    assert not config["Cmd"]
    order, slot, staged = parse_order(order_json(None)), Slot("cpu0", UID + 1), Path("/staged")
    folders, settings = spec.Folders(staged, staged), SandboxSettings("x", UID)
    assert spec.algorithm(order, slot, settings, folders, ImageSettings(), KernelView())["Entrypoint"] == []


def test_weights_are_mounted_read_only_also_over_a_volume_of_the_image(created: Any) -> None:
    weights = Weights("sha256:" + "1" * 64, 1)
    config = created(weights=weights, volumes=("/opt/ml/model", "/opt/ml/model/cache", "/opt/ml/data"))["HostConfig"]
    [mount] = [mount for mount in config["Mounts"] if mount["Target"] == "/opt/ml/model"]
    assert mount["ReadOnly"]
    assert mount["BindOptions"]["Propagation"] == "rprivate"
    assert set(config["Tmpfs"]) == {"/opt/ml/data", "/tmp"}
    assert "/opt/ml/model" in created(volumes=("/opt/ml/model",))["HostConfig"]["Tmpfs"]


def test_files_of_ours_are_mounted_read_only_one_by_one(inspected: dict[str, Any]) -> None:
    mounts = {mount["Target"]: mount for mount in inspected["HostConfig"]["Mounts"]}
    kernel = {f"/proc/{name}" for name in ("cpuinfo", "diskstats", "loadavg", "meminfo", "stat", "swaps", "uptime")}
    ours = {spec.LAUNCHER_PROGRAM, "/etc/passwd", "/etc/group", "/etc/hosts", "/sys/devices", "/sys/class", *kernel}
    assert set(mounts) == {"/input", "/output", *ours}
    for target in ours:
        assert (mounts[target]["ReadOnly"], mounts[target]["Type"]) == (True, "bind")


def test_without_a_gpu_the_image_gets_none_whatever_it_asks_for(
    sandbox: Sandbox, created: Any, derived_image: Any
) -> None:
    sandbox.image = derived_image(
        "ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_IMEX_CHANNELS=0 NVIDIA_GDS=enabled LD_PRELOAD=/x.so\n"
        "HEALTHCHECK CMD /spy\nSTOPSIGNAL SIGWINCH\nEXPOSE 80\nUSER root\n"
        f"LABEL {spec.LABEL_INSTANCE}=another"
    )
    inspected = created()
    environment = _environment(inspected)
    assert inspected["HostConfig"]["DeviceRequests"] is None
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["NVIDIA_IMEX_CHANNELS"] == ""
    assert environment["NVIDIA_GDS"] == "disabled"
    assert environment["LD_PRELOAD"] == ""
    assert inspected["Config"]["Labels"][spec.LABEL_INSTANCE] == sandbox.settings.instance
    assert inspected["Config"]["Healthcheck"]["Test"] == ["NONE"]
    assert inspected["Config"]["StopSignal"] == "SIGKILL"
    assert inspected["Config"]["User"] == f"{UID + 1}:{UID + 1}"
    assert inspected["HostConfig"]["PortBindings"] is None
    assert inspected["HostConfig"]["PublishAllPorts"] is False


def test_a_gpu_slot_asks_for_exactly_its_devices(sandbox: Sandbox, created: Any, derived_image: Any) -> None:
    sandbox.image = derived_image("ENV NVIDIA_VISIBLE_DEVICES=all CUDA_VISIBLE_DEVICES=0,1,2,3,4,5,6,7")
    inspected = created(Slot("gpu2+3", UID + 1, ("2", "GPU-5f3c")), gpus=2)
    request = inspected["HostConfig"]["DeviceRequests"][0]
    assert request["DeviceIDs"] == ["2", "GPU-5f3c"]
    assert request["Capabilities"] == [["gpu"]]
    assert request["Count"] == 0
    assert _environment(inspected)["NVIDIA_VISIBLE_DEVICES"] == "2,GPU-5f3c"
    assert _environment(inspected)["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_by_cdi_a_slot_asks_for_its_devices_by_name_and_the_toolkits_own_runtime_adds_nothing(
    sandbox: Sandbox, created: Any, derived_image: Any
) -> None:
    sandbox.settings = replace(sandbox.settings, gpu_handover="cdi")
    sandbox.image = derived_image("ENV NVIDIA_VISIBLE_DEVICES=all")
    inspected = created(Slot("gpu2+3", UID + 1, ("2", "MIG-5f3c")), gpus=2)
    (request,) = inspected["HostConfig"]["DeviceRequests"]
    assert (request["Driver"], request["DeviceIDs"]) == ("cdi", ["nvidia.com/gpu=2", "nvidia.com/gpu=MIG-5f3c"])
    assert (request["Count"], request["Capabilities"]) == (0, None)
    assert _environment(inspected)["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert _environment(inspected)["CUDA_VISIBLE_DEVICES"] == "0,1"


@pytest.mark.parametrize("handover", ["runtime", "cdi"])
def test_of_a_cuda_bases_variables_the_requirement_and_the_paths_stay_and_the_rest_is_ours(
    sandbox: Sandbox, created: Any, derived_image: Any, handover: Any
) -> None:
    sandbox.settings = replace(sandbox.settings, gpu_handover=handover)
    own = {
        "NVIDIA_REQUIRE_CUDA": "cuda>=12.9",
        "PATH": "/usr/local/cuda/bin:/bin",
        "LD_LIBRARY_PATH": "/usr/local/nvidia",
    }
    others = "NVIDIA_DISABLE_REQUIRE=1 NVIDIA_DRIVER_CAPABILITIES=all NVIDIA_MIG_CONFIG_DEVICES=all NVARCH=x86_64"
    sandbox.image = derived_image(f"ENV {' '.join(f'{name}={value}' for name, value in own.items())} {others}")
    environment = _environment(created(Slot("gpu0", UID + 1, ("0",)), gpus=1))
    assert {name: environment[name] for name in own} == own
    assert environment["NVIDIA_DISABLE_REQUIRE"] == "false"
    assert environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
    assert environment["NVIDIA_MIG_CONFIG_DEVICES"] == ""
    assert environment["NVARCH"] == "x86_64"


def test_an_order_for_fewer_gpus_than_its_slot_has_gets_the_first_of_them(created: Any) -> None:
    inspected = created(Slot("gpu2+3", UID + 1, ("2", "3")), gpus=1)
    assert inspected["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] == ["2"]
    assert _environment(inspected)["CUDA_VISIBLE_DEVICES"] == "0"


def test_an_apparmor_profile_is_a_setting_of_the_worker(sandbox: Sandbox, created: Any) -> None:
    """Whether it is loaded is found out by a slot's probe; another runtime runs in test_settings."""
    sandbox.settings = replace(sandbox.settings, apparmor="rexgrounding")
    assert "apparmor=rexgrounding" in created()["HostConfig"]["SecurityOpt"]


@pytest.mark.parametrize("role", ["algorithm", "holder", "probe"])
def test_the_settings_of_the_worker_are_those_of_every_container_that_they_concern(role: str) -> None:
    order, slot = parse_order(order_json(None)), Slot("cpu0", UID + 1)
    settings = SandboxSettings("x", UID, runtime="runsc", apparmor="rexgrounding")
    config = {
        "algorithm": spec.algorithm(
            order, slot, settings, spec.Folders(Path("/staged"), Path("/support")), ImageSettings(), KernelView()
        ),
        "holder": spec.holder(order, settings, "holder"),
        "probe": spec.probe(slot, settings, "holder", ()),
    }[role]
    assert "apparmor=rexgrounding" in config["HostConfig"]["SecurityOpt"]
    assert config["HostConfig"].get("Runtime") == (None if role == "holder" else "runsc")


def test_the_holder_is_locked_down_as_well(sandbox: Sandbox, docker_client: docker.APIClient) -> None:
    run = sandbox.prepare(sandbox.order(None, "import time; time.sleep(0.3)"))
    run.carry_out(sandbox.stage(run))
    holder = docker_client.inspect_container(run.names.holder)
    host_config = holder["HostConfig"]
    assert holder["Config"]["User"] == f"{UID}:{UID}"
    assert (host_config["NetworkMode"], holder["Config"]["NetworkDisabled"]) == ("none", True)
    assert host_config["ReadonlyRootfs"] is True
    assert host_config["CapDrop"] == ["ALL"]
    assert {"no-new-privileges=true", f"seccomp={spec.SECCOMP_PROFILE}"} <= set(host_config["SecurityOpt"])
    assert host_config["Memory"] == host_config["MemorySwap"] == spec.HOLDER_MEMORY_BYTES
    assert host_config["PidsLimit"] == 64
    assert {limit["Name"]: limit["Hard"] for limit in host_config["Ulimits"]} == {"nofile": 64, "core": 1, "fsize": 0}
    assert (host_config["IpcMode"], host_config["CgroupnsMode"], host_config["PidMode"]) == ("private", "private", "")
    assert [mount["RW"] for mount in holder["Mounts"]] == [False]
