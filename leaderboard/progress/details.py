"""The parts of a run, case by case: only for readers of public cases, and for organisers.

Nothing here asks who reads. `visibility` does, and it alone calls these functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leaderboard.journey import reasons
from leaderboard.models import Batch, Run, RunCase
from leaderboard.states import BatchState

MAX_WARNINGS = 20


@dataclass(frozen=True)
class BatchLine:
    """A batch: cases `first` to `last` of the run, counted from 1."""

    number: int
    first: int
    last: int
    state: str
    done: int
    size: int
    attempts: int
    seconds: float | None


@dataclass(frozen=True)
class CaseLine:
    """A case of a run on public cases, or for an organiser."""

    name: str
    seen_as: str  # the file name that the program saw
    status: str
    reason: str
    seconds: float | None
    dice: float | None
    findings: Sequence[dict[str, Any]]


def cells_of(cases: list[RunCase]) -> list[str]:
    """One letter per case: d finished, y finished at the second try (our fault), f failed, r running, empty waiting."""
    cells = []
    started: dict[Any, int] = {}
    for case in cases:
        if case.outcome:
            lost = case.outcome != RunCase.Outcome.FINISHED or bool(case.result and case.result["status"] != "scored")
            cells.append("f" if lost else "y" if case.tries > 1 else "d")
        elif case.batch and case.batch.state == BatchState.LEASED:
            place = started[case.batch.pk] = started.get(case.batch.pk, -1) + 1
            cells.append("d" if place < case.batch.done else "r" if place == case.batch.done else "")
        else:
            cells.append("")
    return cells


def batches_of(run: Run) -> list[BatchLine]:
    """The run's batches that have cases."""
    return [_batch_line(batch) for batch in run.batches.prefetch_related("cases", "attempts") if batch.cases.all()]


def _batch_line(batch: Batch) -> BatchLine:
    cases, attempts = list(batch.cases.all()), list(batch.attempts.all())
    ended = [attempt for attempt in attempts if attempt.ended_at]
    return BatchLine(
        number=batch.number,
        first=cases[0].position + 1,
        last=cases[-1].position + 1,
        state=str(BatchState(batch.state).label),
        done=batch.done if batch.state == BatchState.LEASED else sum(bool(case.outcome) for case in cases),
        size=len(cases),
        attempts=len(attempts),
        seconds=(ended[-1].ended_at - ended[-1].claimed_at).total_seconds() if ended and ended[-1].ended_at else None,
    )


def case_line(case: RunCase) -> CaseLine:
    """What became of one case."""
    result = case.result or {}
    why = reasons.FAILURES.get(case.reason_code)
    return CaseLine(
        name=case.case.name,
        seen_as=case.file_name,
        status=result.get("status") or case.outcome or "waiting",
        reason=result.get("reason") or (why.title if why else ""),
        seconds=case.seconds,
        dice=result.get("dice"),
        findings=result.get("findings", []),
    )


def warnings_of(run: Run) -> list[str]:
    """What hosts noticed beside the results: files with almost the right name, folders, an end that was not clean."""
    containers = run.batches.filter(attempts__container__isnull=False).values_list("attempts__container", flat=True)
    found = [warning for container in containers if container for warning in container["warnings"]]
    return list(dict.fromkeys(found))[:MAX_WARNINGS]


def last_log(run: Run) -> str:
    """The end of what the latest container printed."""
    attempt = (
        run.batches.filter(attempts__ended_at__isnull=False)
        .order_by("-attempts__ended_at")
        .values_list("attempts__log")
        .first()
    )
    return str(attempt[0]) if attempt else ""
