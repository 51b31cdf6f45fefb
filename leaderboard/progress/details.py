"""The parts of a run, case by case, for readers whose disclosure shows cases."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from leaderboard.board.board import group_lines
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.rows import GroupTable, group_tables
from leaderboard.models import Attempt, Batch, Run, RunCase
from leaderboard.progress.case_facts import CaseFacts
from leaderboard.progress.cases import CaseLine, cases_of
from leaderboard.progress.containers import Log, log_of
from leaderboard.progress.findings import FindingLine, Findings
from leaderboard.states import ENDED, BatchState, RunState, Stage

MAX_WARNINGS = 20
WORST_CASES, WORST_FINDINGS = 10, 5  # on the run's page; all of them have pages of their own
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
class RunDetails:
    """A run case by case: a cell for each, its batches, what hosts noticed, the last container's log.

    When it has ended: its worst cases and findings, how many findings there are, its groups of findings, and what its
    masks look like; `awaits_hints` while nobody has looked.
    """

    cells: Sequence[str] = ()
    batches: Sequence[BatchLine] = ()
    cases: Sequence[CaseLine] = ()
    findings: Sequence[FindingLine] = ()
    findings_total: int = 0
    tables: Sequence[GroupTable] = ()
    hints: Sequence[str] = ()
    awaits_hints: bool = False
    warnings: Sequence[str] = ()
    log: Log | None = None


def details_of(run: Run | None, stage: Stage, facts: Sequence[CaseFacts], disclosure: Disclosure) -> RunDetails:
    """The details of a run; empty for readers to whom single cases are not shown."""
    if run is None or not disclosure.shows_cases:
        return RunDetails()
    details = RunDetails(
        cells=_cells(facts),
        batches=_batches(run, facts),
        warnings=_warnings(run),
        log=log_of(run),
    )
    return _with_results(details, run, disclosure) if stage in ENDED else details


def _with_results(details: RunDetails, run: Run, disclosure: Disclosure) -> RunDetails:
    findings = Findings(run)
    standing = run.standings.filter(scope=disclosure.scope).defer("summary").first()
    return replace(
        details,
        cases=[CaseLine.of(row) for row in cases_of(run)[:WORST_CASES]],
        findings=findings[:WORST_FINDINGS],
        findings_total=len(findings),
        tables=group_tables(group_lines(standing, disclosure)) if standing else (),
        hints=[hint["text"] for hint in run.hints or ()],
        awaits_hints=run.state == RunState.SCORED and run.hints is None and run.hints_asked_at is not None,
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


def _warnings(run: Run) -> list[str]:
    """What hosts noticed beside the results: files with almost the right name, folders, an end that was not clean."""
    containers = run.batches.filter(attempts__container__isnull=False).values_list("attempts__container", flat=True)
    found = [warning for container in containers if container for warning in container["warnings"]]
    return list(dict.fromkeys(found))[:MAX_WARNINGS]
