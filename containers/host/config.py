"""A GPU host's settings, read from the environment once; a bad value stops the start with a line that says which.

REX_SERVER_URL       address of the server, e.g. https://challenge.example.org
REX_HOST_TOKEN       this host's token, from the server's admin
REDIS_URL            the broker, with this host's own user and password
REX_STATE_DIR        folder for the journal, the cache and staged input; closed to everybody else
REX_SLOTS            places for containers, separated by commas: "cpu:2" is two without a GPU, "gpu:0" one with the
                     GPU of that id, "gpu:0+1" one with two (default: cpu:1). Ids are those of `nvidia-smi -L`: a
                     number, a uuid, or a part that MIG made of a GPU, "gpu:0:1" or by its uuid
REX_GPU_HANDOVER     how containers get them: "runtime", by the container toolkit's hook, or "cdi", by CDI device names
                     (default: runtime)
REX_NVIDIA_SMI       the driver's tool by which the worker sees whether a GPU is well and empty: a name on PATH or a
                     path; "none": do without (default: nvidia-smi)
REX_GPU_BASELINE     most memory of a GPU that may be in use before a run, for the driver's own needs (default: 1G)
REX_INSTANCE         label on everything this worker creates in the engine, and the prefix of its queue; must differ
                     between two workers that share an engine (default: rexg)
REX_CACHE_BYTES      most bytes that downloaded files may take, e.g. 100G (default: 50G): at least the largest image or
                     weights, unpacked, that a phase takes; unpacked weights that no batch uses may take as many again
REX_SANDBOX_UID      first of the user ids of the sandboxes: the holder's, then one per slot (default: 60600, a range
                     that no common allocation of user ids touches)
REX_FREE_BYTES       free space, on the disks of REX_STATE_DIR and of the engine, below which images make room and no
                     new batch is begun (default: 5G)
REX_DOCKER_ROOT      a folder on the engine's disk, to measure its free space (default: what the engine names)
REX_IMAGES_KEPT      most algorithm images that stay in the engine, and unpacked weights, when no batch uses them
                     (default: 50)
REX_IMAGE_DAYS       days without use after which an algorithm image goes, and weights (default: 30)
REX_SANDBOX_RUNTIME  another OCI runtime of the engine, e.g. runsc or kata
REX_SANDBOX_APPARMOR an AppArmor profile that is loaded on the engine's host
REX_SANDBOX_USERNS   1: the engine has to map user ids (its userns-remap), or the worker does not start (default: 0)
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args
from urllib.parse import urlsplit

from containers.host.image_cache import ImageCacheLimits
from containers.sandbox.spec import CDI_KIND, Handover, SandboxSettings, Slot

#: What `nvidia-smi -L` calls a GPU or a part of one. Where the toolkit looks a uuid up it may be cut short.
_NUMBER: Final = r"\d{1,3}(:\d{1,3})?"
_WHOLE_UUID: Final = r"(GPU|MIG)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_CUT_UUID: Final = r"(GPU|MIG)-[0-9a-f][0-9a-f-]*|MIG-GPU-[0-9a-f-]+/\d+/\d+"
#: As many characters as the server takes.
MAX_SLOT_NAME: Final = 60
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class ConfigurationError(Exception):
    """A setting is missing or not valid; the message says which and what is expected."""


@dataclass(frozen=True)
class Settings:
    """A GPU host's settings."""

    server_url: str
    token: str
    redis_url: str
    state_dir: Path
    slots: tuple[Slot, ...]
    cache_bytes: int
    sandbox: SandboxSettings
    docker_root: Path | None
    images: ImageCacheLimits
    nvidia_smi: str | None = None
    gpu_baseline_bytes: int = 1 << 30

    @property
    def instance(self) -> str:
        """The label on everything this worker creates."""
        return self.sandbox.instance


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings. Raises ConfigurationError."""
    uid = _uid(environment.get("REX_SANDBOX_UID", "60600"))
    handover = _handover(environment.get("REX_GPU_HANDOVER") or "runtime")
    tool = environment.get("REX_NVIDIA_SMI") or "nvidia-smi"
    return Settings(
        server_url=_url(environment, "REX_SERVER_URL", ("http", "https")),
        token=_required(environment, "REX_HOST_TOKEN"),
        redis_url=_broker(environment),
        state_dir=_absolute(environment, "REX_STATE_DIR"),
        slots=parse_slots(environment.get("REX_SLOTS", "cpu:1"), first_uid=uid + 1, handover=handover),
        cache_bytes=_size(environment, "REX_CACHE_BYTES", "50G"),
        sandbox=SandboxSettings(
            instance=_instance(environment.get("REX_INSTANCE", "rexg")),
            holder_uid=uid,
            runtime=environment.get("REX_SANDBOX_RUNTIME") or None,
            apparmor=environment.get("REX_SANDBOX_APPARMOR") or None,
            userns=_boolean(environment, "REX_SANDBOX_USERNS"),
            gpu_handover=handover,
        ),
        docker_root=Path(environment["REX_DOCKER_ROOT"]) if environment.get("REX_DOCKER_ROOT") else None,
        images=ImageCacheLimits(
            count=_count(environment, "REX_IMAGES_KEPT", "50"),
            days=_count(environment, "REX_IMAGE_DAYS", "30"),
            free_bytes=_size(environment, "REX_FREE_BYTES", "5G"),
        ),
        nvidia_smi=None if tool == "none" else tool,
        gpu_baseline_bytes=_size(environment, "REX_GPU_BASELINE", "1G"),
    )


def parse_slots(text: str, *, first_uid: int, handover: Handover = "runtime") -> tuple[Slot, ...]:
    """Read "cpu:2,gpu:0,gpu:1" into slots with user ids from `first_uid`. Raises ConfigurationError."""
    offered: list[tuple[str, tuple[str, ...]]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, _, value = part.partition(":")
        if kind == "cpu" and re.fullmatch(r"[1-9]\d{0,2}", value):
            offered += [(f"cpu{len(offered) + i}", ()) for i in range(int(value))]
        elif kind == "gpu" and value:
            gpus = tuple(_gpu(gpu, handover) for gpu in value.split("+"))
            offered.append((_slot_name(gpus), gpus))
        else:
            raise ConfigurationError(f'REX_SLOTS: "{part}" is neither cpu:<number> nor gpu:<id>[+<id>...].')
    devices = [device for _, gpus in offered for device in gpus]
    if not offered or len(devices) != len(set(devices)):
        raise ConfigurationError("REX_SLOTS must name at least one slot, and no GPU twice.")
    return tuple(Slot(name, first_uid + i, gpus) for i, (name, gpus) in enumerate(offered))


def _gpu(text: str, handover: Handover) -> str:
    """The id of a GPU, as the driver's tool knows it and the handover can name it."""
    gpu = text.removeprefix(f"{CDI_KIND}=")
    if gpu != text and handover != "cdi":
        raise ConfigurationError(f'REX_SLOTS: "{text}" is a CDI device: set REX_GPU_HANDOVER=cdi, or write gpu:{gpu}.')
    if re.fullmatch(f"{_NUMBER}|{_WHOLE_UUID}", gpu, re.IGNORECASE):
        return gpu
    if re.fullmatch(_CUT_UUID, gpu, re.IGNORECASE):
        if handover == "runtime":
            return gpu
        raise ConfigurationError(f'REX_SLOTS: CDI knows a GPU by its number or its whole uuid, not by "{gpu}".')
    raise ConfigurationError(
        f'REX_SLOTS: "{gpu}" is no GPU. Give each its number or its uuid GPU-..., a part made by MIG as 0:1 or '
        "MIG-...; nvidia-smi -L lists them."
    )


def _slot_name(gpus: tuple[str, ...]) -> str:
    """A name that stays the same over restarts: the journal finds the slot of a container that still runs by it."""
    name = f"gpu{'+'.join(gpus)}"
    return name if len(name) <= MAX_SLOT_NAME else f"{name[:43]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _handover(value: str) -> Handover:
    known: tuple[Handover, ...] = get_args(Handover)
    for handover in known:
        if value == handover:
            return handover
    raise ConfigurationError(f"REX_GPU_HANDOVER must be {' or '.join(known)}.")


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise ConfigurationError(f"{name} is not set.")
    return value


def _url(environment: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str:
    value = _required(environment, name)
    if urlsplit(value).scheme not in schemes:
        raise ConfigurationError(f"{name} must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}.")
    return value


def _broker(environment: Mapping[str, str]) -> str:
    value = _url(environment, "REDIS_URL", ("redis", "rediss", "unix", "redis+socket"))
    if value.startswith("rediss:") and "ssl_cert_reqs=required" not in urlsplit(value).query:
        # Without it the client takes any certificate, and whoever stands between reads the password.
        raise ConfigurationError("REDIS_URL: a rediss:// address must end with ?ssl_cert_reqs=required.")
    return value


def _absolute(environment: Mapping[str, str], name: str) -> Path:
    path = Path(_required(environment, name))
    if not path.is_absolute():
        raise ConfigurationError(f"{name} must be an absolute path.")
    return path


def _instance(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value) or len(value) > 40:
        raise ConfigurationError("REX_INSTANCE must consist of at most 40 small letters, digits and single hyphens.")
    return value


def _uid(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 1000 <= int(value) < 2**31:
        raise ConfigurationError("REX_SANDBOX_UID must be a number of at least 1000.")
    return int(value)


def _boolean(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name) or "0"
    if value not in ("0", "1"):
        raise ConfigurationError(f"{name} must be 0 or 1.")
    return value == "1"


def _count(environment: Mapping[str, str], name: str, default: str) -> int:
    value = environment.get(name, default)
    if not re.fullmatch(r"[1-9]\d{0,4}", value):
        raise ConfigurationError(f"{name} must be a whole number of at least 1.")
    return int(value)


def _size(environment: Mapping[str, str], name: str, default: str) -> int:
    match = re.fullmatch(r"(\d+)([KMGT]?)", environment.get(name, default))
    if match is None:
        raise ConfigurationError(f"{name} must be a number of bytes such as 500M or 50G.")
    return int(match[1]) * _UNITS[match[2]]
