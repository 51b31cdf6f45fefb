"""Watching a running container until it ends, by whoever's doing.

Three sources of events meet in one queue: the holder's log (which files have appeared), the engine's word
that the algorithm ended, and a stop from outside (the batch was cancelled, or this worker shuts down). The
watcher sleeps until one of them or the case clock wakes it; nothing is polled. A watcher that starts late,
because the worker was restarted, reads the holder's log from its beginning and is in the same position as one
that was there all the time.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Literal

from docker.errors import APIError

from containers.protocol.orders import Order
from containers.sandbox.case_clock import CaseClock
from containers.sandbox.engine import Engine, EngineGone
from containers.sandbox.spec import Names

log = logging.getLogger(__name__)

#: "drop": end the container, its results are of no use any more. "detach": leave it running for the next
#: worker.
Stop = Literal["drop", "detach"]
#: An engine that takes longer to answer was away, and did not pass on the holder's words meanwhile.
AWAY_SECONDS = 2.0
#: A killed process that holds a device may need a while to die.
DEATH_SECONDS = 60.0


class Stopped(Exception):
    """The run was stopped from outside; the argument is a Stop."""

    def __init__(self, how: Stop) -> None:
        super().__init__(how)
        self.how = how


class Undying(Exception):
    """The container does not end although it was killed."""


@dataclass(frozen=True)
class Appeared:
    """Line of the holder's log: the file of this case exists."""

    index: int
    stamp: float


@dataclass(frozen=True)
class Full:
    """Line of the holder's log: the output volume is full."""


@dataclass(frozen=True)
class Ended:
    """The algorithm's container ended, or the engine is gone for good (`error`)."""

    error: EngineGone | None = None


Event = Appeared | Full | Ended | Stopped


class Watcher:
    """Follows one algorithm container that has been started."""

    def __init__(self, engine: Engine, order: Order, names: Names, on_progress: Callable[[int], None]) -> None:
        self.engine = engine
        self.clock = CaseClock(order.limits, len(order.cases))
        self.full = False
        self._names = names
        self.on_progress = on_progress
        self._events: Queue[Event] = Queue()
        self._started = 0.0
        self._zero = 0.0

    def stop(self, how: Stop) -> None:
        """End the watching from any thread; the watcher raises Stopped."""
        self._events.put(Stopped(how))

    def until_end(self, started: float, *, age: float = 0.0) -> tuple[str, int] | None:
        """Return when the container has ended: None, or the clock's code and the case for which we killed it.

        `started` is its start in the engine's time, `age` the seconds since then. Raises Stopped, EngineGone,
        Undying.
        """
        self._started, self._zero = started, time.monotonic() - age
        for source in (self._follow_holder, self._wait_for_end):
            threading.Thread(target=source, name=f"{source.__name__}-{self._names.algorithm}", daemon=True).start()
        killed: tuple[str, int] | None = None
        dead_by = 0.0
        while True:
            until = dead_by if killed else self._zero + self.clock.deadline
            try:
                event = self._events.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                if killed:
                    raise Undying(self._names.algorithm) from None
                if self._is_late():
                    killed, dead_by = self._kill(), time.monotonic() + DEATH_SECONDS
                continue
            if isinstance(event, Ended):
                if event.error:
                    raise event.error
                return killed
            if isinstance(event, Stopped):
                raise event
            self._take(event)

    def read_holder(self) -> int:
        """Read the holder's log as it is now. Returns the number of files not known before. Raises EngineGone."""
        known = self.clock.case
        with contextlib.suppress(APIError):
            lines = self.engine.patiently(lambda: list(self.engine.log_lines(self._names.holder, follow=False)))
            for stamp, line in lines:
                if event := _parse(stamp, line):
                    self._take(event)
        return self.clock.case - known

    def _is_late(self) -> bool:
        """Whether the case in progress is really late, and not only the news of its file, or the engine."""
        asked = time.monotonic()
        if self.read_holder():
            return False
        if (away := time.monotonic() - asked) > AWAY_SECONDS:
            self.clock.forgive(away + AWAY_SECONDS)
        return time.monotonic() - self._zero > self.clock.deadline

    def _take(self, event: Appeared | Full) -> None:
        if isinstance(event, Full):
            self.full = True
            return
        now = time.monotonic() - self._zero
        if self.clock.file_appeared(event.index, appeared=event.stamp - self._started, noticed=now):
            self.full = False  # whatever was full, the case was finished in spite of it
            self.on_progress(self.clock.case)

    def _kill(self) -> tuple[str, int]:
        killed = (self.clock.code, self.clock.case)
        self.engine.kill(self._names.algorithm)
        return killed

    def _wait_for_end(self) -> None:
        try:
            self.engine.wait(self._names.algorithm)
            self._events.put(Ended())
        except (EngineGone, APIError) as error:
            self._events.put(Ended(error if isinstance(error, EngineGone) else EngineGone(str(error))))

    def _follow_holder(self) -> None:
        """Queue the holder's lines; after a broken connection from the start, as repeats do no harm."""
        while True:
            try:
                for stamp, line in self.engine.log_lines(self._names.holder, follow=True):
                    if event := _parse(stamp, line):
                        self._events.put(event)
            except (EngineGone, APIError) as error:
                log.debug("The log of %s broke off: %s", self._names.holder, error)
            try:
                state = self.engine.inspect(self._names.holder)
            except (EngineGone, APIError):
                return  # the thread that waits for the end says so
            if state is None or not state.running:
                return
            time.sleep(0.05)


def _parse(stamp: float, line: str) -> Appeared | Full | None:
    if line == "full":
        return Full()
    return Appeared(int(line), stamp) if line.isascii() and line.isdigit() else None
