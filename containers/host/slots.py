"""The places in which this host runs containers, each held by one batch at a time."""

import threading
from collections.abc import Callable, Sequence

from containers.sandbox.spec import Slot


class SlotPool:
    """Hands out slots to threads."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._free = list(slots)
        self._changed = threading.Condition()

    def take(self, name: str) -> Slot | None:
        """The free slot of this name, or None."""
        with self._changed:
            slot = next((slot for slot in self._free if slot.name == name), None)
            if slot is not None:
                self._free.remove(slot)
            return slot

    def acquire(self, closing: Callable[[], bool]) -> Slot | None:
        """The next free slot; waits for one until `closing` says that the worker shuts down (None)."""
        with self._changed:
            self._changed.wait_for(lambda: self._free or closing())
            return None if closing() else self._free.pop(0)

    def release(self, slot: Slot) -> None:
        """Give a slot back."""
        with self._changed:
            self._free.append(slot)
            self._changed.notify_all()

    def wake(self) -> None:
        """Let those who wait ask again whether the worker shuts down."""
        with self._changed:
            self._changed.notify_all()
