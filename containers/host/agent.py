"""The worker's day: start, pick up what an earlier worker left, carry out batches, step out.

Broker messages only say "there may be something to do for this batch". What this host has promised is in the
journal, what runs is in the engine under our label, and the two are compared at the start: a container with a
journal entry is adopted, everything else with our label is removed.
"""

import fcntl
import logging
import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

from docker.errors import APIError

from containers import __version__
from containers.host.attempt import Attempt, Host
from containers.host.blob_cache import BlobCache
from containers.host.client import Interrupted, Revoked, Server, ServerRefused
from containers.host.config import ConfigurationError, Settings
from containers.host.image_cache import ImageShelf
from containers.host.journal import Entry, Journal
from containers.host.leftovers import Leftovers
from containers.host.slot_backoff import Caution
from containers.host.slots import SlotPool
from containers.protocol.orders import OrderRejected, batch_id
from containers.sandbox import capabilities
from containers.sandbox.engine import Engine, EngineGone
from containers.sandbox.images import EngineFault
from containers.sandbox.spec import Slot

log = logging.getLogger(__name__)

HELLO_SECONDS = 20.0  # until the server has said how often


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
        self._host = Host(
            settings=settings,
            engine=engine,
            cache=BlobCache(settings.state_dir / "cache", settings.cache_bytes),
            shelf=ImageShelf(
                settings.state_dir / "images",
                engine.docker,
                settings.instance,
                settings.images,
                self._engine_free_bytes,
            ),
            journal=Journal(settings.state_dir / "journal"),
            batches=settings.state_dir / "batches",
            loading=threading.Lock(),
        )
        self._host.batches.mkdir(exist_ok=True)
        self._slots = SlotPool(settings.slots)
        self._attempts: dict[str, Attempt | None] = {}
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._leftovers = Leftovers(engine, self._host.journal, self._host.batches, settings.instance)
        self._caution = Caution(self._refusal, self._closing)

    def start(self) -> None:
        """Introduce the host, adopt or remove what an earlier worker left.

        A server or an engine that does not answer does not hold up the start. An engine that cannot do what the
        settings say does: ConfigurationError.
        """
        if unmet := self._unmet():
            raise ConfigurationError(unmet)
        if capabilities.hands_crashes_on():
            log.warning("Crashes of algorithms reach a program of this host: set kernel.core_pattern to core.")
        for entry in list(self._host.journal.entries()):
            self._resume(entry)
        self._leftovers.remove(probes=True)
        for slot in self._settings.slots:
            self._prove(slot)
        self._in_background(self._hello)

    def shut_down(self) -> None:
        """Step out: running containers are left to the next worker, whoever waits returns."""
        self._closing.set()
        self._slots.wake()
        with self._guard:
            attempts = [attempt for attempt in self._attempts.values() if attempt is not None]
        for attempt in attempts:
            attempt.stop("detach")

    @property
    def batches(self) -> frozenset[str]:
        """The batches that are being done or waiting for a slot."""
        with self._guard:
            return frozenset(self._attempts)

    @property
    def held(self) -> dict[str, str]:
        """The slots that take no work for now, each with the reason."""
        return self._caution.held

    def close(self) -> None:
        """Let go of the state folder, after `shut_down` and when every `run_batch` has returned."""
        self._lock_file.close()

    def run_batch(self, batch: str) -> None:
        """Do a batch if it is there for us. Returns at once when this host is doing it already.

        Whatever happens is in the report to the server or in the log; nothing is raised for a batch.
        """
        try:
            batch = batch_id(batch)
        except OrderRejected as error:
            log.warning("Ignoring a message: %s", error)
            return
        with self._guard:
            if batch in self._attempts:
                return
        if self._trouble():
            return  # the bell rings again, here or at another host
        with self._guard:
            if batch in self._attempts:
                return
            self._attempts[batch] = None
        slot = self._slots.acquire(self._closing.is_set)
        if slot is None:
            with self._guard:
                del self._attempts[batch]
            return
        try:
            self._leftovers.remove_suspected()
            entry = self._host.journal.write(Entry(batch=batch, key=str(uuid.uuid4()), slot=slot.name))
        except OSError as error:  # a full disk: nothing has been promised, and the server will ask again
            log.error("Batch %s: not begun: %s", batch, error)  # noqa: TRY400 - the place in the code says nothing
            self._let_go(batch)
            self._slots.release(slot)
            return
        self._carry_out(entry, slot)

    def _carry_out(self, entry: Entry, slot: Slot) -> None:
        attempt = Attempt(self._host, entry, slot)
        try:
            with self._guard:
                self._attempts[entry.batch] = attempt
            if self._closing.is_set():
                attempt.stop("detach")
            if not attempt.carry_out():
                self._leftovers.suspected()
            if attempt.fault == "":
                self._caution.well(slot)
        finally:
            self._let_go(entry.batch)  # before a pause: another slot may do it
            if attempt.fault:
                self._caution.hold(slot, attempt.fault)
            self._slots.release(slot)

    def _let_go(self, batch: str) -> None:
        with self._guard:
            del self._attempts[batch]

    def _prove(self, slot: Slot) -> None:
        """Try a slot that needs more than any engine has, in a thread, before it takes its first batch."""
        sandbox = self._settings.sandbox
        if (slot.gpus or sandbox.runtime or sandbox.apparmor) and self._slots.take(slot.name):

            def hold() -> None:
                self._caution.hold(slot, "not tried yet")
                self._slots.release(slot)

            self._in_background(hold)

    def _refusal(self, slot: Slot) -> str | None:
        """Why a container of ours does not run on a slot now."""
        try:
            return capabilities.refusal(self._host.engine, self._settings.sandbox, slot, slot.gpus)
        except (EngineGone, APIError) as error:
            return f"The container engine does not answer: {error}"

    def _unmet(self) -> str | None:
        """What the engine lacks of what the settings say, as far as it answers."""
        try:
            return capabilities.unmet(self._host.engine, self._settings.sandbox)
        except (EngineGone, APIError) as error:
            log.warning("Could not ask the engine what it can do, will do later: %s", error)
            return None

    def _resume(self, entry: Entry) -> None:
        """Go on with a batch of an earlier worker, in a thread that holds its slot."""
        slot = self._slots.take(entry.slot)
        if slot is None:
            log.warning("Batch %s: its slot %s is no more; the batch is dropped.", entry.batch, entry.slot)
            self._host.journal.remove(entry.batch)
            return
        with self._guard:
            self._attempts[entry.batch] = None
        self._in_background(lambda: self._carry_out(entry, slot))

    def _engine_free_bytes(self) -> int:
        """Free space on the engine's disk; on our own where the engine's is not to be seen from here."""
        folder = self._settings.docker_root or self._host.engine.data_folder()
        return shutil.disk_usage(folder if folder.exists() else self._settings.state_dir).free

    def _trouble(self) -> str:
        """Why no new batch may begin here, after what nobody uses has made room; empty when one may."""
        if unmet := self._unmet():  # the engine may have been restarted with other settings
            log.error("No new batch is begun: %s", unmet)
            return unmet
        wanted = self._settings.images.free_bytes
        self._host.cache.shrink(wanted)
        try:
            self._host.shelf.tidy()
            free = min(self._engine_free_bytes(), shutil.disk_usage(self._settings.state_dir).free)
        except (EngineFault, EngineGone, APIError) as error:
            log.warning("Could not look after the images, will do later: %s", error)
            return ""  # an engine that is away is noticed, and blamed, elsewhere
        if free >= wanted:
            return ""
        log.error("Only %.1f GB free (REX_FREE_BYTES): no new batch is begun, what runs goes on.", free / 1e9)
        return f"It is short of disk space: {free / 1e9:.1f} GB free (REX_FREE_BYTES)."

    def _hello(self) -> None:
        """Say what this host offers, again and again: a host that is silent for a lease gets no work.

        Between the words, what could not be removed when its batch ended is tried once more: no batch may follow.
        While something is wrong with it, it offers no slot and says why; a slot that is held back is not offered.
        """
        server = Server(self._settings.server_url, self._settings.token, interrupted=self._closing.is_set)
        try:
            engine = self._host.engine.version()
        except (EngineGone, APIError) as error:
            engine = f"not answering: {error}"
        pause = HELLO_SECONDS
        try:
            while not self._closing.is_set():
                trouble, held = self._trouble(), self._caution.held
                slots = [] if trouble else [slot for slot in self._settings.slots if slot.name not in held]
                offered = [{"name": slot.name, "gpus": list(slot.gpus)} for slot in slots]
                said = (trouble or "; ".join(held.values()))[:1000]
                free = shutil.disk_usage(self._settings.state_dir).free
                try:
                    answer = server.hello(
                        version=__version__, slots=offered, engine=engine, free_bytes=free, trouble=said
                    )
                    pause = answer["lease_seconds"] / 3
                    log.debug("The server knows this host.")
                except ServerRefused as error:  # it may be half-way through an upgrade
                    log.error("The server does not accept this host, for now: %s", error)  # noqa: TRY400
                self._closing.wait(pause)
                self._leftovers.remove_suspected()
        except Interrupted:
            pass
        except Revoked:
            log.critical("The server does not accept this host's token (REX_HOST_TOKEN); it will get no work.")

    def _in_background(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, daemon=True).start()
