"""Slots on which our own faults follow one another are held back.

A host with a broken engine or GPU ends every batch at once, so it would be the quickest to ask for the next, and halt
one run after the other while healthy hosts are busy. After a fault of ours a slot therefore takes nothing until a pause
is over, and a container of ours (a probe) has run on it. The pause grows with every fault in a row; a probe that fails
is one more. A batch without a fault of ours ends the row.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from containers.sandbox.spec import Slot

log = logging.getLogger(__name__)

#: Seconds without work after the first, second, ... fault in a row.
PAUSES_SECONDS: Final = (0, 1, 5, 15, 60, 300)


class SlotBackoff:
    """Counts faults in a row for each slot. `probe` says what is wrong with one now, or None."""

    def __init__(self, probe: Callable[[Slot], str | None], closing: threading.Event) -> None:
        self._probe = probe
        self._closing = closing
        self._faults: dict[str, int] = {}
        self._held: dict[str, str] = {}

    @property
    def held(self) -> dict[str, str]:
        """The slots that are held back, each with the reason."""
        return dict(self._held)

    def succeeded(self, slot: Slot) -> None:
        """A batch was done there without a fault of ours."""
        self._faults.pop(slot.name, None)

    def hold_back(self, slot: Slot, reason: str) -> None:
        """Return when the slot may be used again after a fault of ours, or when the worker shuts down."""
        try:
            while True:
                faults = self._faults[slot.name] = self._faults.get(slot.name, 0) + 1
                self._held[slot.name] = f"{slot.name} rests after {faults} x {reason}"
                if self._closing.wait(PAUSES_SECONDS[min(faults, len(PAUSES_SECONDS)) - 1]):
                    return
                if (found := self._probe(slot)) is None:
                    return
                reason = found
                log.error("Slot %s takes no work: %s", slot.name, reason)
        finally:
            del self._held[slot.name]
