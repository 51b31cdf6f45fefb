"""One order, from its staged input to a report: launch, watch, harvest, judge, clean up.

The steps are apart because a worker may die between any two of them. Everything in the engine has a name made
from the order alone, so the next worker finds a container that was left running and goes on at `follow`.
"""

import errno
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from docker.errors import APIError

from containers.protocol.orders import Order
from containers.protocol.reports import ContainerReport, Fault, Report, faulty, settle
from containers.protocol.verdicts import CASE_FAILURES, FAULTS, Blame, Ending, classify, classify_start_error
from containers.sandbox import capabilities, holder, spec
from containers.sandbox.engine import Engine, EngineGone, State, answered
from containers.sandbox.harvest import Harvest, Truncated, harvest
from containers.sandbox.spec import SandboxSettings, Slot
from containers.sandbox.staging import BatchFolder
from containers.sandbox.watch import Stop, Stopped, Undying, Watcher

log = logging.getLogger(__name__)

__all__ = ["Run", "Stopped"]

#: How the engine's init (tini) begins its complaint when it cannot execute the image's program.
_INIT_COMPLAINT = b"[FATAL tini"
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_HARVEST_ATTEMPTS = 3


class NotStarted(Exception):
    """The container could not be created or started; the argument is the engine's message."""


@dataclass(frozen=True)
class Run:
    """One order's container on one slot."""

    engine: Engine
    order: Order
    slot: Slot
    settings: SandboxSettings
    folder: BatchFolder
    watcher: Watcher

    @classmethod
    def of(
        cls,
        engine: Engine,
        order: Order,
        slot: Slot,
        settings: SandboxSettings,
        folder: BatchFolder,
        on_progress: Callable[[int], None] = lambda _done: None,
    ) -> "Run":
        """A run that is ready to be launched, or followed if it has been launched by an earlier process."""
        watcher = Watcher(engine, order, spec.names(settings.instance, order), on_progress)
        return cls(engine, order, slot, settings, folder, watcher)

    @property
    def names(self) -> spec.Names:
        """What this run's objects are called in the engine."""
        return spec.names(self.settings.instance, self.order)

    def stop(self, how: Stop) -> None:
        """Stop from any thread: `carry_out` or `follow` then raises Stopped."""
        self.watcher.stop(how)

    def was_started(self) -> bool:
        """Whether an earlier process started the algorithm's container and it is still there, running or ended."""
        state = self.engine.inspect(self.names.algorithm)
        return state is not None and state.started is not None

    def carry_out(self, staged: Path) -> Report:
        """Launch, watch and harvest. Raises Stopped; all else that goes wrong is in the report."""
        return self._reported(staged)

    def follow(self) -> Report:
        """Watch and harvest a container that an earlier process launched. Raises as `carry_out` does."""
        return self._reported(None)

    def clean_up(self) -> None:
        """Remove the container, the holder and the volume, whatever state they are in.

        Raises EngineGone, APIError.
        """
        with ThreadPoolExecutor(2) as pool:
            both = (self.names.algorithm, self.names.holder)
            for removal in [pool.submit(self.engine.remove_container, name) for name in both]:
                removal.result()
        self.engine.remove_volume(self.names.volume)

    def _reported(self, staged: Path | None) -> Report:
        try:
            if staged is not None:
                self._launch(staged)
            return self._watch_and_harvest(adopted=staged is None)
        except NotStarted as error:
            return self._not_started(str(error))
        except EngineGone as error:
            return self._faulty("engine_unavailable", str(error))
        except Undying:
            return self._faulty("internal", "The container was killed but does not end.")
        except APIError as error:
            return self._faulty("internal", str(error))
        except OSError as error:
            full = error.errno in _DISK_FULL
            return self._faulty("disk_full" if full else "internal", str(error))

    # --- Launch ---------------------------------------------------------------------------------------------

    def _launch(self, staged: Path) -> None:
        """Create volume, holder and container, and start them.

        The holder must run before the algorithm starts, or a short-lived algorithm's results would vanish
        with it; the algorithm's container is created meanwhile.
        """
        client = self.engine.client
        with ThreadPoolExecutor(1) as pool:
            answered(lambda: client.create_volume(**spec.output_volume(self.order, self.settings)))
            created = pool.submit(self._create_algorithm, staged)
            image = answered(lambda: holder.ensure(client, self.settings.instance))
            config = spec.holder(self.order, self.settings, image)
            answered(lambda: client.create_container_from_config(config, self.names.holder))
            answered(lambda: client.start(self.names.holder))
            created.result()
        try:
            answered(lambda: client.start(self.names.algorithm))
        except APIError as error:
            raise NotStarted(error.explanation or str(error)) from error

    def _create_algorithm(self, staged: Path) -> None:
        client = self.engine.client
        try:
            image = answered(lambda: client.inspect_image(self.order.image.id))
            volumes = tuple((image["Config"] or {}).get("Volumes") or ())
            config = spec.algorithm(self.order, self.slot, self.settings, staged, volumes)
            answered(lambda: client.create_container_from_config(config, self.names.algorithm))
        except APIError as error:
            raise NotStarted(error.explanation or str(error)) from error

    def _not_started(self, message: str) -> Report:
        verdict = classify(Ending(exit_code=None, start_error=message))
        if verdict.blame is Blame.OURS:
            return self._faulty(str(verdict.code), message)
        cases = settle(self.order.names, {}, verdict, appeared=(), ended=0.0)
        return Report(self.order.fence, cases, ContainerReport(None, False, 0.0), log=message[:2000])

    def _faulty(self, code: str, detail: str) -> Report:
        log.error("Batch %s: %s: %s", self.order.batch, code, detail)
        return faulty(self.order.fence, self.order.names, code, detail)

    # --- Watch, harvest, judge ------------------------------------------------------------------------------

    def _watch_and_harvest(self, *, adopted: bool) -> Report:
        begun = self.engine.inspect(self.names.algorithm)
        if begun is None or begun.started is None:
            return self._faulty("internal", "The container vanished.")
        age = max(0.0, self.engine.now() - begun.started) if adopted else 0.0
        killed = self.watcher.until_end(begun.started, age=age)
        state = self.engine.inspect(self.names.algorithm)
        if state is None:
            return self._faulty("internal", "The container vanished.")
        crop = self._harvest()
        self.watcher.read_holder()  # what it saw in its last tick
        witness = self.engine.inspect(self.names.holder)
        if witness is None or not witness.running:
            crop = Harvest()  # the volume emptied at some moment; what was read may be a part
        tail = self.engine.log_tail(self.names.algorithm, self.order.limits.log_bytes)
        ending = Ending(
            exit_code=state.exit_code,
            oom_killed=state.oom_killed,
            clock=killed and killed[0],
            holder_alive=witness is not None and witness.running,
            output_full=self.watcher.full or crop.full,
            init_failed=self.watcher.clock.case == 0 and tail.startswith(_INIT_COMPLAINT),
            gpu_lost=(state.exit_code != 0 or killed is not None) and self._has_lost_gpus(),
        )
        return self._judged(ending, state, crop, tail, None if killed is None else killed[1])

    def _has_lost_gpus(self) -> bool:
        """Whether a container of ours cannot get the order's GPUs any more. What the program says does not count."""
        if not self.order.gpus:
            return False
        refusal = capabilities.refusal(self.engine, self.settings, self.slot, self.slot.gpus[: self.order.gpus])
        if refusal is None:
            return False
        log.warning("Batch %s: no GPU for a container of ours: %s", self.order.batch, refusal)
        return classify_start_error(refusal).code in ("gpu_lost", "no_gpu_runtime")

    def _harvest(self) -> Harvest:
        """Read the output volume. Raises EngineGone."""
        for _ in range(_HARVEST_ATTEMPTS):
            try:
                return answered(self._harvest_once)
            except (EngineGone, Truncated) as error:
                log.warning("Reading the output of batch %s again: %s", self.order.batch, error)
            except APIError as error:
                if error.status_code in (404, 409):  # the holder is gone, and the results with it
                    return Harvest()
                raise
        raise EngineGone("The output could not be read.")

    def _harvest_once(self) -> Harvest:
        command, user = spec.dump_command(self.order), str(self.slot.uid)
        chunks = self.engine.execute(self.names.holder, command, user)
        size = self.order.limits.output_bytes
        return harvest(chunks, self.order.names, self.folder.new_output(), max_bytes=size)

    def _judged(self, ending: Ending, state: State, crop: Harvest, tail: bytes, clocked: int | None) -> Report:
        """Put the report together."""
        verdict = classify(ending)
        started, finished = state.started or 0.0, state.finished or state.started or 0.0
        ended = max(0.0, finished - started)
        cases = settle(
            self.order.names,
            crop.found,
            verdict,
            appeared=self.watcher.clock.appeared,
            ended=ended,
            clocked=clocked,
            full=crop.full,
        )
        warnings = list(crop.warnings)
        if verdict.blame is Blame.THEIRS and not any(case.reason == verdict.code for case in cases):
            warnings.append(
                f"All cases were done, but the program did not end well: {CASE_FAILURES[verdict.code or '']}"
            )
        fault = None
        if verdict.blame is Blame.OURS:
            fault = Fault(str(verdict.code), f"{FAULTS[str(verdict.code)]} Exit code {ending.exit_code}.")
        container = ContainerReport(state.exit_code, state.oom_killed, round(ended, 3), tuple(warnings))
        return Report(self.order.fence, cases, container, fault, tail.decode(errors="replace"))
