"""The parts of a run, case by case, for readers whose disclosure shows cases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import F, Func, IntegerField
from django.db.models.fields.json import KT, KeyTransform

from leaderboard.board.disclosure import Disclosure
from leaderboard.journey import reasons
from leaderboard.models import Attempt, Batch, Run, RunCase
from leaderboard.progress.case_facts import CaseFacts
from leaderboard.states import ENDED, BatchState, Stage

MAX_WARNINGS = 20
_BATCH_KINDS = {BatchState.LEASED: "run", BatchState.REPORTED: "run", BatchState.SCORED: "ok"}


@dataclass(frozen=True)
class BatchLine:
    """A batch: cases `first` to `last` of the run, counted from 1."""

    number: int
    first: int
    last: int
    state: BatchState
    done: int
    size: int
    attempts: int
    seconds: float | None

    @property
    def word(self) -> str:
        """The state as people read it."""
        return str(self.state.label)

    @property
    def kind(self) -> str:
        """The look of the state."""
        return _BATCH_KINDS.get(self.state, "idle")


@dataclass(frozen=True)
class CaseLine:
    """A case of a run: `seen_as` is the file name that the program saw, `findings` their number once scored."""

    name: str
    seen_as: str
    status: str
    reason: str
    seconds: float | None
    dice: float | None
    findings: int


@dataclass(frozen=True)
class RunDetails:
    """A run case by case: a cell for each, its batches, its cases when it ended, what hosts noticed, the last log."""

    cells: Sequence[str] = ()
    batches: Sequence[BatchLine] = ()
    cases: Sequence[CaseLine] = ()
    warnings: Sequence[str] = ()
    log: str = ""


def details_of(run: Run | None, stage: Stage, facts: Sequence[CaseFacts], disclosure: Disclosure) -> RunDetails:
    """The details of a run; empty for readers to whom single cases are not shown."""
    if run is None or not disclosure.shows_cases:
        return RunDetails()
    return RunDetails(
        cells=_cells(facts),
        batches=_batches(run, facts),
        cases=_cases(run) if stage in ENDED else (),
        warnings=_warnings(run),
        log=_last_log(run),
    )


def _cells(facts: Sequence[CaseFacts]) -> list[str]:
    """One letter per case: d finished, y finished at the second try (our fault), f failed, r running, empty waiting."""
    cells = []
    started: dict[UUID, int] = {}
    for case in facts:
        if case.outcome:
            lost = case.outcome != RunCase.Outcome.FINISHED or case.is_lost
            cells.append("f" if lost else "y" if case.tries > 1 else "d")
        elif case.batch and case.batch_state == BatchState.LEASED:
            place = started[case.batch] = started.get(case.batch, -1) + 1
            done = case.batch_done or 0
            cells.append("d" if place < done else "r" if place == done else "")
        else:
            cells.append("")
    return cells


def _batches(run: Run, facts: Sequence[CaseFacts]) -> list[BatchLine]:
    """The run's batches that have cases."""
    cases: dict[UUID, list[CaseFacts]] = {}
    for case in facts:
        if case.batch:
            cases.setdefault(case.batch, []).append(case)
    attempts: dict[UUID, list[float | None]] = {}
    for attempt in Attempt.objects.filter(batch__run=run).only("batch_id", "claimed_at", "ended_at").order_by("fence"):
        attempts.setdefault(attempt.batch_id, []).append(_seconds(attempt))
    return [
        _batch_line(batch, cases[batch.pk], attempts.get(batch.pk, []))
        for batch in run.batches.all()
        if batch.pk in cases
    ]


def _seconds(attempt: Attempt) -> float | None:
    return (attempt.ended_at - attempt.claimed_at).total_seconds() if attempt.ended_at else None


def _batch_line(batch: Batch, cases: Sequence[CaseFacts], attempts: Sequence[float | None]) -> BatchLine:
    ended = [seconds for seconds in attempts if seconds is not None]
    return BatchLine(
        number=batch.number,
        first=cases[0].position + 1,
        last=cases[-1].position + 1,
        state=BatchState(batch.state),
        done=batch.done if batch.state == BatchState.LEASED else sum(bool(case.outcome) for case in cases),
        size=len(cases),
        attempts=len(attempts),
        seconds=ended[-1] if ended else None,
    )


def _cases(run: Run) -> list[CaseLine]:
    """What became of each case, in the run's order; of the results only what a line shows is read."""
    rows = run.cases.order_by("position").annotate(
        real_name=F("case__name"),
        status=KT("result__status"),
        why=KT("result__reason"),
        dice=KeyTransform("dice", "result"),
        findings=Func(KeyTransform("findings", "result"), function="jsonb_array_length", output_field=IntegerField()),
    )
    columns = ("real_name", "token", "outcome", "reason_code", "seconds", "status", "why", "dice", "findings")
    return [_case_line(row) for row in rows.values(*columns)]


def _case_line(row: dict[str, Any]) -> CaseLine:
    known = reasons.FAILURES.get(row["reason_code"])
    return CaseLine(
        name=row["real_name"],
        seen_as=RunCase(token=row["token"]).file_name,
        status=row["status"] or row["outcome"] or "waiting",
        reason=row["why"] or (known.title if known else ""),
        seconds=row["seconds"],
        dice=row["dice"],
        findings=row["findings"] or 0,
    )


def _warnings(run: Run) -> list[str]:
    """What hosts noticed beside the results: files with almost the right name, folders, an end that was not clean."""
    containers = run.batches.filter(attempts__container__isnull=False).values_list("attempts__container", flat=True)
    found = [warning for container in containers if container for warning in container["warnings"]]
    return list(dict.fromkeys(found))[:MAX_WARNINGS]


def _last_log(run: Run) -> str:
    """The end of what the latest container printed."""
    attempts = run.batches.filter(attempts__ended_at__isnull=False).order_by("-attempts__ended_at")
    return str(attempts.values_list("attempts__log", flat=True).first() or "")
