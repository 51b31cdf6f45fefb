"""One order, from its staged input to a report: launch, watch, harvest, judge, clean up.

The steps are apart because a worker may die between any two of them. Everything in the engine has a name made
from the order alone, so the next worker finds a container that was left running and goes on at `follow`.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

from containers.protocol.faults import HostFault, fault_of
from containers.protocol.orders import Order
from containers.protocol.reports import Report, fault_report
from containers.protocol.verdicts import FaultCode, classify_start_error
from containers.sandbox import capabilities, gpu_requirements, holder, spec
from containers.sandbox.case_clock import Timeout
from containers.sandbox.engine import (
    ContainerState,
    Engine,
    EngineConflict,
    EngineRefused,
    EngineUnavailable,
    NotInEngine,
)
from containers.sandbox.gpus import Gpu, Gpus, Watch
from containers.sandbox.harvest import DumpTruncated, Harvest, harvest
from containers.sandbox.judge import ContainerOutcome, judge, judge_start_error
from containers.sandbox.kernel_view import KernelView, kernel_view
from containers.sandbox.spec import SandboxSettings, Slot
from containers.sandbox.staging import BatchFolder
from containers.sandbox.watch import StopMode, Watcher

log = logging.getLogger(__name__)

_HARVEST_ATTEMPTS: Final = 3


class ContainerNotStarted(Exception):
    """The container could not be created or started; the argument is the engine's message."""


class ContainerVanished(HostFault):
    """The container is not there any more, or was never started."""

    def __init__(self) -> None:
        super().__init__("The container vanished.")


class ContainerRun:
    """One order's container on one slot, ready to be launched, or followed if an earlier process launched it.

    `on_progress` is told the number of files that have appeared, from the thread that runs or follows. `gpus` looks at
    the slot's GPUs before and after; without it only a container of ours says whether they can be had.
    """

    def __init__(
        self,
        engine: Engine,
        order: Order,
        slot: Slot,
        settings: SandboxSettings,
        folder: BatchFolder,
        on_progress: Callable[[int], None] = lambda _done: None,
        gpus: Gpus | None = None,
    ) -> None:
        self.order = order
        self.slot = slot
        self.settings = settings
        self.folder = folder
        self.names = spec.names(settings.instance, order)
        self.watcher = Watcher(engine, order, self.names, on_progress)
        self._engine = engine
        self._gpus = gpus
        self._gpus_before: list[Gpu] = []

    def stop(self, mode: StopMode) -> None:
        """Stop from any thread: `carry_out` or `follow` then raises Stopped."""
        self.watcher.stop(mode)

    def was_started(self) -> bool:
        """Whether an earlier process started the algorithm's container and it is still there, running or ended."""
        state = self._engine.inspect_container(self.names.algorithm)
        return state is not None and state.started is not None

    def carry_out(self, staged: Path) -> Report:
        """Launch, watch, harvest and judge. Raises Stopped; all else that goes wrong is in the report."""

        def steps() -> Report:
            self._launch(staged)
            return judge(self.order, self._watch_and_harvest(adopted=False))

        return self._report_of(steps)

    def follow(self) -> Report:
        """Watch, harvest and judge a container that an earlier process launched. Raises as `carry_out` does."""
        return self._report_of(lambda: judge(self.order, self._watch_and_harvest(adopted=True)))

    def clean_up(self) -> None:
        """Remove the container, the holder and the volume, whatever state they are in.

        Raises EngineError.
        """
        with ThreadPoolExecutor(2) as pool:
            both = (self.names.algorithm, self.names.holder)
            for removal in [pool.submit(self._engine.remove_container, name) for name in both]:
                removal.result()
        self._engine.remove_volume(self.names.volume)

    def _report_of(self, steps: Callable[[], Report]) -> Report:
        try:
            report = steps()
        except ContainerNotStarted as error:
            report = judge_start_error(self.order, str(error))
        except (HostFault, OSError) as error:
            report = fault_report(self.order.fence, self.order.names, fault_of(error))
        if report.fault:
            log.error("Batch %s: %s: %s", self.order.batch, report.fault.code, report.fault.detail)
        return report

    # --- Launch ---------------------------------------------------------------------------------------------

    def _launch(self, staged: Path) -> None:
        """Create volume, holder and container, and start them.

        The holder must run before the algorithm starts, or a short-lived algorithm's results would vanish
        with it; the algorithm's container is created meanwhile.
        """
        with ThreadPoolExecutor(1) as pool:
            self._engine.create_volume(spec.output_volume(self.order, self.settings))
            created = pool.submit(self._create_algorithm, staged)
            image = holder.ensure_image(self._engine, self.settings.instance)
            self._engine.create_container(self.names.holder, spec.holder(self.order, self.settings, image))
            self._engine.start_container(self.names.holder)
            created.result()
        self._expect_usable_gpus()
        try:
            self._engine.start_container(self.names.algorithm)
        except EngineRefused as error:
            raise ContainerNotStarted(error.explanation) from error

    def _create_algorithm(self, staged: Path) -> None:
        try:
            image = self._engine.image_settings(self.order.image.id)
            kernel = self._kernel_view()
            support = self.folder.add_support(spec.support_files(self.slot, image, kernel))
            folders = spec.Folders(staged, support, self.folder.model if self.order.weights else None)
            config = spec.algorithm(self.order, self.slot, self.settings, folders, image, kernel)
            self._engine.create_container(self.names.algorithm, config)
        except EngineRefused as error:
            raise ContainerNotStarted(error.explanation) from error

    def _kernel_view(self) -> KernelView:
        if not self.settings.hides_kernel:
            return KernelView()
        return kernel_view(self.order.limits.memory_bytes, gpus=bool(self._gpu_ids))

    def _expect_usable_gpus(self) -> None:
        """Let nothing start on a GPU that is not well and empty, or whose driver the image cannot use.

        Raises GpuTrouble, ContainerNotStarted.
        """
        if self._gpus is None or not self._gpu_ids:
            return
        self._gpus_before = self._gpus.expect_empty(self._gpu_ids)
        environment = self._engine.image_settings(self.order.image.id).environment
        for driver in {gpu.driver for gpu in self._gpus_before}:
            if condition := gpu_requirements.unmet(environment, driver):
                has = f"CUDA {driver.cuda}, driver {driver.driver}"
                raise ContainerNotStarted(f"The image and {has}: unsatisfied condition: {condition}")

    @property
    def _gpu_ids(self) -> tuple[str, ...]:
        """The GPUs of the slot that the order asks for."""
        return self.slot.gpus[: self.order.gpus]

    # --- Watch and harvest ----------------------------------------------------------------------------------

    def _watch_and_harvest(self, *, adopted: bool) -> ContainerOutcome:
        started = self._state().started
        if started is None:
            raise ContainerVanished
        age = max(0.0, self._engine.now() - started) if adopted else 0.0
        with self._watching_gpus() as watch:
            timeout = self.watcher.until_end(started, age=age)
        state = self._state()
        harvested = self._harvest()
        self.watcher.read_holder()  # what it saw in its last tick
        holder_state = self._engine.inspect_container(self.names.holder)
        holder_alive = holder_state is not None and holder_state.running
        return ContainerOutcome(
            state=state,
            timeout=timeout,
            appeared_seconds=self.watcher.clock.appeared,
            output_full=self.watcher.output_full,
            holder_alive=holder_alive,
            # without its holder the volume emptied at some moment; what was read may be a part
            harvest=harvested if holder_alive else Harvest(),
            log=self._engine.log_tail(self.names.algorithm, self.order.limits.log_bytes),
            gpu_fault=self._gpu_fault(watch) if self._ended_badly(state, timeout, harvested) else None,
        )

    def _ended_badly(self, state: ContainerState, timeout: Timeout | None, harvested: Harvest) -> bool:
        """Whether something is missing: a program may catch what a lost GPU does to it, and exit with 0."""
        return state.exit_code != 0 or timeout is not None or set(self.order.names) - set(harvested.found) != set()

    def _state(self) -> ContainerState:
        state = self._engine.inspect_container(self.names.algorithm)
        if state is None:
            raise ContainerVanished
        return state

    def _harvest(self) -> Harvest:
        """Read the output volume. Raises EngineUnavailable."""
        for _ in range(_HARVEST_ATTEMPTS):
            try:
                return self._harvest_once()
            except (NotInEngine, EngineConflict):  # the holder is gone, and the results with it
                return Harvest()
            except (EngineUnavailable, DumpTruncated) as error:
                log.warning("Reading the output of batch %s again: %s", self.order.batch, error)
        raise EngineUnavailable("The output could not be read.")

    def _harvest_once(self) -> Harvest:
        command, user = spec.dump_command(self.order), str(self.slot.uid)
        chunks = self._engine.execute(self.names.holder, command, user)
        size = self.order.limits.output_bytes
        return harvest(chunks, self.order.names, self.folder.new_output(), max_bytes=size)

    def _watching_gpus(self) -> AbstractContextManager[Watch | None]:
        if self._gpus is None or not self._gpu_ids:
            return nullcontext()
        return Watch(self._gpus, self._gpu_ids, self._engine.container_id(self.names.algorithm))

    def _gpu_fault(self, watch: Watch | None) -> FaultCode | None:
        """What of ours befell the order's GPUs, by what their driver and a container of ours find now.

        What the program says does not count.
        """
        if not self._gpu_ids:
            return None
        trouble = None if self._gpus is None else self._gpus.trouble_after(self._gpus_before, self._gpu_ids)
        if trouble := trouble or (None if watch is None else watch.seen):
            log.warning("Batch %s: %s", self.order.batch, trouble)
            return trouble.code
        refusal = capabilities.probe_slot(self._engine, self.settings, self.slot, self._gpu_ids)
        if refusal is None:
            return None
        log.warning("Batch %s: no GPU for a container of ours: %s", self.order.batch, refusal)
        fault = classify_start_error(refusal).fault
        return "gpu_lost" if fault in ("gpu_lost", "no_gpu_runtime") else None
