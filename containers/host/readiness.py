"""Whether a new batch may begin on this host, and whether a slot works."""

import logging

from containers.host.engine_watch import silence_of
from containers.host.gpu_stock import GpuStock
from containers.host.resources import HostResources, engine_free_bytes
from containers.protocol.sizes import decimal_size
from containers.sandbox import capabilities
from containers.sandbox.engine import EngineError
from containers.sandbox.spec import Slot

log = logging.getLogger(__name__)


class Readiness:
    """Answers with one sentence on what is wrong, for organisers."""

    def __init__(self, host: HostResources) -> None:
        self._host = host
        self.gpu_stock = GpuStock(host)

    def problem(self) -> str | None:
        """Why no new batch may begin here, after unused files and images have made room; None when one may."""
        if silence := silence_of(self._host.engine):  # all other questions would wait for minutes
            log.error("No new batch is begun: %s", silence)
            return silence
        if missing := self.missing_capability():  # the engine may have been restarted with other settings
            log.error("No new batch is begun: %s", missing)
            return missing
        wanted = self._host.settings.images.free_bytes
        self._host.blob_cache.evict(wanted)
        self._host.weights_cache.evict()
        try:
            self._host.image_cache.evict()
            free = min(engine_free_bytes(self._host.settings, self._host.engine), self._host.free_bytes())
        except EngineError as error:
            log.warning("Could not look after the images, will do later: %s", error)
            return None  # it answered a moment ago; that it does not any more is noticed elsewhere
        if free >= wanted:
            return None
        log.error("Only %s free (REX_FREE_BYTES): no new batch is begun, what runs goes on.", decimal_size(free))
        return f"It is short of disk space: {decimal_size(free)} free (REX_FREE_BYTES)."

    def missing_capability(self) -> str | None:
        """What the engine lacks of what the settings say, as far as it answers."""
        try:
            return capabilities.cannot_execute(self._host.settings.state_dir) or capabilities.missing_capability(
                self._host.engine, self._host.settings.sandbox
            )
        except EngineError as error:
            log.warning("Could not ask the engine what it can do, will do later: %s", error)
            return None

    def probe(self, slot: Slot) -> str | None:
        """Why a container of ours does not run on a slot now, or an algorithm's must not."""
        try:
            refusal = capabilities.probe_slot(self._host.engine, self._host.settings.sandbox, slot, slot.gpus)
        except EngineError as error:
            return f"The container engine does not answer: {error}"
        return refusal or self.gpu_stock.trouble(slot)
