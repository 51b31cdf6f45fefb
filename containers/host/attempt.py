"""One attempt at a batch, top to bottom: claim, fetch, run, deliver, clean up.

Every step is set down in the journal before it is taken, so an attempt can be picked up by the next worker at
the step where this one died. The server may call it off at any time (a heartbeat answered with 409); a worker
that shuts down steps out and leaves the container running.
"""

import errno
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from docker.errors import APIError

from containers.host.blob_cache import BlobCache, CacheFull, Corrupt
from containers.host.client import Interrupted, Missing, NoAnswer, Revoked, Server, ServerRefused, Stale
from containers.host.config import Settings
from containers.host.heartbeat import Heartbeat
from containers.host.image_cache import ImageShelf
from containers.host.journal import Entry, Journal
from containers.intake.errors import ImageRejected
from containers.protocol.orders import Image, Order, OrderCase, OrderRejected, parse_order
from containers.protocol.reports import Report, faulty, parse_report, unusable
from containers.sandbox.engine import Engine, EngineGone
from containers.sandbox.images import EngineFault, load_image
from containers.sandbox.run import Run
from containers.sandbox.spec import Slot
from containers.sandbox.staging import BatchFolder
from containers.sandbox.watch import Stop, Stopped

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Host:
    """What the attempts of one worker share."""

    settings: Settings
    engine: Engine
    cache: BlobCache
    shelf: ImageShelf
    journal: Journal
    batches: Path
    loading: threading.Lock  # one image at a time: two slots often need the same one

    def server(self, attempt: "Attempt | None" = None) -> Server:
        """A connection to the server, for one thread."""
        interrupted = attempt.is_stopped if attempt else lambda: False
        return Server(self.settings.server_url, self.settings.token, interrupted=interrupted)


class InputUnavailable(Exception):
    """A case's volume could not be fetched."""


class ImageUnavailable(Exception):
    """The image could not be fetched."""


class Attempt:
    """One batch on one slot. `carry_out` is called once; `stop` from any thread."""

    def __init__(self, host: Host, entry: Entry, slot: Slot) -> None:
        self.host = host
        self.entry = entry
        self.slot = slot
        self._server = host.server(self)
        self._heart_server = host.server()  # for the heartbeat's thread
        self._folder: BatchFolder | None = None
        self._run: Run | None = None
        self._stopped: Stop | None = None
        self._heartbeat: Heartbeat | None = None
        #: The fault of ours that ended it; empty when it was done without one, None when that was not found out.
        self.fault: str | None = None

    def stop(self, how: Stop) -> None:
        """Call the attempt off ("drop") or leave it to the next worker ("detach")."""
        self._stopped = self._stopped or how
        if (run := self._run) is not None:
            run.stop(self._stopped)

    def is_stopped(self) -> bool:
        """Whether the attempt has been called off."""
        return self._stopped is not None

    def carry_out(self) -> bool:
        """Do it all. Returns whether everything was cleaned up, as far as there was something to clean up."""
        batch = self.entry.batch
        try:
            order = self._claim()
            with Heartbeat(lambda done: self._beat(order, done), order.lease_seconds) as self._heartbeat:
                return self._execute_and_deliver(order)
        except (Stopped, Interrupted):
            log.info("Batch %s: stopped (%s).", batch, self._stopped)
        except Stale as error:
            log.info("Batch %s is not ours: %s", batch, error)
        except Revoked:
            log.critical("Batch %s: the server does not accept this host's token (REX_HOST_TOKEN).", batch)
        except (ServerRefused, OrderRejected) as error:
            log.warning("Batch %s: dropped: %s", batch, error)
        except Exception:
            self.fault = "internal"
            log.exception("Batch %s: dropped after an unexpected error.", batch)
        if self._stopped == "detach":
            return True
        return self._forget()

    # --- Claim and deliver ----------------------------------------------------------------------------------

    def _claim(self) -> Order:
        entry = self.entry
        raw = entry.order or self._server.claim(entry.batch, key=entry.key, slot=self.slot.name)
        try:
            order = _order_for(entry.batch, raw)
            self.entry = self.host.journal.write(replace(entry, order=raw))
        except (OrderRejected, OSError) as error:
            self._give_back(raw, error)
            raise
        return order

    def _give_back(self, raw: dict[str, Any], error: Exception) -> None:
        """Say why a claimed batch cannot even begin here; else the server would only see a lease that is lost."""
        fence = raw.get("fence")
        self.fault = _fault_of(error) if isinstance(error, OSError) else "order_unreadable"
        if type(fence) is int:
            self._server.report(self.entry.batch, faulty(fence, (), self.fault, str(error)))

    def _execute_and_deliver(self, order: Order) -> bool:
        """Deliver the results while the engine's objects are being removed; forget the batch when both are done."""
        self._folder = folder = BatchFolder(self.host.batches, order.batch, order.fence)
        adopted = self.entry.report is not None
        report = parse_report(self.entry.report) if adopted else self._execute(order, folder)
        self.fault = report.fault.code if report.fault else ""
        if not adopted:
            self._set_down(report)
        with ThreadPoolExecutor(1) as pool:
            removal = pool.submit(self._remove_from_engine, order, folder)
            try:
                self._deliver(order, report, folder)
            finally:
                clean = removal.result()
        folder.remove()
        self.host.journal.remove(order.batch)
        return clean

    def _set_down(self, report: Report) -> None:
        """Keep the report for a worker that may have to deliver it later; a full disk is no reason not to do it now."""
        try:
            self.entry = self.host.journal.write(replace(self.entry, report=report.to_json()))
        except OSError as error:
            log.warning("Batch %s: its report could not be kept: %s", self.entry.batch, error)

    def _deliver(self, order: Order, report: Report, folder: BatchFolder) -> None:
        """Upload the results and report. What the server does not take as it is becomes a fault that it hears of."""
        try:
            for case in report.cases:
                if case.output is not None:
                    self._server.upload(order, case.name, folder.output / case.name, case.output)
            self._server.report(order.batch, report)
        except (Stale, Revoked):
            raise
        except (ServerRefused, FileNotFoundError) as error:
            # a host that lost power has damaged files; a new server may not take what an old host says
            log.error("Batch %s: the results could not be delivered: %s", order.batch, error)  # noqa: TRY400
            self.fault = "internal"
            detail = f"The results could not be delivered: {error}"
            self._server.report(order.batch, faulty(order.fence, order.names, "internal", detail))

    def _beat(self, order: Order, done: int) -> None:
        """Tell the server that the batch is alive; a no ends it. Called in the heartbeat's thread."""
        try:
            self._heart_server.heartbeat(order, done)
        except (Stale, Revoked, Missing) as error:
            log.info("Batch %s is called off: %s", order.batch, error)
            self.stop("drop")
        except (NoAnswer, ServerRefused) as error:
            log.warning("Batch %s: no heartbeat: %s", order.batch, error)

    def _progressed(self, done: int) -> None:
        if self._heartbeat is not None:
            self._heartbeat.progressed(done)

    # --- Execute --------------------------------------------------------------------------------------------

    def _execute(self, order: Order, folder: BatchFolder) -> Report:
        """Run the container, or go on with the one that an earlier worker started.

        Raises Stopped, Interrupted, Revoked; whatever else goes wrong is in the report.
        """
        try:
            with self.host.shelf.in_use(order.image.id):
                return self._execute_once(order, folder)
        except ImageRejected as error:
            return unusable(order.fence, order.names, error.code)
        except EngineFault as error:
            code, detail = error.code, error.message
        except (Stopped, Interrupted, Revoked):
            raise
        except ImageUnavailable as error:
            code, detail = "image_unavailable", str(error)
        except InputUnavailable as error:
            code, detail = "input_unavailable", str(error)
        except CacheFull as error:
            code, detail = "disk_full", str(error)
        except EngineGone as error:
            code, detail = "engine_unavailable", str(error)
        except Exception as error:  # whatever it is, it is ours, and the server must hear of it
            log.exception("Batch %s: unexpected error", order.batch)
            code, detail = _fault_of(error), f"{type(error).__name__}: {error}"
        log.error("Batch %s: %s: %s", order.batch, code, detail)
        return faulty(order.fence, order.names, code, detail)

    def _execute_once(self, order: Order, folder: BatchFolder) -> Report:
        if order.gpus > len(self.slot.gpus):
            detail = f"The order needs {order.gpus} GPUs, the slot {self.slot.name} has {len(self.slot.gpus)}."
            return faulty(order.fence, order.names, "no_gpu_runtime", detail)
        host = self.host
        run = Run.of(host.engine, order, self.slot, host.settings.sandbox, folder, self._progressed)
        self._run = run
        if self._stopped is not None:
            raise Stopped(self._stopped)
        if run.was_started():
            log.info("Batch %s: going on with the container of an earlier worker.", order.batch)
            return run.follow()
        run.clean_up()
        self._provide_image(order, folder)
        return run.carry_out(folder.stage(order, self._provide_volume))

    def _provide_image(self, order: Order, folder: BatchFolder) -> None:
        """Make sure that the engine has the image, under our tag: a killed worker may have loaded it and no more."""
        image, host = order.image, self.host
        with host.loading:
            archive = folder.path / "image.tar"
            try:
                if not host.engine.has_image(image.id):
                    archive.parent.mkdir(parents=True, exist_ok=True)
                    # The archive lies on the disk as well while its content is unpacked, which is no smaller.
                    host.shelf.tidy(room_bytes=2 * image.size)
                    host.cache.link(image.blob, image.size, archive, self._server.download)
                self._load(archive, image)
            except (Missing, Corrupt) as error:
                raise ImageUnavailable(str(error)) from error
            except ImageRejected:
                host.cache.discard(image.blob)
                raise
            finally:
                archive.unlink(missing_ok=True)
            host.cache.discard(image.blob)

    def _load(self, archive: Path, image: Image) -> None:
        """Load an image; when the disk gets full on the way, once more without all images that nobody uses."""
        engine, tag = self.host.engine.docker, self.host.shelf.tag(image.id)
        try:
            load_image(engine, archive, expected_id=image.id, tag=tag)
        except EngineFault as fault:
            if fault.code != "disk_full":
                raise
            self.host.shelf.clear()
            load_image(engine, archive, expected_id=image.id, tag=tag)

    def _provide_volume(self, case: OrderCase, target: Path) -> None:
        try:
            self.host.cache.link(case.blob, case.size, target, self._server.download)
        except (Missing, Corrupt) as error:
            raise InputUnavailable(str(error)) from error

    # --- Clean up -------------------------------------------------------------------------------------------

    def _remove_from_engine(self, order: Order, folder: BatchFolder) -> bool:
        run = self._run or Run.of(self.host.engine, order, self.slot, self.host.settings.sandbox, folder)
        try:
            run.clean_up()
        except (EngineGone, APIError) as error:
            log.warning("Batch %s: could not clean up, will be done later: %s", order.batch, error)
            return False
        folder.remove_input()
        return True

    def _forget(self) -> bool:
        """Remove all traces of an attempt that is of no use any more."""
        clean = True
        if self.entry.order is not None and self._folder is not None:
            clean = self._remove_from_engine(parse_order(self.entry.order), self._folder)
            self._folder.remove()
        self.host.journal.remove(self.entry.batch)
        return clean


def _order_for(batch: str, raw: object) -> Order:
    order = parse_order(raw)
    if order.batch != batch:
        raise OrderRejected(f"the order is for another batch, {order.batch}")
    return order


def _fault_of(error: Exception) -> str:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "disk_full" if full else "internal"
