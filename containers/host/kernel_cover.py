"""Whether this host's containers see the kernel's own files, found out once for each worker.

An OCI runtime that cannot cover them still runs algorithms: then its programs see counters of the whole host.
"""

import logging
import threading
from dataclasses import replace
from pathlib import Path

from containers.sandbox import capabilities
from containers.sandbox.engine import Engine, EngineError
from containers.sandbox.spec import SandboxSettings, Slot
from containers.sandbox.staging import BatchFolder

log = logging.getLogger(__name__)


class KernelCover:
    """`batches_folder` takes the files of a probe, for its moment."""

    def __init__(self, engine: Engine, settings: SandboxSettings, batches_folder: Path) -> None:
        self._engine = engine
        self._settings = settings
        self._folder = batches_folder
        self._lock = threading.Lock()
        self._can: bool | None = None

    def settings(self, slot: Slot) -> SandboxSettings:
        """The settings of the next container: `hides_kernel` says whether the engine can do it."""
        with self._lock:
            if self._can is None:
                self._can = self._try(slot)
            return replace(self._settings, hides_kernel=self._can is not False)

    def _try(self, slot: Slot) -> bool | None:
        """None: the engine did not answer, and nothing is known."""
        try:
            folder = BatchFolder(self._folder, "kernel-probe", 0)
            why = capabilities.shows_kernel(self._engine, self._settings, slot, folder)
        except (EngineError, OSError) as error:
            log.warning("Could not find out whether the kernel's files can be covered, will do later: %s", error)
            return None
        if why is not None:
            log.warning(
                "Programs on this host see the kernel's counters of the whole host, unless their OCI runtime has a "
                "kernel of its own: %s Let it serve phases of public or of hidden cases, not both.",
                why,
            )
        return why is None
