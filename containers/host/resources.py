"""What the threads of one worker share: settings, engine, caches and journal."""

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from containers.host.blob_cache import BlobCache
from containers.host.client import ServerClient
from containers.host.config import Settings
from containers.host.image_cache import ImageCache
from containers.host.journal import Journal
from containers.host.kernel_cover import KernelCover
from containers.host.weights_cache import WeightsCache
from containers.sandbox.engine import Engine
from containers.sandbox.gpus import Gpus
from containers.sandbox.nvidia_smi import NvidiaSmi


@dataclass(frozen=True)
class HostResources:
    """One worker's own. `batches_folder` is that of the batches' input and results.

    `gpus` looks at the host's GPUs; None where the worker was told to do without.
    """

    settings: Settings
    engine: Engine
    blob_cache: BlobCache
    image_cache: ImageCache
    weights_cache: WeightsCache
    journal: Journal
    batches_folder: Path
    gpus: Gpus | None
    kernel_cover: KernelCover
    image_lock: threading.Lock  # one image at a time is loaded: two slots often need the same one

    @classmethod
    def create(cls, settings: Settings, engine: Engine) -> "HostResources":
        """The resources in the worker's state folder, whose subfolders are made where they are missing."""
        state = settings.state_dir
        batches_folder = state / "batches"
        batches_folder.mkdir(exist_ok=True)
        return cls(
            settings=settings,
            engine=engine,
            blob_cache=BlobCache(state / "cache", settings.cache_bytes),
            image_cache=ImageCache(
                state / "images",
                engine,
                settings.instance,
                settings.images,
                lambda: engine_free_bytes(settings, engine),
            ),
            weights_cache=WeightsCache(
                state / "weights", settings.images, settings.cache_bytes, lambda: shutil.disk_usage(state).free
            ),
            journal=Journal(state / "journal"),
            batches_folder=batches_folder,
            gpus=_gpus(settings),
            kernel_cover=KernelCover(engine, settings.sandbox, batches_folder),
            image_lock=threading.Lock(),
        )

    def server(self, interrupted: Callable[[], bool] = lambda: False) -> ServerClient:
        """A connection to the server, for one thread."""
        return ServerClient(self.settings.server_url, self.settings.token, interrupted=interrupted)

    def free_bytes(self) -> int:
        """Free space of the worker's own disk."""
        return shutil.disk_usage(self.settings.state_dir).free

    def machine(self) -> dict[str, int]:
        """Bytes of the machine's memory, of the worker's disk, and of the caches on it: volumes, weights, archives."""
        return {
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "disk_bytes": shutil.disk_usage(self.settings.state_dir).total,
            "cache_bytes": self.blob_cache.held_bytes(),
        }


def _gpus(settings: Settings) -> Gpus | None:
    if settings.nvidia_smi is None:
        return None
    return Gpus(NvidiaSmi(settings.nvidia_smi), baseline_bytes=settings.gpu_baseline_bytes)


def engine_free_bytes(settings: Settings, engine: Engine) -> int:
    """Free space of the engine's disk; of our own where the engine's is not to be seen from here.

    Raises EngineError.
    """
    folder = settings.docker_root or engine.data_folder()
    return shutil.disk_usage(folder if folder.exists() else settings.state_dir).free
