"""The GPUs of a host as its driver sees them: which there are, whether one is well, and whether it is empty.

Only this decides whose fault it is when a program ends badly beside a GPU; what the program says of it does not
count. A slot names its GPUs as nvidia-smi does: by number ("0") or uuid ("GPU-..."), and a part that MIG made of one as
"0:1" (part 1 of GPU 0) or by its uuid ("MIG-...").
"""

import re
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from xml.etree.ElementTree import Element

from containers.protocol.orders import MEBIBYTE
from containers.sandbox.gpu_requirements import Driver
from containers.sandbox.nvidia_smi import GpuTrouble, Listed, NvidiaSmi

#: A driver frees the memory of a process that has ended within moments, not at once.
SETTLE_SECONDS: Final = 10.0
#: Between two looks at the programs on a GPU while a container runs.
WATCH_SECONDS: Final = 15.0
_LOOK_AGAIN_SECONDS: Final = 0.5
_PF_EXITING: Final = 0x4  # of the kernel's flags of a process
_WHOLE_UUID: Final = re.compile(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_OLD_PART: Final = re.compile(r"MIG-(?P<gpu>GPU-[0-9a-f-]+)/(?P<instance>\d+)/(?P<compute>\d+)", re.IGNORECASE)
_GONE: Final = re.compile(r"gpu is lost|unknown error|err!", re.IGNORECASE)
_NEEDS_RESET: Final = {
    "gpu_reset_status/reset_required": ("yes",),
    "gpu_recovery_action": ("reset", "reboot"),
    "remapped_rows/remapped_row_failure": ("yes",),
}


@dataclass(frozen=True)
class Process:
    """A program that computes on a GPU, as the driver names it."""

    pid: int
    name: str
    memory: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid}, {self.memory})"


@dataclass(frozen=True)
class Gpu:
    """One GPU, or one part of one, at one moment. Sizes in bytes; None is what its driver does not say.

    `id` is what the slot calls it, `key` what it is: the GPU's uuid and the part's number. `uncorrected` counts the
    errors of its memory that could not be corrected, since the driver was loaded.
    """

    id: str
    key: tuple[str, str | None]
    uuid: str
    name: str
    memory_bytes: int | None
    used_bytes: int | None
    uncorrected: int
    users: tuple[Process, ...]
    driver: Driver


class Gpus:
    """Looks at GPUs through the driver's tool. More than `baseline_bytes` in use is not the driver's own need."""

    def __init__(self, tool: NvidiaSmi, *, baseline_bytes: int, settle_seconds: float | None = None) -> None:
        self._tool = tool
        self._baseline_bytes = baseline_bytes
        self._settle_seconds = SETTLE_SECONDS if settle_seconds is None else settle_seconds

    def look(self, gpu: str) -> Gpu:
        """A GPU as it is now. Raises GpuTrouble when it is lost, needs a reset, or cannot be asked for."""
        found = self._resolved(gpu)
        log = self._tool.describe(found.gpu_uuid or found.index)
        described = log.find("gpu")
        if described is None:
            raise GpuTrouble(f"nvidia-smi knows no GPU {gpu}.")
        return _read_gpu(gpu, found, log, described)

    def expect_empty(self, gpus: Sequence[str]) -> list[Gpu]:
        """The GPUs, when nobody uses them. Raises GpuTrouble otherwise, after a moment for what has just ended."""
        give_up = time.monotonic() + self._settle_seconds
        while True:
            found = [self.look(gpu) for gpu in gpus]
            occupied = next(filter(None, map(self._occupation, found)), None)
            if occupied is None:
                return found
            if time.monotonic() > give_up:
                raise GpuTrouble(occupied, code="gpu_occupied")
            time.sleep(_LOOK_AGAIN_SECONDS)

    def trouble_after(self, before: Sequence[Gpu], gpus: Sequence[str]) -> GpuTrouble | None:
        """What of ours may have ended a program that used these GPUs, by what is found when it is dead; None: nothing.

        `before`: the GPUs as they were when it started, where that is known.
        """
        try:
            after = self.expect_empty(gpus)
        except GpuTrouble as trouble:
            return trouble
        errors = {gpu.key: gpu.uncorrected for gpu in before}
        broke = next((gpu for gpu in after if gpu.uncorrected > errors.get(gpu.key, gpu.uncorrected)), None)
        return None if broke is None else GpuTrouble(f"Memory errors of GPU {broke.id} could not be corrected.")

    def _occupation(self, gpu: Gpu) -> str | None:
        if gpu.users:
            return f"GPU {gpu.id} is in use by another program: {', '.join(map(str, gpu.users[:3]))}."
        if gpu.used_bytes is not None and gpu.used_bytes > self._baseline_bytes:
            used, most = gpu.used_bytes / 1e9, self._baseline_bytes / 1e9
            return f"{used:.1f} GB of GPU {gpu.id} are in use, and none of it by us (REX_GPU_BASELINE: {most:.1f} GB)."
        return None

    def _resolved(self, gpu: str) -> Listed:
        """What a slot's name of a GPU stands for, as the tool can be asked for it."""
        if old := _OLD_PART.fullmatch(gpu):
            return Listed("", old["gpu"], gpu, part=f"{old['instance']}/{old['compute']}")
        index, _, part = gpu.partition(":")
        if index.isdecimal():
            return Listed(index, "", "", part=part or None)
        if _WHOLE_UUID.fullmatch(gpu):
            return Listed("", gpu, gpu)
        matching = [one for one in self._tool.list_all() if one.uuid.casefold().startswith(gpu.casefold())]
        if len(matching) != 1:
            raise GpuTrouble(f"nvidia-smi -L lists {'several GPUs' if matching else 'no GPU'} {gpu}.")
        return matching[0]


class Watch:
    """Looks, as long as the block lasts, whether a program of somebody else computes on the GPUs of a container.

    `seen` is the first one that did. Whose a process is, its control group says: that of a container has its id, and
    no program can leave it. Where this worker does not see the host's processes, nothing is ever seen.
    """

    def __init__(self, gpus: Gpus, ids: Sequence[str], container_id: str) -> None:
        self.seen: GpuTrouble | None = None
        self._gpus, self._ids, self._container_id = gpus, ids, container_id
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        if sees_host_processes():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()  # a look that hangs ends by itself, and is not waited for

    def _run(self) -> None:
        while self.seen is None and not self._ended.wait(WATCH_SECONDS):
            with suppress(GpuTrouble):  # what is wrong then is found when the program has ended
                self._look()

    def _look(self) -> None:
        for gpu in map(self._gpus.look, self._ids):
            if other := next((one for one in gpu.users if self._is_foreign(one)), None):
                self.seen = GpuTrouble(f"GPU {gpu.id} was in use by another program: {other}.", code="gpu_occupied")

    def _is_foreign(self, process: Process) -> bool:
        try:
            groups = Path(f"/proc/{process.pid}/cgroup").read_text()
            return self._container_id not in groups and not _is_ending(process.pid)
        except OSError:  # it has just ended, whose ever it was
            return False


def _is_ending(pid: int) -> bool:
    """Whether a process is on its way out: it may hold its GPU for seconds more, and is in no group (cgroup v1)."""
    flags = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[6]
    return bool(int(flags) & _PF_EXITING)


def sees_host_processes() -> bool:
    """Whether process numbers here are the host's own: the number of its first process namespace never changes."""
    return Path("/proc/self/ns/pid").readlink() == Path("pid:[4026531836]")


def _read_gpu(gpu_id: str, wanted: Listed, log: Element, described: Element) -> Gpu:
    uuid = _text(described, "uuid")
    if _GONE.search(" ".join((uuid, _text(described, "fb_memory_usage/used"), _text(described, "product_name")))):
        raise GpuTrouble(f"GPU {gpu_id} is lost: nvidia-smi says {_text(described, 'fb_memory_usage/used')!r}.")
    for path, words in _NEEDS_RESET.items():
        if _text(described, path).casefold() in words:
            raise GpuTrouble(f"GPU {gpu_id} has to be reset: nvidia-smi says {path} is {_text(described, path)}.")
    parts = described.findall("mig_devices/mig_device")
    if parts and wanted.part is None:
        raise GpuTrouble(
            f"GPU {gpu_id} is divided by MIG: name its parts in REX_SLOTS, as {gpu_id}:0 or by their uuids.",
            code="no_gpu_runtime",
        )
    whole = described if wanted.part is None else _part(gpu_id, wanted.part, parts)
    return Gpu(
        id=gpu_id,
        key=(uuid, wanted.part and _text(whole, "index")),
        uuid=wanted.uuid if wanted.part and wanted.uuid else uuid,
        name=_text(described, "product_name") + (f", MIG part {_text(whole, 'index')}" if wanted.part else ""),
        memory_bytes=_bytes(_text(whole, "fb_memory_usage/total")),
        used_bytes=_bytes(_text(whole, "fb_memory_usage/used")),
        uncorrected=_uncorrected(described),
        users=_users(described, whole if wanted.part else None),
        driver=Driver(
            cuda=_text(log, "cuda_version"),
            driver=_text(log, "driver_version"),
            brand=_text(described, "product_brand"),
        ),
    )


def _part(gpu_id: str, part: str, parts: Sequence[Element]) -> Element:
    for one in parts:
        numbers = (_text(one, "gpu_instance_id"), _text(one, "compute_instance_id"))
        if part in (_text(one, "index"), "/".join(numbers)):
            return one
    raise GpuTrouble(f"GPU {gpu_id} has no such part (MIG).")


def _users(described: Element, part: Element | None) -> tuple[Process, ...]:
    """The programs that compute there ("C", "C+G"); those that only draw ("G"), such as a desktop, may stay.

    In a process namespace of its own, as in a container, a driver names none: then the memory in use decides.
    """
    instance = None if part is None else _text(part, "gpu_instance_id")
    return tuple(
        Process(int(_text(one, "pid")), _text(one, "process_name"), _text(one, "used_memory"))
        for one in described.findall("processes/process_info")
        if "C" in _text(one, "type")
        and _text(one, "pid").isdecimal()
        and instance in (None, _text(one, "gpu_instance_id"))
    )


def _uncorrected(described: Element) -> int:
    """Errors since the driver was loaded, under the names of all generations (dram_..., sram_..., double_bit)."""
    volatile = described.find("ecc_errors/volatile")
    if volatile is None:
        return 0
    counted = [one for one in volatile.iter() if "uncorrectable" in one.tag]
    counted += volatile.findall("double_bit/total")
    return sum(int(one.text or "") for one in counted if (one.text or "").strip().isdecimal())


def _bytes(text: str) -> int | None:
    """A size as the tool prints it, "81559 MiB"; None for "N/A" and the like."""
    match = re.fullmatch(r"(\d+) MiB", text)
    return int(match[1]) * MEBIBYTE if match else None


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
