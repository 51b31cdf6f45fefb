"""What is left of batches that nobody does any more: looked for and removed at the start, and when a removal failed."""

import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docker.errors import APIError

from containers.host.journal import Journal
from containers.sandbox.engine import Engine, EngineGone
from containers.sandbox.spec import LABEL_BATCH, LABEL_FENCE, LABEL_INSTANCE, LABEL_ROLE, PROBE

log = logging.getLogger(__name__)


class Leftovers:
    """Removes what has our label, or lies in the folder of batches, and is claimed by no journal entry."""

    def __init__(self, engine: Engine, journal: Journal, batches: Path, instance: str) -> None:
        self._engine = engine
        self._journal = journal
        self._batches = batches
        self._instance = instance
        self._unclean = threading.Event()

    def suspected(self) -> None:
        """Something could not be removed."""
        self._unclean.set()

    def remove_suspected(self) -> None:
        """Try again what could not be removed."""
        if self._unclean.is_set():
            self.remove()

    def remove(self, *, probes: bool = False) -> None:
        """Remove everything that nobody claims; probes only when there can be none of this worker's own.

        What exists is listed before the journal is read: an entry is written before its container is made, so
        nothing that is being started can be taken for abandoned.
        """
        folders = list(self._batches.iterdir())
        self._unclean.clear()
        try:
            containers, volumes = self._engine.labelled(f"{LABEL_INSTANCE}={self._instance}")
        except (EngineGone, APIError) as error:
            log.warning("Could not look for leftovers in the engine, will do later: %s", error)
            self._unclean.set()
            containers, volumes = [], []
        claimed = self._claimed()
        for container in containers:
            is_probe = container["Labels"].get(LABEL_ROLE) == PROBE
            if _stem(container["Labels"]) not in claimed and (probes or not is_probe):
                self._try_to_remove(self._engine.remove_container, container["Id"])
        for volume in volumes:
            if _stem(volume["Labels"] or {}) not in claimed:
                self._try_to_remove(self._engine.remove_volume, volume["Name"])
        for folder in folders:
            if folder.name not in claimed:
                shutil.rmtree(folder, ignore_errors=True)

    def _try_to_remove(self, remove: Callable[[str], None], name: str) -> None:
        """Remove one leftover; what an engine clings to (20.10 after a live restore) must not hold up the others."""
        try:
            remove(name)
        except (EngineGone, APIError) as error:
            log.warning("Could not remove %s, will be done later: %s", name, error)
            self._unclean.set()

    def _claimed(self) -> frozenset[str]:
        return frozenset(f"{one.batch}-{one.order['fence']}" for one in self._journal.entries() if one.order)


def _stem(labels: dict[str, Any]) -> str:
    return f"{labels.get(LABEL_BATCH)}-{labels.get(LABEL_FENCE)}"
