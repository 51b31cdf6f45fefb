"""Telling the server at intervals, and soon after progress, that a batch is alive and how far it is."""

import threading
import time
from collections.abc import Callable
from typing import Final, Self

#: A cancelled batch ends within about this time.
LONGEST_INTERVAL_SECONDS: Final = 3.0
#: Progress is told at once, but not more often than this.
SHORTEST_INTERVAL_SECONDS: Final = 0.5


class Heartbeat:
    """Calls `beat(done)` in a thread of its own while the context is open."""

    def __init__(self, beat: Callable[[int], None], lease_seconds: float) -> None:
        self._beat = beat
        self._interval = min(LONGEST_INTERVAL_SECONDS, lease_seconds / 4)
        self._done = 0
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._closed = True
        self._wake.set()

    def progressed(self, done: int) -> None:
        """The number of cases done has changed."""
        self._done = done
        self._wake.set()

    def _run(self) -> None:
        shortest = min(SHORTEST_INTERVAL_SECONDS, self._interval)
        last = time.monotonic()
        while True:
            self._wake.wait(self._interval)
            self._wake.clear()
            while not self._closed and time.monotonic() < last + shortest:
                time.sleep(0.02)
            if self._closed:
                return
            last = time.monotonic()
            self._beat(self._done)
