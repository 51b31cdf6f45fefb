"""Saying hello: what this host offers, told to the server again and again. A host that is silent gets no work.

While something is wrong with it, it offers no slot and says why; a slot that is held back is not offered. With each
hello, what could not be removed when its batch ended is tried once more: no batch may follow that would do it. An
engine that hangs does not keep the host from saying so.
"""

import logging
import math
import threading
from contextlib import suppress
from typing import Final

from containers import __version__
from containers.host.client import Interrupted, ServerClient, ServerRefused
from containers.host.engine_watch import EngineWatch
from containers.host.leftovers import Leftovers
from containers.host.readiness import Readiness
from containers.host.resources import HostResources
from containers.host.slot_backoff import SlotBackoff
from containers.sandbox.engine import Engine, EngineError

log = logging.getLogger(__name__)

#: Until the server has said how long a lease is.
FIRST_INTERVAL_SECONDS: Final = 20.0
#: While something is wrong, or not said yet: the host is of little use until it has said that it is over.
SHORT_INTERVAL_SECONDS: Final = 5.0
MAX_TROUBLE_CHARACTERS: Final = 1000
#: What orders may ask for that a worker of before would refuse.
ABILITIES: Final = ("weights",)


class HelloLoop:
    """Call `run` in a thread of its own; it returns when `closing` is set."""

    def __init__(
        self,
        host: HostResources,
        readiness: Readiness,
        backoff: SlotBackoff,
        leftovers: Leftovers,
        closing: threading.Event,
    ) -> None:
        self._host = host
        self._readiness = readiness
        self._backoff = backoff
        self._leftovers = leftovers
        self._closing = closing
        self._engine_version = "not answering"
        self._watch = EngineWatch(host.engine, self._look)
        self._interval_seconds = FIRST_INTERVAL_SECONDS
        self._server_reads: frozenset[str] = frozenset()
        self._is_known = False

    def run(self) -> None:
        """Say hello three times a lease."""
        server = self._host.server(self._closing.is_set)
        with suppress(Interrupted):
            while not self._closing.is_set():
                has_more = self._say_hello(server)
                interval = self._interval_seconds
                self._closing.wait(min(interval, SHORT_INTERVAL_SECONDS) if has_more else interval)

    def _look(self) -> str | None:
        """Everything that asks the engine, as long as it may take."""
        self._leftovers.retry_failed_removals()
        problem = self._readiness.problem()
        self._engine_version = _engine_version(self._host.engine)
        return problem

    def _say_hello(self, server: ServerClient) -> bool:
        """Say hello; whether there is soon more to say: that something is over, or what the server reads beside it."""
        problem, held = self._watch.problem(), self._backoff.held
        slots = [] if problem else [slot for slot in self._host.settings.slots if slot.name not in held]
        reads = self._server_reads
        gpus = self._readiness.gpu_stock.offer() if "gpus" in reads else None
        can = ABILITIES if "can" in reads else None
        try:
            answer = server.hello(
                version=__version__,
                slots=[{"name": slot.name, "gpus": list(slot.gpus)} for slot in slots],
                engine=self._engine_version,
                free_bytes=self._free_bytes(),
                trouble=(problem or "; ".join(held.values()))[:MAX_TROUBLE_CHARACTERS],
                gpus=gpus,
                can=can,
                machine=self._machine() if "machine" in reads else None,
            )
            self._interval_seconds = _interval_seconds(answer)
            self._server_reads = _reads(answer)
            if not self._is_known:  # said once, whoever sets the host up waits for it
                log.info("The server knows this host.")
            self._is_known = True
        except ServerRefused as error:  # it may be half-way through an upgrade
            self._is_known = False
            self._server_reads = frozenset()  # or back at a version of before
            log.error("The server does not accept this host, for now: %s", error)  # noqa: TRY400
        return problem is not None or self._server_reads != reads

    def _machine(self) -> dict[str, int] | None:
        """Memory, disk and caches; None while the disk cannot be asked."""
        try:
            return self._host.machine()
        except OSError:
            return None

    def _free_bytes(self) -> int | None:
        """What the worker's disk has free; None while it cannot be asked, which must not silence the host."""
        try:
            return self._host.free_bytes()
        except OSError as error:
            log.warning("The worker's disk cannot be asked: %s", error)
            return None


def _interval_seconds(answer: object) -> float:
    """A third of the lease; an answer that does not name one must not end the loop."""
    lease = answer.get("lease_seconds") if isinstance(answer, dict) else None
    if isinstance(lease, int | float) and math.isfinite(lease) and lease > 0:
        return lease / 3
    return FIRST_INTERVAL_SECONDS


def _reads(answer: object) -> frozenset[str]:
    """The further fields of a hello that the server takes: one of before refuses what it does not know."""
    reads = answer.get("reads") if isinstance(answer, dict) else None
    return frozenset(field for field in reads if isinstance(field, str)) if isinstance(reads, list) else frozenset()


def _engine_version(engine: Engine) -> str:
    try:
        return engine.version()
    except EngineError as error:
        return f"not answering: {error}"
