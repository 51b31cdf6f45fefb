"""A report: what a GPU host tells the server about one order, and how it is put together.

`case_reports` is the one place where a verdict on the container becomes a status of every case. Both sides parse a
report with `parse_report`: the host its own journal, the server what a host sends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Literal

from containers.protocol.contract import EXIT_SECONDS
from containers.protocol.orders import MAX_CASES, Fields, OrderRejected
from containers.protocol.verdicts import (
    CASE_FAILURES,
    FAULTS,
    REJECTIONS,
    FailureCode,
    FaultCode,
    Verdict,
)

CaseStatus = Literal["finished", "failed", "missing", "untouched"]
CASE_STATUSES: Final[tuple[CaseStatus, ...]] = ("finished", "failed", "missing", "untouched")
#: Most characters of a fault's detail; what is longer is cut.
MAX_DETAIL: Final = 2000
#: Warnings of a container that was ended by our clock with all masks written; the server knows them by their words,
#: which every version can carry.
SLOW_TO_EXIT: Final = (
    f"All masks were there, but the program had not exited {EXIT_SECONDS:g} s after the last one appeared. "
    "It was ended then, and the masks count."
)
IN_THE_LAST_INSTANT: Final = "The last mask appeared in the last instant of its time, and it counts."
# How hosts of before put both.
_BEFORE: Final = "All cases were done, but the program did not end well: "
_MASKS_COUNT: Final = frozenset(
    {SLOW_TO_EXIT, IN_THE_LAST_INSTANT} | {_BEFORE + CASE_FAILURES[code] for code in ("timed_out", "startup_timed_out")}
)


@dataclass(frozen=True)
class Blob:
    """An output file by its digest "sha256:<hex>" and size in bytes."""

    blob: str
    size: int


@dataclass(frozen=True)
class CaseReport:
    """What became of one case.

    `reason` is a code of CASE_FAILURES, `seconds` the time it took, where known.
    """

    name: str
    status: CaseStatus
    reason: FailureCode | None = None
    seconds: float | None = None
    output: Blob | None = None


@dataclass(frozen=True)
class ContainerReport:
    """How the container ended. `exit_code` is None when it never started."""

    exit_code: int | None
    oom_killed: bool
    seconds: float
    warnings: tuple[str, ...] = ()

    @property
    def ended_badly(self) -> bool:
        """Whether the program itself came to a bad end, and was not ended by us with its masks written."""
        return self.exit_code not in (0, None) and _MASKS_COUNT.isdisjoint(self.warnings)


@dataclass(frozen=True)
class Fault:
    """What failed on our side: a code of FAULTS and a detail for organisers."""

    code: FaultCode
    detail: str


@dataclass(frozen=True)
class Report:
    """The answer to one order: its cases in sequence, and the end of what the container printed.

    `rejected`: a code of REJECTIONS, when the engine cannot use the image at all.
    """

    fence: int
    cases: tuple[CaseReport, ...]
    container: ContainerReport | None = None
    fault: Fault | None = None
    log: str = ""
    rejected: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as the JSON object of the interface; a server of before does not know `rejected`."""
        return {key: value for key, value in asdict(self).items() if key != "rejected" or value is not None}


def fault_report(fence: int, names: Sequence[str], fault: Fault) -> Report:
    """The report of an order that our side could not carry out at all."""
    return Report(fence, _all_untouched(names), fault=Fault(fault.code, fault.detail[:MAX_DETAIL]))


def rejection_report(fence: int, names: Sequence[str], code: str, why: str = "") -> Report:
    """The report of an order whose image cannot be used here: a code of REJECTIONS, and what said so, as its log."""
    return Report(fence, _all_untouched(names), rejected=code, log=why[:MAX_DETAIL])


#: What a server of before calls a fault that it does not know.
_OLDER_FAULTS: Final[Mapping[FaultCode, FaultCode]] = MappingProxyType(
    {"gpu_occupied": "gpu_lost", "weights_unavailable": "input_unavailable"}
)


#: What a server of before calls the loss of a case that it does not know.
_OLDER_FAILURES: Final[Mapping[FailureCode, FailureCode]] = MappingProxyType(
    {"killed": "out_of_memory", "file_too_large": "output_full", "exit_timed_out": "timed_out"}
)


def older_form(report: Report) -> Report | None:
    """The report in words that a server of before knows, None when it has no newer ones.

    Hosts and server are upgraded one after the other; what is finished must not be lost because of a new word.
    """
    if report.rejected == "unmet_requirement":
        cases = case_reports(
            [case.name for case in report.cases],
            {},
            Verdict(failure="could_not_start"),
            appeared_seconds=(),
            ended_seconds=0.0,
        )
        return replace(report, cases=cases, rejected=None, container=ContainerReport(None, False, 0.0))
    fault = report.fault and Fault(_OLDER_FAULTS.get(report.fault.code, report.fault.code), report.fault.detail)
    older = replace(report, fault=fault, cases=tuple(map(_older_case, report.cases)))
    return None if older == report else older


def _older_case(case: CaseReport) -> CaseReport:
    return replace(case, reason=_OLDER_FAILURES.get(case.reason, case.reason)) if case.reason else case


def _all_untouched(names: Sequence[str]) -> tuple[CaseReport, ...]:
    return tuple(CaseReport(name, "untouched") for name in names)


def case_reports(
    names: Sequence[str],
    found: Mapping[str, Blob | FailureCode],
    verdict: Verdict,
    *,
    appeared_seconds: Sequence[float],
    ended_seconds: float,
    timed_out_case: int | None = None,
    output_full: bool = False,
) -> tuple[CaseReport, ...]:
    """Turn what was found in the output folder into each case's status.

    `found` maps a case to its file, or to the code why what lies there is no result. `appeared_seconds` are
    those from the container's start to the appearance of the first, second, ... file; `ended_seconds` those to
    its end. `timed_out_case` is the index of the case whose clock ran out. When its file made it after all in
    the last instant, nobody is to blame for the next case, which had its clock cut short by us; but a file that
    appeared and was taken away again is the program's doing. `output_full`:
    the folder was full when the program ended, which is then why files are missing.
    """
    if not (verdict.failure or verdict.fault):
        lost = CaseReport("", "failed", "output_full") if output_full else CaseReport("", "missing", "missing")
        cases = [_found(name, found) or replace(lost, name=name) for name in names]
        return tuple(_timed(case, i, appeared_seconds, ended_seconds) for i, case in enumerate(cases))
    first_absent = next((i for i, name in enumerate(names) if name not in found), len(names))
    cases = []
    for i, name in enumerate(names):
        case = CaseReport(name, "untouched")
        if i < first_absent:
            case = _found(name, found) or case
        elif i == first_absent and verdict.failure and (timed_out_case is None or i <= timed_out_case):
            case = CaseReport(name, "failed", verdict.failure)
        cases.append(_timed(case, i, appeared_seconds, ended_seconds))
    return tuple(cases)


def _found(name: str, found: Mapping[str, Blob | FailureCode]) -> CaseReport | None:
    result = found.get(name)
    if isinstance(result, Blob):
        return CaseReport(name, "finished", output=result)
    return None if result is None else CaseReport(name, "failed", result)


def _timed(case: CaseReport, index: int, appeared: Sequence[float], ended: float) -> CaseReport:
    """Add the case's seconds, from the appearance of the file before it.

    Later cases than the next have no time.
    """
    if case.status in ("untouched", "missing") or index > len(appeared):
        return case
    since = appeared[index - 1] if index else 0.0
    until = appeared[index] if index < len(appeared) else ended
    return replace(case, seconds=round(max(0.0, until - since), 3))


def parse_report(value: object) -> Report:
    """Check a report's JSON object. Raises OrderRejected."""
    fields = Fields(value, "report", frozenset({"fence", "cases", "container", "fault", "log", "rejected"}))
    container, fault = fields.get("container"), fields.get("fault")
    fewest = 1 if fault is None else 0  # a host that could not read its order cannot name the cases
    return Report(
        fence=fields.integer("fence", 0, 2**53),
        cases=tuple(_case(item, f"cases[{i}]") for i, item in enumerate(fields.items("cases", fewest, MAX_CASES))),
        container=None if container is None else _container(container),
        fault=None if fault is None else _fault(fault),
        log=fields.text("log", 64 << 20),
        rejected=None if fields.value.get("rejected") is None else fields.one_of("rejected", REJECTIONS),
    )


def _case(value: object, where: str) -> CaseReport:
    fields = Fields(value, where, frozenset(CaseReport.__dataclass_fields__))
    status = fields.one_of("status", CASE_STATUSES)
    reason, output = fields.get("reason"), fields.get("output")
    if (status in ("failed", "missing")) != (reason is not None) or (status == "finished") != (output is not None):
        raise OrderRejected(f"{where} has fields that do not go with its status")
    return CaseReport(
        name=fields.case_name("name"),
        status=status,
        reason=None if reason is None else fields.one_of("reason", CASE_FAILURES),
        seconds=None if fields.get("seconds") is None else fields.number("seconds", 0, 1e8),
        output=None if output is None else _blob(output, f"{where}.output"),
    )


def _blob(value: object, where: str) -> Blob:
    fields = Fields(value, where, frozenset({"blob", "size"}))
    return Blob(fields.digest("blob"), fields.integer("size", 0, 2**45))


def _container(value: object) -> ContainerReport:
    fields = Fields(value, "container", frozenset(ContainerReport.__dataclass_fields__))
    warnings = fields.items("warnings", 0, 100)
    if not all(isinstance(warning, str) and len(warning) <= 2000 for warning in warnings):
        raise OrderRejected("container.warnings is not a list of short texts")
    return ContainerReport(
        exit_code=None if fields.get("exit_code") is None else fields.integer("exit_code", -255, 2**32),
        oom_killed=fields.boolean("oom_killed"),
        seconds=fields.number("seconds", 0, 1e8),
        warnings=tuple(map(str, warnings)),
    )


def _fault(value: object) -> Fault:
    fields = Fields(value, "fault", frozenset({"code", "detail"}))
    return Fault(fields.one_of("code", FAULTS), fields.text("detail", MAX_DETAIL))
