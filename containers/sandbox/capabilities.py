"""Whether this host can do what its settings promise, found out before and between the batches.

`missing_capability` asks the engine what it is able to; `probe_slot` lets it start a container of ours with a slot's
own settings and GPUs. An engine ignores some settings that it cannot fulfil, so neither can stand for the other.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from containers.protocol.orders import MEBIBYTE
from containers.sandbox import holder, spec
from containers.sandbox.engine import Engine, EngineRefused
from containers.sandbox.kernel_view import KernelView, kernel_view
from containers.sandbox.spec import SandboxSettings, Slot
from containers.sandbox.staging import BatchFolder

#: Until the container of a probe, which does nothing, has ended.
PROBE_SECONDS: Final = 30.0
#: By their usual names: runc, and what is built on it or after it. The tests run the first two.
_COVERING_RUNTIMES: Final = frozenset({"runc", "crun", "io.containerd.runc.v2", "nvidia"})
_LIMITS: Final = {"MemoryLimit": "memory", "PidsLimit": "processes", "CpuCfsQuota": "processor time"}


def missing_capability(engine: Engine, settings: SandboxSettings) -> str | None:
    """One sentence on what the engine lacks of what the sandbox needs; None if nothing.

    What is missing here, the engine would leave out without a word. Raises EngineError.
    """
    info = engine.info()
    options = {part for option in info.get("SecurityOptions") or () for part in option.split(",")}
    # a name with a dot is that of a shim, which an engine looks for when it needs it
    if settings.runtime and "." not in settings.runtime and settings.runtime not in info["Runtimes"]:
        known = ", ".join(sorted(info["Runtimes"]))
        return f'REX_SANDBOX_RUNTIME: the engine has no OCI runtime "{settings.runtime}", only {known}.'
    if settings.apparmor and "name=apparmor" not in options:
        return "REX_SANDBOX_APPARMOR: the engine's host has no AppArmor."
    if settings.userns and not options & {"name=userns", "name=rootless"}:
        return "REX_SANDBOX_USERNS: the engine does not map user ids (userns-remap in its daemon.json)."
    # it names its folders from version 25 on, if CDI is switched on; since 28.2 it is
    if settings.gpu_handover == "cdi" and not info.get("CDISpecDirs"):
        return (
            "REX_GPU_HANDOVER: the engine knows no CDI devices. That takes Docker 25 or newer; before 28.2, also "
            '"features": {"cdi": true} in its daemon.json.'
        )
    if "name=seccomp" not in options:
        return "The engine cannot filter system calls (seccomp)."
    if missing := [what for key, what in _LIMITS.items() if info.get(key) is False]:
        return f"The engine cannot limit {' and '.join(missing)}: the host's cgroup controllers are missing."
    return None


def cannot_execute(folder: Path) -> str | None:
    """Why programs of ours, mounted from `folder`, would not start in a container; None if they would."""
    if os.statvfs(folder).f_flag & os.ST_NOEXEC:
        return f"REX_STATE_DIR: {folder} lies on a file system mounted noexec, from which no container can start."
    return None


def pipes_core_dumps(pattern: Path = Path("/proc/sys/kernel/core_pattern")) -> bool:
    """Whether the kernel here hands the memory of a program that crashed, also in a container, to one of the host."""
    return pattern.exists() and pattern.read_text().startswith("|")


def probe_slot(engine: Engine, settings: SandboxSettings, slot: Slot, gpus: Sequence[str]) -> str | None:
    """Why a container of ours does not run on this slot with these GPUs, in the engine's words; None if it does.

    Raises EngineError.
    """
    name = f"rexgrounding-{settings.instance}-{slot.uid}-probe"
    engine.remove_container(name)  # of a worker that was killed at this very moment
    try:
        image = holder.ensure_image(engine, settings.instance)
        engine.create_container(name, spec.probe(slot, settings, image, gpus))
        engine.start_container(name)
        return _wrong_end(engine, name)
    except EngineRefused as error:
        return error.explanation
    finally:
        engine.remove_container(name)


def shows_kernel(engine: Engine, settings: SandboxSettings, slot: Slot, folder: BatchFolder) -> str | None:
    """Why the kernel's files cannot be covered in a container of this slot, in one sentence; None if they can.

    The usual OCI runtimes are known to do it. Another one is tried, with files in `folder`. Raises EngineError.
    """
    runtime = settings.runtime or engine.info().get("DefaultRuntime", "")
    if runtime in _COVERING_RUNTIMES:
        return None
    name = f"rexgrounding-{settings.instance}-{slot.uid}-kernel-probe"
    kernel = kernel_view(spec.PROBE_MEMORY_BYTES, gpus=False)
    engine.remove_container(name)
    try:
        image = holder.ensure_image(engine, settings.instance)
        support = folder.add_support(spec.kernel_files(kernel))
        engine.create_container(name, spec.kernel_probe(slot, settings, image, support, kernel))
        engine.start_container(name)
        return _wrong_end(engine, name, 0) or _uncovered(engine.log_tail(name, MEBIBYTE), kernel)
    except EngineRefused as error:
        return error.explanation
    finally:
        engine.remove_container(name)
        folder.remove()


def _uncovered(dump: bytes, kernel: KernelView) -> str | None:
    """What a container of ours saw of the two files that it looked at."""
    ours, masked = spec.KERNEL_PROBE_FILES
    content = kernel.files[f"/proc/{ours}"]
    if b"F" + ours.encode() + b"\0" + len(content).to_bytes(8, "little") + content not in dump:
        return f"It shows the kernel's own /proc/{ours}."
    return f"It does not mask /proc/{masked}." if b"F" + masked.encode() + b"\0" in dump else None


def _wrong_end(engine: Engine, name: str, expected: int = spec.PROBE_EXIT) -> str | None:
    give_up = time.monotonic() + PROBE_SECONDS
    while (state := engine.inspect_container(name)) is not None and state.running:
        if time.monotonic() > give_up:
            return "A container of ours does not end."
        time.sleep(0.02)
    if state is None or state.exit_code != expected:
        return f"A container of ours did not do what it should: {state}."
    return None
