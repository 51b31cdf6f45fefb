"""What is left of batches that nobody does any more: looked for and removed at the start, and when a removal failed."""

import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from containers.host.journal import Journal
from containers.sandbox.engine import Engine, EngineError
from containers.sandbox.spec import LABEL_BATCH, LABEL_FENCE, LABEL_INSTANCE, LABEL_ROLE, PROBE

log = logging.getLogger(__name__)


class Leftovers:
    """Removes what has our label, or lies in the folder of batches, and belongs to no journal entry."""

    def __init__(self, engine: Engine, journal: Journal, batches_folder: Path, instance: str) -> None:
        self._engine = engine
        self._journal = journal
        self._batches_folder = batches_folder
        self._instance = instance
        self._unclean = threading.Event()

    def note_failed_removal(self) -> None:
        """Something of a batch could not be removed."""
        self._unclean.set()

    def retry_failed_removals(self) -> None:
        """Try again what could not be removed."""
        if self._unclean.is_set():
            self.remove()

    def remove(self, *, probes: bool = False) -> None:
        """Remove everything that belongs to no entry; probes only when there can be none of this worker's own.

        What exists is listed before the journal is read: an entry is written before its container is made, so
        nothing that is being started can be taken for abandoned.
        """
        folders = list(self._batches_folder.iterdir())
        self._unclean.clear()
        try:
            containers, volumes = self._engine.labelled(f"{LABEL_INSTANCE}={self._instance}")
        except EngineError as error:
            log.warning("Could not look for leftovers in the engine, will do later: %s", error)
            self._unclean.set()
            containers, volumes = [], []
        current = self._current()
        for container in containers:
            is_probe = container["Labels"].get(LABEL_ROLE) == PROBE
            if _stem(container["Labels"]) not in current and (probes or not is_probe):
                self._try_to_remove(self._engine.remove_container, container["Id"])
        for volume in volumes:
            if _stem(volume["Labels"] or {}) not in current:
                self._try_to_remove(self._engine.remove_volume, volume["Name"])
        for folder in folders:
            if folder.name not in current:
                shutil.rmtree(folder, ignore_errors=True)

    def _try_to_remove(self, remove: Callable[[str], None], name: str) -> None:
        """Remove one leftover; what an engine does not let go of (20.10 after a live restore) holds up no other."""
        try:
            remove(name)
        except EngineError as error:
            log.warning("Could not remove %s, will be done later: %s", name, error)
            self._unclean.set()

    def _current(self) -> frozenset[str]:
        return frozenset(f"{entry.batch}-{entry.order['fence']}" for entry in self._journal.entries() if entry.order)


def _stem(labels: dict[str, Any]) -> str:
    return f"{labels.get(LABEL_BATCH)}-{labels.get(LABEL_FENCE)}"
