"""Saying hello: what this host offers, told to the server again and again. A host that is silent gets no work.

While something is wrong with it, it offers no slot and says why; a slot that is held back is not offered. Between two
hellos, what could not be removed when its batch ended is tried once more: no batch may follow that would do it.
"""

import logging
import math
import threading
from contextlib import suppress
from typing import Final

from containers import __version__
from containers.host.client import Interrupted, ServerClient, ServerRefused
from containers.host.leftovers import Leftovers
from containers.host.readiness import Readiness
from containers.host.resources import HostResources
from containers.host.slot_backoff import SlotBackoff
from containers.sandbox.engine import Engine, EngineError

log = logging.getLogger(__name__)

#: Until the server has said how long a lease is.
FIRST_INTERVAL_SECONDS: Final = 20.0
MAX_TROUBLE_CHARACTERS: Final = 1000


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
        self._interval_seconds = FIRST_INTERVAL_SECONDS
        self._server_reads: frozenset[str] = frozenset()

    def run(self) -> None:
        """Say hello three times a lease."""
        server = self._host.server(self._closing.is_set)
        engine = _engine_version(self._host.engine)
        with suppress(Interrupted):
            while not self._closing.is_set():
                self._say_hello(server, engine)
                self._closing.wait(self._interval_seconds)
                self._leftovers.retry_failed_removals()

    def _say_hello(self, server: ServerClient, engine: str) -> None:
        problem, held = self._readiness.problem(), self._backoff.held
        slots = [] if problem else [slot for slot in self._host.settings.slots if slot.name not in held]
        gpus = self._readiness.gpu_stock.offer() if "gpus" in self._server_reads else None
        try:
            answer = server.hello(
                version=__version__,
                slots=[{"name": slot.name, "gpus": list(slot.gpus)} for slot in slots],
                engine=engine,
                free_bytes=self._host.free_bytes(),
                trouble=(problem or "; ".join(held.values()))[:MAX_TROUBLE_CHARACTERS],
                gpus=gpus,
            )
            self._interval_seconds = _interval_seconds(answer)
            self._server_reads = _reads(answer)
            log.debug("The server knows this host.")
        except ServerRefused as error:  # it may be half-way through an upgrade
            self._server_reads = frozenset()  # or back at a version of before
            log.error("The server does not accept this host, for now: %s", error)  # noqa: TRY400


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
