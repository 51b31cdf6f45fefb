"""The sandbox: the exact configuration of every container and volume, built by pure functions.

An order, a slot and the worker's settings go in; the JSON that the engine's API takes comes out. Nothing else
in this package decides a security property, and nothing here talks to an engine, so that each property can be
asserted on this value and again on the container that the engine made of it.

The first program of an algorithm's container is the *launcher*, which makes the home and becomes the image's program.

A batch has three objects. The *output volume* is a tmpfs of exact size in bytes and inodes, open to all who see it.
The *holder* keeps it alive and reports which files have appeared. The *algorithm* runs the team's image. All carry
labels with the instance (one worker), the batch and the fence; clean-up goes by the instance alone. A *probe* is a
container of ours that only has to start, under an algorithm's own conditions.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from containers.protocol import contract
from containers.protocol.orders import MEBIBYTE, Order
from containers.sandbox import launcher
from containers.sandbox.image_settings import ImageSettings
from containers.sandbox.kernel_view import KernelView

LABEL_INSTANCE: Final = "rexgrounding.instance"
LABEL_BATCH: Final = "rexgrounding.batch"
LABEL_FENCE: Final = "rexgrounding.fence"
LABEL_ROLE: Final = "rexgrounding.role"
Role = Literal["algorithm", "holder", "output", "probe"]
Handover = Literal["runtime", "cdi"]
PROBE: Final = "probe"
#: What CDI calls NVIDIA's GPUs, and MIG's parts of them: nvidia.com/gpu=0, =GPU-<uuid>, =0:1, =MIG-<uuid>.
CDI_KIND: Final = "nvidia.com/gpu"

HOLDER_PROGRAM: Final = "/holder"
#: Where the launcher lies in an algorithm's container.
LAUNCHER_PROGRAM: Final = f"{contract.SUPPORT_DIR}/launcher"
HOLDER_MEMORY_BYTES: Final = 32 * MEBIBYTE
#: A probe gets some room for what another OCI runtime needs for itself.
PROBE_MEMORY_BYTES: Final = 256 * MEBIBYTE
PROBE_PIDS: Final = 512
PROBE_EXIT: Final = 2  # the holder's program says that it got no command
#: Two files below /proc of which one is ours and one is masked, if the engine does as it is told.
KERNEL_PROBE_FILES: Final = ("loadavg", "vmstat")
#: Files beyond one per case: temporary names, folders of a careless program.
SPARE_INODES: Final = 1024
SCRATCH_INODES: Final = 1 << 20
#: For each VOLUME path of an image, which an intake should have removed; never a folder on the host's disk.
VOLUME_BYTES: Final = 16 * MEBIBYTE
MAX_OPEN_FILES: Final = 16_384

#: Variables by which an image could load code into its programs, or ask the GPU runtime for more than its slot. Set in
#: the container's configuration, which wins over the image's.
_DISARMED_ENVIRONMENT: Final[Mapping[str, str]] = {
    "LD_PRELOAD": "",
    "LD_AUDIT": "",
    "NVIDIA_MIG_CONFIG_DEVICES": "",
    "NVIDIA_MIG_MONITOR_DEVICES": "",
    "NVIDIA_IMEX_CHANNELS": "",
    "NVIDIA_GDS": "disabled",
    "NVIDIA_GDRCOPY": "disabled",
    "NVIDIA_MOFED": "disabled",
    "NVIDIA_NVSWITCH": "disabled",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    # NVIDIA_REQUIRE_CUDA and its like stay the image's: what it needs of the driver is said before it starts
    "NVIDIA_DISABLE_REQUIRE": "false",
}

SECCOMP_PROFILE: Final = json.dumps(
    json.loads((Path(__file__).parent / "seccomp.json").read_text(encoding="utf-8")), separators=(",", ":")
)

Config = dict[str, Any]


@dataclass(frozen=True)
class Slot:
    """A place for one container on a host: its name, its own unprivileged user id, its GPUs."""

    name: str
    uid: int
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class SandboxSettings:
    """A worker's own choices: instance id, the holder's user id, another OCI runtime, AppArmor profile.

    `userns`: the engine must map user ids, so that root of a container is nobody on the host. `gpu_handover`: how a
    container gets its GPUs, by the container toolkit's runtime or by CDI device names. `hides_kernel`: the engine can
    cover the kernel's own files, and does (see kernel_view).
    """

    instance: str
    holder_uid: int
    runtime: str | None = None
    apparmor: str | None = None
    userns: bool = False
    gpu_handover: Handover = "runtime"
    hides_kernel: bool = True


@dataclass(frozen=True)
class Names:
    """What a batch's three objects are called in the engine; the same after a restart of the worker."""

    algorithm: str
    holder: str
    volume: str


def names(instance: str, order: Order) -> Names:
    """The names of an order's objects."""
    stem = f"rexgrounding-{instance}-{order.batch}-{order.fence}"
    return Names(f"{stem}-algorithm", f"{stem}-holder", f"{stem}-output")


def labels(instance: str, order: Order, role: Role) -> dict[str, str]:
    """The labels of one object.

    All are always set, so that labels of these names in an image have no effect.
    """
    return {
        LABEL_INSTANCE: instance,
        LABEL_BATCH: order.batch,
        LABEL_FENCE: str(order.fence),
        LABEL_ROLE: role,
    }


def output_volume(order: Order, settings: SandboxSettings) -> dict[str, Any]:
    """The volume for /output.

    The folder is root's and open to all who see it, the algorithm alone: an engine that maps user ids (userns-remap)
    does not map those of a volume, and the algorithm's user has another number there.
    """
    inodes = len(order.cases) + SPARE_INODES
    options = f"size={order.limits.output_bytes},nr_inodes={inodes},mode=1777"
    return {
        "name": names(settings.instance, order).volume,
        "driver": "local",
        "driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": f"{options},noexec,nosuid,nodev"},
        "labels": labels(settings.instance, order, "output"),
    }


def holder(order: Order, settings: SandboxSettings, image: str) -> Config:
    """The container of ours that keeps the output volume and looks, from inside, which files exist."""
    config = _locked_down(settings, settings.holder_uid, labels(settings.instance, order, "holder"))
    config |= {"Image": image, "Cmd": [HOLDER_PROGRAM, "watch", contract.OUTPUT_DIR, *order.names], "Env": []}
    config["HostConfig"] |= {
        "PidsLimit": 64,  # the program is one process, but the engine's own helpers count while they start it
        **_memory_without_swap(HOLDER_MEMORY_BYTES),
        "Mounts": [_output_mount(order, settings, read_only=True)],
        "LogConfig": _log_config(MEBIBYTE),
        "Ulimits": _ulimits(open_files=64, file_bytes=0),
    }
    return config


def dump_command(order: Order) -> list[str]:
    """What to execute in the holder's container, as the algorithm's user, to get the results."""
    return [HOLDER_PROGRAM, "dump", contract.OUTPUT_DIR, str(order.limits.output_bytes), *order.names]


@dataclass(frozen=True)
class Folders:
    """Of the host, what an algorithm's container sees: the batch's input, our `support_files`, and its weights."""

    staged: Path
    support: Path
    model: Path | None = None


def algorithm(
    order: Order,
    slot: Slot,
    settings: SandboxSettings,
    folders: Folders,
    image: ImageSettings,
    kernel: KernelView,
) -> Config:
    """The container that runs a team's image.

    `image` are the image's own settings; its VOLUME paths get a small tmpfs each instead of a folder on the host's
    disk.
    """
    limits = order.limits
    tmpfs = _tmpfs(order, image.volumes)
    memory = limits.memory_bytes + limits.shm_bytes + limits.output_bytes + sum(size for size, _ in tmpfs.values())
    largest_file = max(limits.output_bytes, limits.tmp_bytes, limits.shm_bytes)
    gpus = slot.gpus[: order.gpus]
    config = _locked_down(settings, slot.uid, labels(settings.instance, order, "algorithm"), settings.runtime)
    config |= {
        "Image": order.image.id,
        "Entrypoint": _launched(image),
        "Cmd": [],
        "Env": _as_list(_image_environment(order, image) | _environment(gpus, settings)),
    }
    config["HostConfig"] |= {
        "PidsLimit": limits.pids,
        **_memory_without_swap(memory),
        "NanoCpus": round(limits.cpus * 1e9),
        "ShmSize": limits.shm_bytes,
        "Init": True,  # reaps zombies, so that a program's own leftovers do not use up its processes
        "OomScoreAdj": 1000,  # if the host itself is short of memory, this goes first (a program can lower it to 0)
        "Tmpfs": {path: options for path, (_, options) in tmpfs.items()},
        "Mounts": [
            _read_only(folders.staged, contract.INPUT_DIR),
            *([_read_only(folders.model, contract.MODEL_DIR)] if folders.model else []),
            _output_mount(order, settings, read_only=False),
            *(_read_only(folders.support / name, path) for name, path in _SUPPORT_PATHS.items()),
            *_kernel_mounts(folders.support, kernel),
        ],
        **_masked(kernel),
        "LogConfig": _log_config(4 * limits.log_bytes),
        "Ulimits": _ulimits(open_files=MAX_OPEN_FILES, file_bytes=largest_file),
    }
    if gpus:
        config["HostConfig"]["DeviceRequests"] = _device_requests(gpus, settings)
    return config


def support_files(slot: Slot, image: ImageSettings, kernel: KernelView) -> dict[str, bytes]:
    """The files of ours in an algorithm's container, by name: the launcher, who its user is, the kernel's files."""
    name = image.user_name
    passwd = {"root": (0, "/root"), "nobody": (65534, "/"), name: (slot.uid, contract.HOME_DIR)}
    users = [f"{who}:x:{uid}:{uid}:{who}:{home}:/bin/sh\n" for who, (uid, home) in passwd.items()]
    groups = [f"{who}:x:{uid}:\n" for who, (uid, _) in passwd.items()]
    return {
        "launcher": launcher.PROGRAM.read_bytes(),
        "passwd": "".join(users).encode(),
        "group": "".join(groups).encode(),
        "hosts": b"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n",
        **kernel_files(kernel),
    }


def kernel_files(kernel: KernelView) -> dict[str, bytes]:
    """The files of ours that stand for the kernel's, by their names among the support files."""
    return {path[1:]: content for path, content in kernel.files.items()}


def _kernel_mounts(support: Path, kernel: KernelView) -> list[dict[str, Any]]:
    return [_read_only(support / path[1:], path) for path in kernel.mounted]


def _masked(kernel: KernelView) -> dict[str, list[str]]:
    """A list of ours instead of the engine's; without one the engine's own."""
    return {"MaskedPaths": list(kernel.masked)} if kernel.masked else {}


_SUPPORT_PATHS: Final[Mapping[str, str]] = {
    "launcher": LAUNCHER_PROGRAM,
    "passwd": "/etc/passwd",
    "group": "/etc/group",
    "hosts": "/etc/hosts",
}


def kernel_probe(slot: Slot, settings: SandboxSettings, image: str, support: Path, kernel: KernelView) -> Config:
    """A container of ours under this view, which prints the kernel's files as the holder dumps a folder.

    `support` holds the `kernel_files`.
    """
    config = probe(slot, settings, image, ())
    config["Cmd"] = [HOLDER_PROGRAM, "dump", "/proc", str(MEBIBYTE), *KERNEL_PROBE_FILES]
    config["HostConfig"] |= {"Mounts": _kernel_mounts(support, kernel), **_masked(kernel)}
    return config


def probe(slot: Slot, settings: SandboxSettings, image: str, gpus: Sequence[str]) -> Config:
    """A container of ours that asks for what an algorithm gets, with these GPUs, and ends with PROBE_EXIT at once."""
    config = _locked_down(settings, slot.uid, {LABEL_INSTANCE: settings.instance, LABEL_ROLE: PROBE}, settings.runtime)
    config |= {"Image": image, "Cmd": [HOLDER_PROGRAM], "Env": _as_list(_environment(gpus, settings))}
    config["HostConfig"] |= {
        "PidsLimit": PROBE_PIDS,
        **_memory_without_swap(PROBE_MEMORY_BYTES),
        "LogConfig": _log_config(MEBIBYTE),
        "Ulimits": _ulimits(open_files=MAX_OPEN_FILES, file_bytes=MEBIBYTE),  # not 0: crun itself writes under it
    }
    if gpus:
        config["HostConfig"]["DeviceRequests"] = _device_requests(gpus, settings)
    return config


def _memory_without_swap(size: int) -> dict[str, int]:
    return {"Memory": size, "MemorySwap": size}  # the second is the sum of both


def _device_requests(gpus: Sequence[str], settings: SandboxSettings) -> list[dict[str, Any]]:
    """What `docker run` asks for by `--device nvidia.com/gpu=0` (Docker 25 or newer), or by `--gpus device=0`.

    From Docker 29.2 on the latter, too, is answered by CDI where the toolkit has made a specification.
    """
    if settings.gpu_handover == "cdi":
        return [{"Driver": "cdi", "DeviceIDs": [f"{CDI_KIND}={gpu}" for gpu in gpus]}]
    return [{"Driver": "", "DeviceIDs": list(gpus), "Capabilities": [["gpu"]], "Count": 0, "Options": {}}]


def _locked_down(
    settings: SandboxSettings, uid: int, with_labels: Mapping[str, str], runtime: str | None = None
) -> Config:
    """What all our containers have in common."""
    security = ["no-new-privileges=true", f"seccomp={SECCOMP_PROFILE}"]
    if settings.apparmor:
        security.append(f"apparmor={settings.apparmor}")
    config: Config = {
        "User": f"{uid}:{uid}",
        "Hostname": contract.HOSTNAME,
        "Domainname": "",
        # None is asked for: then the engine need not start two programs in each container to set one up.
        "NetworkDisabled": True,
        "Labels": dict(with_labels),
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGKILL",  # an image's own would delay the engine's shutdown
        "Tty": False,
        "OpenStdin": False,
        "HostConfig": {
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            "Privileged": False,
            "CapDrop": ["ALL"],
            "SecurityOpt": security,
            "IpcMode": "private",
            "CgroupnsMode": "private",
            "RestartPolicy": {"Name": "no"},
            "AutoRemove": False,
        },
    }
    if runtime:
        config["HostConfig"]["Runtime"] = runtime
    return config


def _launched(image: ImageSettings) -> list[str]:
    """The image's program behind the launcher; an image without one is the engine's to refuse."""
    if not image.command:
        return []
    return [LAUNCHER_PROGRAM, image.home, contract.HOME_DIR, image.working_dir or "/", *image.command]


def _image_environment(order: Order, image: ImageSettings) -> dict[str, str]:
    """What an algorithm gets where its image says nothing, and what it gets anyhow."""
    threads = str(max(1, math.floor(order.limits.cpus)))
    defaults = {
        **contract.DEFAULT_ENVIRONMENT,
        **dict.fromkeys(contract.THREAD_VARIABLES, threads),
        **dict.fromkeys(("USER", "LOGNAME"), image.user_name),
    }
    unset = {name: value for name, value in defaults.items() if name not in image.environment}
    return {**unset, **contract.ENVIRONMENT}


def _environment(gpus: Sequence[str], settings: SandboxSettings) -> dict[str, str]:
    """The environment that every container gets, whatever its image says.

    Inside the container the devices of a slot are counted from zero. Where CDI hands them over, the toolkit's own
    runtime, which may be the engine's default, must add nothing: void.
    """
    devices = {
        "NVIDIA_VISIBLE_DEVICES": "void" if settings.gpu_handover == "cdi" else ",".join(gpus) or "void",
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, range(len(gpus)))),
    }
    return {**_DISARMED_ENVIRONMENT, **devices}


def _as_list(environment: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in environment.items()]


def _tmpfs(order: Order, image_volumes: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Size in bytes and mount options of each writable memory-backed folder but /output and /dev/shm."""
    scratch = order.limits.tmp_bytes
    ours = [
        contract.INPUT_DIR,
        contract.OUTPUT_DIR,
        contract.SCRATCH_DIR,
        *([contract.MODEL_DIR] * bool(order.weights)),
    ]
    folders = {
        path: (VOLUME_BYTES, f"rw,noexec,nosuid,nodev,size={VOLUME_BYTES},nr_inodes=4096,mode=1777")
        for path in image_volumes
        if not re.match(rf"({'|'.join(ours)})(/|$)", path)
    }
    folders[contract.SCRATCH_DIR] = (
        scratch,
        f"rw,exec,nosuid,nodev,size={scratch},nr_inodes={SCRATCH_INODES},mode=1777",
    )
    return folders


def _read_only(source: Path, target: str) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": str(source),
        "Target": target,
        "ReadOnly": True,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _output_mount(order: Order, settings: SandboxSettings, *, read_only: bool) -> dict[str, Any]:
    return {
        "Type": "volume",
        "Source": names(settings.instance, order).volume,
        "Target": contract.OUTPUT_DIR,
        "ReadOnly": read_only,
        # without this the engine copies what the image has at /output into the volume
        "VolumeOptions": {"NoCopy": True},
    }


def _log_config(size: int) -> dict[str, Any]:
    return {"Type": "local", "Config": {"max-size": str(size), "max-file": "1", "compress": "false"}}


def _ulimits(*, open_files: int, file_bytes: int) -> list[dict[str, Any]]:
    # core: 1 and not 0, by which the kernel would still hand the memory to a program of the host (core_pattern "|...")
    limits = {"nofile": open_files, "core": 1, "fsize": file_bytes}
    return [{"Name": name, "Soft": value, "Hard": value} for name, value in limits.items()]
