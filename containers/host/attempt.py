"""One attempt at a batch, top to bottom: claim, fetch, run, deliver, clean up.

Every step is stored in the journal before it is taken, so an attempt can be picked up by the next worker at
the step where this one died. The server may call it off at any time (a heartbeat answered with 409); a worker
that shuts down stops watching and leaves the container running.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from containers.host.client import (
    Interrupted,
    LeaseLost,
    NotOnServer,
    ServerRefused,
    ServerUnavailable,
    TokenRevoked,
)
from containers.host.heartbeat import Heartbeat
from containers.host.journal import JournalEntry
from containers.host.provision import provide_image, provide_volume, provide_weights
from containers.host.resources import HostResources
from containers.intake.errors import ImageRejected
from containers.protocol.faults import HostFault, fault_of
from containers.protocol.orders import Order, OrderRejected, parse_order
from containers.protocol.reports import Fault, Report, fault_report, older_form, parse_report, rejection_report
from containers.protocol.verdicts import FaultCode
from containers.sandbox.engine import EngineError
from containers.sandbox.run import ContainerRun
from containers.sandbox.spec import Slot
from containers.sandbox.staging import BatchFolder
from containers.sandbox.watch import StopMode, Stopped

log = logging.getLogger(__name__)


class Attempt:
    """One batch on one slot. `carry_out` is called once; `stop` from any thread.

    Afterwards `fault` is the code of the fault of ours that ended it, if one did, and `has_report` says whether the
    batch came so far that there was something to report: without either, nothing is known about the slot.
    """

    def __init__(self, host: HostResources, entry: JournalEntry, slot: Slot) -> None:
        self.fault: FaultCode | None = None
        self.has_report = False
        self._host = host
        self._entry = entry
        self._slot = slot
        self._server = host.server(self.is_stopped)
        self._heartbeat_server = host.server()  # for the heartbeat's thread
        self._run: ContainerRun | None = None
        self._stop_mode: StopMode | None = None

    def stop(self, mode: StopMode) -> None:
        """Call the attempt off ("drop") or leave it to the next worker ("detach"). The first call counts."""
        self._stop_mode = self._stop_mode or mode
        if (run := self._run) is not None:
            run.stop(self._stop_mode)

    def is_stopped(self) -> bool:
        """Whether the attempt has been called off."""
        return self._stop_mode is not None

    def carry_out(self) -> bool:
        """Do it all. Returns whether everything was cleaned up, as far as there was something to clean up."""
        batch = self._entry.batch
        try:
            order = self._claim()
            with Heartbeat(lambda done: self._send_heartbeat(order, done), order.lease_seconds) as heartbeat:
                folder = BatchFolder(self._host.batches_folder, order.batch, order.fence)
                sandbox = self._host.kernel_cover.settings(self._slot)
                self._run = ContainerRun(
                    self._host.engine, order, self._slot, sandbox, folder, heartbeat.progressed, self._host.gpus
                )
                return self._execute_and_deliver(self._run)
        except (Stopped, Interrupted):
            log.info("Batch %s: stopped (%s).", batch, self._stop_mode)
        except LeaseLost as error:
            log.info("Batch %s is not ours: %s", batch, error)
        except TokenRevoked:
            log.critical("Batch %s: the server does not accept this host's token (REX_HOST_TOKEN).", batch)
        except (ServerRefused, OrderRejected) as error:
            log.warning("Batch %s: dropped: %s", batch, error)
        except Exception as error:
            self.fault = fault_of(error).code
            log.exception("Batch %s: dropped after an unexpected error.", batch)
        return self._stop_mode == "detach" or self._forget()

    # --- Claim ----------------------------------------------------------------------------------------------

    def _claim(self) -> Order:
        entry = self._entry
        order_json = entry.order or self._server.claim(entry.batch, key=entry.key, slot=self._slot.name)
        try:
            order = _order_for(entry.batch, order_json)
            self._entry = self._host.journal.write(replace(entry, order=order_json))
        except (OrderRejected, OSError) as error:
            self._report_not_begun(order_json, fault_of(error))
            raise
        return order

    def _report_not_begun(self, order_json: dict[str, Any], fault: Fault) -> None:
        """Say why a claimed batch cannot even begin here; else the server would only see a lease that is lost."""
        self.fault = fault.code
        fence = order_json.get("fence")
        if type(fence) is int:
            self._server.report(self._entry.batch, fault_report(fence, (), fault))

    # --- Execute --------------------------------------------------------------------------------------------

    def _execute_and_deliver(self, run: ContainerRun) -> bool:
        """Deliver the results while the engine's objects are being removed; forget the batch when both are done."""
        report = parse_report(self._entry.report) if self._entry.report is not None else self._execute(run)
        self.has_report = True
        self.fault = report.fault.code if report.fault else None
        if self._entry.report is None:
            self._keep_report(report)
        with ThreadPoolExecutor(1) as pool:
            removal = pool.submit(self._remove_from_engine, run)
            try:
                self._deliver(run, report)
            finally:
                clean = removal.result()
        run.folder.remove()
        self._host.journal.remove(run.order.batch)
        return clean

    def _execute(self, run: ContainerRun) -> Report:
        """Run the container, or go on with the one that an earlier worker started.

        Raises Stopped, Interrupted, TokenRevoked; whatever else goes wrong is in the report.
        """
        order = run.order
        try:
            with self._host.image_cache.in_use(order.image.id):
                return self._run_container(run)
        except ImageRejected as error:
            return rejection_report(order.fence, order.names, error.code)
        except (Stopped, Interrupted, TokenRevoked):
            raise
        except HostFault as error:
            fault = fault_of(error)
            log.error("Batch %s: %s: %s", order.batch, fault.code, fault.detail)  # noqa: TRY400 - foreseen
        except Exception as error:  # whatever it is, it is ours, and the server must hear of it
            fault = fault_of(error)
            log.exception("Batch %s: %s: unexpected error", order.batch, fault.code)
        return fault_report(order.fence, order.names, fault)

    def _run_container(self, run: ContainerRun) -> Report:
        host, order, slot = self._host, run.order, self._slot
        if order.gpus > len(slot.gpus):
            detail = f"The order needs {order.gpus} GPUs, the slot {slot.name} has {len(slot.gpus)}."
            raise HostFault(detail, code="no_gpu_runtime")
        if self._stop_mode is not None:
            raise Stopped(self._stop_mode)
        if run.was_started():
            log.info("Batch %s: going on with the container of an earlier worker.", order.batch)
            return run.follow()
        run.clean_up()
        download = self._server.download
        provide_image(host, order.image, run.folder.path / "image.tar", download)
        staged = run.folder.stage(order, lambda case, target: provide_volume(host, case, target, download))
        if order.weights:
            provide_weights(host, order.weights, run.folder.model, download)
        return run.carry_out(staged)

    # --- Deliver --------------------------------------------------------------------------------------------

    def _keep_report(self, report: Report) -> None:
        """Keep the report for a worker that may have to deliver it later; a full disk is no reason not to do it now."""
        try:
            self._entry = self._host.journal.write(replace(self._entry, report=report.to_json()))
        except OSError as error:
            log.warning("Batch %s: its report could not be kept: %s", self._entry.batch, error)

    def _deliver(self, run: ContainerRun, report: Report) -> None:
        """Upload the results and report. What the server does not take as it is becomes a fault that it hears of."""
        order = run.order
        try:
            for case in report.cases:
                if case.output is not None:
                    self._server.upload(order, case.name, run.folder.output / case.name, case.output)
            self._report(order.batch, report)
        except (LeaseLost, TokenRevoked):
            raise
        except (ServerRefused, FileNotFoundError) as error:
            # a host that lost power has damaged files; a new server may not take what an old host says
            log.error("Batch %s: the results could not be delivered: %s", order.batch, error)  # noqa: TRY400
            fault = Fault("internal", f"The results could not be delivered: {error}")
            self.fault = fault.code
            self._server.report(order.batch, fault_report(order.fence, order.names, fault))

    def _report(self, batch: str, report: Report) -> None:
        """Report in today's words, and in those of before to a server that does not take them."""
        try:
            self._server.report(batch, report)
        except (LeaseLost, TokenRevoked):
            raise
        except ServerRefused as error:
            if (older := older_form(report)) is None:
                raise
            log.warning("Batch %s: the server is older than this worker: %s", batch, error)
            self._server.report(batch, older)

    def _send_heartbeat(self, order: Order, done: int) -> None:
        """Tell the server that the batch is alive; a no ends it. Called in the heartbeat's thread."""
        try:
            self._heartbeat_server.heartbeat(order, done)
        except (LeaseLost, TokenRevoked, NotOnServer) as error:
            log.info("Batch %s is called off: %s", order.batch, error)
            self.stop("drop")
        except (ServerUnavailable, ServerRefused) as error:
            log.warning("Batch %s: no heartbeat: %s", order.batch, error)

    # --- Clean up -------------------------------------------------------------------------------------------

    def _remove_from_engine(self, run: ContainerRun) -> bool:
        try:
            run.clean_up()
        except EngineError as error:
            log.warning("Batch %s: could not clean up, will be done later: %s", run.order.batch, error)
            return False
        if weights := run.order.weights:
            self._host.weights_cache.give_back(weights.blob, weights.size, run.folder.model)
        run.folder.remove_input()
        return True

    def _forget(self) -> bool:
        """Remove all traces of an attempt that is of no use any more."""
        clean = True
        if self._run is not None:
            clean = self._remove_from_engine(self._run)
            self._run.folder.remove()
        self._host.journal.remove(self._entry.batch)
        return clean


def _order_for(batch: str, order_json: object) -> Order:
    order = parse_order(order_json)
    if order.batch != batch:
        raise OrderRejected(f"the order is for another batch, {order.batch}")
    return order
