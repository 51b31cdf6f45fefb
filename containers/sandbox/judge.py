"""From what was found after a container's end to the report, as pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from containers.protocol.orders import Order
from containers.protocol.reports import (
    IN_THE_LAST_INSTANT,
    SLOW_TO_EXIT,
    ContainerReport,
    Fault,
    Report,
    case_reports,
    fault_report,
    rejection_report,
)
from containers.protocol.verdicts import (
    CASE_FAILURES,
    FAULTS,
    Ending,
    FailureCode,
    FaultCode,
    Verdict,
    classify,
    describe_exit,
)
from containers.sandbox.case_clock import Timeout
from containers.sandbox.engine import ContainerState
from containers.sandbox.harvest import Harvest

_LOG_CHARACTERS: Final = 2000


@dataclass(frozen=True)
class ContainerOutcome:
    """What was found after the end of a container that had started.

    `timeout` is the clock for which we killed it. `appeared_seconds` are those from the start to the appearance of the
    first, second, ... file. `output_full`: the volume was full during the case in progress. `log` is the end of what
    the program printed. `gpu_fault` as in `Ending`.
    """

    state: ContainerState
    timeout: Timeout | None
    appeared_seconds: Sequence[float]
    output_full: bool
    holder_alive: bool
    harvest: Harvest
    log: bytes
    gpu_fault: FaultCode | None = None


def judge(order: Order, outcome: ContainerOutcome) -> Report:
    """The report on a container that had started."""
    state, harvest = outcome.state, outcome.harvest
    verdict = classify(_ending(outcome))
    cases = case_reports(
        order.names,
        harvest.found,
        verdict,
        appeared_seconds=outcome.appeared_seconds,
        ended_seconds=state.seconds,
        timed_out_case=outcome.timeout.case if outcome.timeout else None,
        output_full=harvest.full,
    )
    warnings = list(harvest.warnings)
    if verdict.failure and not any(case.reason == verdict.failure or case.status == "untouched" for case in cases):
        warnings.append(_about_a_late_end(verdict.failure, state.exit_code))
    return Report(
        order.fence,
        cases,
        container=ContainerReport(state.exit_code, state.oom_killed, round(state.seconds, 3), tuple(warnings)),
        fault=_fault(verdict, state.exit_code),
        log=outcome.log.decode(errors="replace"),
    )


def judge_start_error(order: Order, message: str) -> Report:
    """The report on a container that the engine could not create or start, by the engine's message."""
    verdict = classify(Ending(exit_code=None, start_error=message))
    if verdict.fault:
        return fault_report(order.fence, order.names, Fault(verdict.fault, message))
    if verdict.rejected:
        return rejection_report(order.fence, order.names, verdict.rejected, message)
    cases = case_reports(order.names, {}, verdict, appeared_seconds=(), ended_seconds=0.0)
    return Report(order.fence, cases, ContainerReport(None, False, 0.0), log=message[:_LOG_CHARACTERS])


def _ending(outcome: ContainerOutcome) -> Ending:
    return Ending(
        exit_code=outcome.state.exit_code,
        oom_killed=outcome.state.oom_killed,
        timeout=outcome.timeout.code if outcome.timeout else None,
        holder_alive=outcome.holder_alive,
        output_full=outcome.output_full or outcome.harvest.full,
        seconds=outcome.state.seconds,
        files=len(outcome.appeared_seconds),
        gpu_fault=outcome.gpu_fault,
    )


def _about_a_late_end(failure: FailureCode, exit_code: int) -> str:
    """What to say of an end that cost no case."""
    if failure == "exit_timed_out":
        return SLOW_TO_EXIT
    if failure in ("timed_out", "startup_timed_out"):
        return IN_THE_LAST_INSTANT
    return (
        f"All cases were done, but the program did not end well: {CASE_FAILURES[failure]} ({describe_exit(exit_code)})"
    )


def _fault(verdict: Verdict, exit_code: int) -> Fault | None:
    if verdict.fault is None:
        return None
    return Fault(verdict.fault, f"{FAULTS[verdict.fault]} Exit code {exit_code}.")
