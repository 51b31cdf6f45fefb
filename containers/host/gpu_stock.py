"""The GPUs that this worker offers: looked at before each use, and told to the organisers."""

import logging
import threading
from typing import Any

from containers.host.resources import HostResources
from containers.sandbox.gpus import Gpu
from containers.sandbox.nvidia_smi import GpuTrouble
from containers.sandbox.spec import Slot

log = logging.getLogger(__name__)


class GpuStock:
    """What is known of the GPUs of each slot. A slot whose GPUs are not well and empty has none to offer."""

    def __init__(self, host: HostResources) -> None:
        self._gpus = host.gpus
        self._handover = host.settings.sandbox.gpu_handover
        self._offered: dict[str, list[Gpu]] = {}
        self._lock = threading.Lock()

    def trouble(self, slot: Slot) -> str | None:
        """Why nothing may start on a slot's GPUs now; None when it may."""
        if self._gpus is None or not slot.gpus:
            return None
        try:
            found = self._gpus.expect_empty(slot.gpus)
            self._take(slot, found)
        except GpuTrouble as trouble:
            with self._lock:
                self._offered.pop(slot.name, None)
            return str(trouble)
        return None

    def offer(self) -> dict[str, Any]:
        """What the server is told: driver and CUDA version, how GPUs are handed over, and each GPU."""
        with self._lock:
            gpus = [gpu for offered in self._offered.values() for gpu in offered]
        if not gpus:
            return {}
        return {
            "driver": gpus[0].driver.driver,
            "cuda": gpus[0].driver.cuda,
            "handover": self._handover,
            "devices": [
                {"id": gpu.id, "name": gpu.name, "uuid": gpu.uuid, "memory_bytes": gpu.memory_bytes} for gpu in gpus
            ],
        }

    def _take(self, slot: Slot, gpus: list[Gpu]) -> None:
        """Note what a slot offers. Raises GpuTrouble for what it has under another name, or another slot has."""
        with self._lock:
            known = self._offered.get(slot.name)
            others = [gpu for name, offered in self._offered.items() if name != slot.name for gpu in offered]
            for i, gpu in enumerate(gpus):
                if same := next((other for other in [*others, *gpus[:i]] if _overlap(gpu, other)), None):
                    raise GpuTrouble(f"GPU {gpu.id} and GPU {same.id} are the same one. Correct REX_SLOTS.")
            self._offered[slot.name] = gpus
        if known is None:
            for gpu in gpus:
                _log(slot, gpu, self._handover)


def _overlap(one: Gpu, other: Gpu) -> bool:
    """Whether two are the same GPU, the same part of one, or one a part of the other."""
    return one.key[0] == other.key[0] and (one.key[1] == other.key[1] or None in (one.key[1], other.key[1]))


def _log(slot: Slot, gpu: Gpu, handover: str) -> None:
    size = "unknown" if gpu.memory_bytes is None else f"{gpu.memory_bytes / 1e9:.1f} GB"
    log.info(
        "Slot %s offers GPU %s: %s, %s, memory %s; driver %s, CUDA %s; handed over by %s.",
        slot.name, gpu.id, gpu.name, gpu.uuid, size, gpu.driver.driver, gpu.driver.cuda, handover,
    )  # fmt: skip
