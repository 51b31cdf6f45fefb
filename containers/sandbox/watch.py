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
from typing import Final, Literal

from containers.protocol.faults import HostFault
from containers.protocol.orders import Order
from containers.sandbox.case_clock import CaseClock, Timeout
from containers.sandbox.engine import Engine, EngineError, EngineRefused, EngineUnavailable
from containers.sandbox.spec import Names

log = logging.getLogger(__name__)

#: "drop": end the container, its results are of no use any more. "detach": leave it running for the next
#: worker.
StopMode = Literal["drop", "detach"]
#: An engine that takes longer to answer was away, and did not pass on the holder's log meanwhile.
AWAY_SECONDS: Final = 2.0
#: A killed process that holds a device may need a while to die.
KILL_SECONDS: Final = 60.0


class Stopped(Exception):
    """The run was stopped from outside; `mode` says how."""

    def __init__(self, mode: StopMode) -> None:
        super().__init__(mode)
        self.mode = mode


class ContainerSurvivedKill(HostFault):
    """The container does not end although it was killed."""


@dataclass(frozen=True)
class FileAppeared:
    """Line of the holder's log: the file of the case with this index exists. `stamp`: seconds of the engine's clock."""

    index: int
    stamp: float


@dataclass(frozen=True)
class OutputFull:
    """Line of the holder's log: the output volume is full."""


@dataclass(frozen=True)
class Ended:
    """The algorithm's container ended, or the engine is gone for good (`error`)."""

    error: EngineUnavailable | None = None


Event = FileAppeared | OutputFull | Ended | Stopped


class Watcher:
    """Follows one algorithm container that has been started.

    `on_progress` is told the number of files that have appeared. `output_full`: the volume is full during the case in
    progress.
    """

    def __init__(self, engine: Engine, order: Order, names: Names, on_progress: Callable[[int], None]) -> None:
        self.clock = CaseClock(order.limits, len(order.cases))
        self.output_full = False
        self.on_progress = on_progress
        self._engine = engine
        self._names = names
        self._events: Queue[Event] = Queue()
        self._started = 0.0  # the container's start by the engine's clock, in seconds since 1970
        self._begun = 0.0  # the same moment by this process's monotonic clock

    def stop(self, mode: StopMode) -> None:
        """End the watching from any thread; the watcher raises Stopped."""
        self._events.put(Stopped(mode))

    def until_end(self, started: float, *, age: float = 0.0) -> Timeout | None:
        """Return when the container has ended: None, or the clock for which we killed it.

        `started` is its start in the engine's time, `age` the seconds since then. Raises Stopped, EngineUnavailable,
        ContainerSurvivedKill.
        """
        self._started, self._begun = started, time.monotonic() - age
        for source in (self._follow_holder, self._wait_for_end):
            threading.Thread(target=source, name=f"{source.__name__}-{self._names.algorithm}", daemon=True).start()
        killed: Timeout | None = None
        dead_by = 0.0
        while True:
            match self._next_event(until=dead_by if killed else self._begun + self.clock.deadline):
                case Ended(error=None):
                    return killed
                case Ended(error=EngineUnavailable() as error):
                    raise error
                case Stopped() as stopped:
                    raise stopped
                case FileAppeared() | OutputFull() as event:
                    self._take(event)
                case None:
                    if killed:
                        raise ContainerSurvivedKill("The container was killed but does not end.")
                    if self._is_late():
                        killed = self.clock.timeout
                        self._engine.kill_container(self._names.algorithm)
                        dead_by = time.monotonic() + KILL_SECONDS

    def read_holder(self) -> int:
        """Read the holder's log as it is now. Returns how many files were new. Raises EngineUnavailable."""
        known = self.clock.case
        with contextlib.suppress(EngineRefused):
            for stamp, line in self._engine.log_so_far(self._names.holder):
                if event := _parse(stamp, line):
                    self._take(event)
        return self.clock.case - known

    def _next_event(self, *, until: float) -> Event | None:
        try:
            return self._events.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            return None

    def _is_late(self) -> bool:
        """Whether the case in progress is really late, and not only the news of its file, or the engine."""
        asked = time.monotonic()
        if self.read_holder():
            return False
        if (away := time.monotonic() - asked) > AWAY_SECONDS:
            self.clock.extend(away + AWAY_SECONDS)
        return time.monotonic() - self._begun > self.clock.deadline

    def _take(self, event: FileAppeared | OutputFull) -> None:
        if isinstance(event, OutputFull):
            self.output_full = True
            return
        now = time.monotonic() - self._begun
        if self.clock.file_appeared(event.index, appeared=event.stamp - self._started, noticed=now):
            self.output_full = False  # whatever was full, the case was finished in spite of it
            self.on_progress(self.clock.case)

    def _wait_for_end(self) -> None:
        try:
            self._engine.wait_for_end(self._names.algorithm)
            self._events.put(Ended())
        except EngineUnavailable as error:
            self._events.put(Ended(error))
        except EngineRefused as error:
            self._events.put(Ended(EngineUnavailable(str(error))))

    def _follow_holder(self) -> None:
        """Queue the holder's lines; after a broken connection from the start, as repeats do no harm."""
        while True:
            try:
                for stamp, line in self._engine.log_lines(self._names.holder, follow=True):
                    if event := _parse(stamp, line):
                        self._events.put(event)
            except EngineError as error:
                log.debug("The log of %s broke off: %s", self._names.holder, error)
            try:
                state = self._engine.inspect_container(self._names.holder)
            except EngineError:
                return  # the thread that waits for the end says so
            if state is None or not state.running:
                return
            time.sleep(0.05)


def _parse(stamp: float, line: str) -> FileAppeared | OutputFull | None:
    if line == "full":
        return OutputFull()
    return FileAppeared(int(line), stamp) if line.isascii() and line.isdigit() else None
