"""What a GPU host is told, and what it answers.

An order carries digests, limits and opaque names: never a path, a person, a team, or anything of a reference. A report
comes from a machine that runs strangers' programs, so it is checked like any other input.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from containers.outcomes import CASE_FAILURES, FAULTS
from leaderboard.models import Batch, Phase, RunCase

MAX_DETAIL_CHARACTERS = 4000
REPORTED_OUTCOMES = {"finished", "failed", "missing", "untouched"}


class BadReport(ValueError):
    """A report that does not have the agreed form."""


@dataclass(frozen=True)
class CaseReport:
    """What became of a case: `outcome` as in RunCase, or "untouched"."""

    name: str
    outcome: str
    reason_code: str
    seconds: float | None
    output: str
    output_bytes: int | None


@dataclass(frozen=True)
class Report:
    """What became of a batch: `fault` is ours and empty otherwise."""

    fence: int
    cases: tuple[CaseReport, ...]
    exit_code: int | None
    container: dict[str, Any] | None
    fault: str
    detail: str
    log: str


def order(batch: Batch) -> dict[str, Any]:
    """The order for a batch's undecided cases, in the form that containers/orders.py reads."""
    phase = batch.run.submission.phase
    image = batch.run.submission.image
    assert image is not None, "a run exists only for an accepted image"
    cases = batch.cases.filter(outcome="").select_related("case").prefetch_related("case__findings")
    return {
        "batch": str(batch.pk),
        "fence": batch.fence,
        "run": batch.run.token,
        "lease_seconds": settings.LEASE_SECONDS,
        "image": {"blob": image.archive, "size": image.archive_bytes, "id": image.image_id},
        "limits": limits(phase),
        "gpus": phase.gpus,
        "cases": [
            {
                "name": run_case.file_name,
                "blob": run_case.case.volume,
                "size": run_case.case.volume_bytes,
                "entry": _entry(run_case, show_categories=phase.show_categories),
            }
            for run_case in cases
        ],
    }


def limits(phase: Phase) -> dict[str, Any]:
    """What a container may use, in the units that its name says."""
    return {
        "case_seconds": float(phase.case_seconds),
        "startup_seconds": float(phase.startup_seconds),
        "memory_bytes": phase.memory_bytes,
        "shm_bytes": phase.shm_bytes,
        "tmp_bytes": phase.tmp_bytes,
        "output_bytes": phase.output_bytes,
        "cpus": float(phase.cpus),
        "pids": phase.pids,
        "log_bytes": phase.log_bytes,
    }


def _entry(run_case: RunCase, *, show_categories: bool) -> dict[str, Any]:
    findings = list(run_case.case.findings.all())
    entry: dict[str, Any] = {
        "name": run_case.file_name,
        "findings": {str(finding.channel): finding.text for finding in findings},
        "shape": run_case.case.shape,
        "spacing": run_case.case.spacing_mm,
    }
    if show_categories:
        entry["categories"] = {str(finding.channel): finding.category for finding in findings}
    return entry


def parse_report(data: Any) -> Report:
    """Read a report. Raises BadReport naming what is wrong with it."""
    if not isinstance(data, Mapping) or not isinstance(data.get("fence"), int):
        raise BadReport("a report is an object with a whole number `fence`")
    cases, container, fault = data.get("cases"), data.get("container"), data.get("fault")
    if not isinstance(cases, list):
        raise BadReport("`cases` must be a list")
    if container is not None and not isinstance(container, dict):
        raise BadReport("`container` must be an object or null")
    if fault is not None and (not isinstance(fault, Mapping) or fault.get("code") not in FAULTS):
        raise BadReport(f"`fault.code` must be one of {', '.join(sorted(FAULTS))}")
    exit_code = (container or {}).get("exit_code")
    return Report(
        fence=data["fence"],
        cases=tuple(_parse_case(case) for case in cases),
        exit_code=exit_code if isinstance(exit_code, int) else None,
        container=container,
        fault=str(fault["code"]) if fault else "",
        detail=_text(fault.get("detail"))[:MAX_DETAIL_CHARACTERS] if fault else "",
        log=_text(data.get("log")),
    )


def _parse_case(data: Any) -> CaseReport:
    if not isinstance(data, Mapping) or data.get("status") not in REPORTED_OUTCOMES:
        raise BadReport(f"a case's `status` must be one of {', '.join(sorted(REPORTED_OUTCOMES))}")
    status, reason, seconds, output = (data.get(key) for key in ("status", "reason", "seconds", "output"))
    if status == "failed" and reason not in CASE_FAILURES:
        raise BadReport(f"a failed case's `reason` must be one of {', '.join(sorted(CASE_FAILURES))}")
    if (status == "finished") != isinstance(output, Mapping):
        raise BadReport("a finished case, and no other, has an `output`")
    return CaseReport(
        name=str(data.get("name")),
        outcome=str(status),
        reason_code="missing" if status == "missing" else str(reason or "")[:40],
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        output=str(output["blob"]) if output else "",
        output_bytes=int(output["size"]) if output else None,
    )


def _text(value: Any) -> str:
    """Text that PostgreSQL can hold: it knows no NUL."""
    return str(value or "").replace("\x00", "\ufffd")
