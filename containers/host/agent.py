"""The worker, from its start to its end: picks up what an earlier worker left, carries out batches, shuts down.

Broker messages only say "there may be something to do for this batch". What this host has taken on is in the
journal, what runs is in the engine under our label, and the two are compared at the start: a container with a
journal entry is adopted, everything else with our label is removed.
"""

import fcntl
import logging
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

from containers.host.attempt import Attempt
from containers.host.config import ConfigurationError, Settings
from containers.host.hello import HelloLoop
from containers.host.journal import JournalEntry
from containers.host.leftovers import Leftovers
from containers.host.readiness import Readiness
from containers.host.resources import HostResources
from containers.host.slot_backoff import SlotBackoff
from containers.host.slots import SlotPool
from containers.protocol.orders import OrderRejected, parse_batch_id
from containers.sandbox import capabilities
from containers.sandbox.engine import Engine
from containers.sandbox.spec import Slot

log = logging.getLogger(__name__)


def open_state(folder: Path) -> IO[bytes]:
    """Create the state folder, closed to others, and lock it.

    Raises ConfigurationError if a worker has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        lock = (folder / "lock").open("wb")
    except OSError as error:
        raise ConfigurationError(f"REX_STATE_DIR: {error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ConfigurationError(f"REX_STATE_DIR: another worker uses {folder}.") from None
    return lock


class Agent:
    """One worker process. `start` once, then `run_batch` from any number of threads, then `shut_down`."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._lock_file = open_state(settings.state_dir)
        self._settings = settings
        self._host = HostResources.create(settings, engine)
        self._slots = SlotPool(settings.slots)
        self._attempts: dict[str, Attempt | None] = {}  # None: waits for a slot
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._readiness = Readiness(self._host)
        self._backoff = SlotBackoff(self._readiness.probe, self._closing)
        self._leftovers = Leftovers(engine, self._host.journal, self._host.batches_folder, settings.instance)

    # --- From start to end --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Introduce the host, adopt or remove what an earlier worker left.

        A server or an engine that does not answer does not hold up the start. An engine that cannot do what the
        settings say does: ConfigurationError.
        """
        if missing := self._readiness.missing_capability():
            raise ConfigurationError(missing)
        if capabilities.pipes_core_dumps():
            log.warning("Crashes of algorithms reach a program of this host: set kernel.core_pattern to core.")
        for entry in list(self._host.journal.entries()):
            self._resume(entry)
        self._leftovers.remove(probes=True)
        for slot in self._settings.slots:
            self._probe_before_use(slot)
        hello = HelloLoop(self._host, self._readiness, self._backoff, self._leftovers, self._closing)
        _in_background(hello.run)

    def shut_down(self) -> None:
        """Stop at once: running containers are left to the next worker, whoever waits returns."""
        self._closing.set()
        self._slots.wake()
        with self._lock:
            attempts = [attempt for attempt in self._attempts.values() if attempt is not None]
        for attempt in attempts:
            attempt.stop("detach")

    def close(self) -> None:
        """Let go of the state folder, after `shut_down` and when every `run_batch` has returned."""
        self._lock_file.close()

    @property
    def batches(self) -> frozenset[str]:
        """The batches that are being done or waiting for a slot."""
        with self._lock:
            return frozenset(self._attempts)

    @property
    def held(self) -> dict[str, str]:
        """The slots that take no work for now, each with the reason."""
        return self._backoff.held

    # --- Batches ------------------------------------------------------------------------------------------------

    def run_batch(self, batch: str) -> None:
        """Do a batch if it is there for us. Returns at once when this host is doing it already.

        Whatever happens is in the report to the server or in the log; nothing is raised for a batch.
        """
        try:
            batch = parse_batch_id(batch)
        except OrderRejected as error:
            log.warning("Ignoring a message: %s", error)
            return
        if batch in self.batches or self._readiness.problem():
            return  # the message will come again, here or at another host
        if not self._register(batch):
            return
        slot = self._slots.acquire(self._closing.is_set)
        if slot is None:
            self._unregister(batch)
        elif trouble := self._gpu_trouble(slot):
            self._unregister(batch)  # another slot may do it; the message will come again
            log.error("Slot %s takes no work: %s", slot.name, trouble)
            self._backoff.hold_back(slot, trouble)
            self._slots.release(slot)
        else:
            self._begin(batch, slot)

    def _gpu_trouble(self, slot: Slot) -> str | None:
        try:
            return self._readiness.gpu_stock.trouble(slot)
        except (OSError, ValueError) as error:  # no place for a temporary file, or an answer of another form
            return f"Its GPUs could not be looked at: {error}"

    def _begin(self, batch: str, slot: Slot) -> None:
        try:
            self._leftovers.retry_failed_removals()
            entry = self._host.journal.write(JournalEntry(batch=batch, key=str(uuid.uuid4()), slot=slot.name))
        except OSError as error:  # a full disk: nothing has been promised, and the server will ask again
            log.error("Batch %s: not begun: %s", batch, error)  # noqa: TRY400 - the place in the code says nothing
            self._unregister(batch)
            self._slots.release(slot)
            return
        self._carry_out(entry, slot)

    def _carry_out(self, entry: JournalEntry, slot: Slot) -> None:
        attempt = Attempt(self._host, entry, slot)
        try:
            with self._lock:
                self._attempts[entry.batch] = attempt
            if self._closing.is_set():
                attempt.stop("detach")
            if not attempt.carry_out():
                self._leftovers.note_failed_removal()
            if attempt.has_report and attempt.fault is None:
                self._backoff.succeeded(slot)
        finally:
            self._unregister(entry.batch)  # before a pause: another slot may do it
            if attempt.fault is not None:
                self._backoff.hold_back(slot, attempt.fault)
            self._slots.release(slot)

    def _resume(self, entry: JournalEntry) -> None:
        """Go on with a batch of an earlier worker, in a thread that holds its slot."""
        slot = self._slots.take(entry.slot)
        if slot is None:
            log.warning("Batch %s: its slot %s is no more; the batch is dropped.", entry.batch, entry.slot)
            self._host.journal.remove(entry.batch)
            return
        self._register(entry.batch)
        _in_background(lambda: self._carry_out(entry, slot))

    def _register(self, batch: str) -> bool:
        """Take note that a batch is being done here. Returns False if it was already."""
        with self._lock:
            if batch in self._attempts:
                return False
            self._attempts[batch] = None
            return True

    def _unregister(self, batch: str) -> None:
        with self._lock:
            del self._attempts[batch]

    def _probe_before_use(self, slot: Slot) -> None:
        """Try a slot that needs more than any engine has, in a thread, before it takes its first batch."""
        sandbox = self._settings.sandbox
        if (slot.gpus or sandbox.runtime or sandbox.apparmor) and self._slots.take(slot.name):

            def probe() -> None:
                self._backoff.hold_back(slot, "not tried yet")
                self._slots.release(slot)

            _in_background(probe)


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()
