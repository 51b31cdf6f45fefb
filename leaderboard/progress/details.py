"""The parts of a run, case by case, for readers whose disclosure shows cases."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from uuid import UUID

from containers.protocol.verdicts import describe_exit
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.numbers import group_lines
from leaderboard.board.rows import GroupTable, group_tables
from leaderboard.journey.selectors import awaiting_a_look
from leaderboard.models import Attempt, Batch, Run, RunCase
from leaderboard.progress.case_facts import CaseFacts
from leaderboard.progress.cases import CaseLine, cases_of, lines_of
from leaderboard.progress.containers import Log, log_of
from leaderboard.progress.findings import FindingLine, Findings
from leaderboard.states import ENDED, BatchState, RunState, Stage

MAX_WARNINGS = 20
WORST_CASES, WORST_FINDINGS = 10, 5  # on the run's page; all of them have pages of their own
_BATCH_KINDS = {BatchState.LEASED: "run", BatchState.REPORTED: "run", BatchState.SCORED: "ok"}


@dataclass(frozen=True)
class BatchLine:
    """A batch: cases `first` to `last` of the run, counted from 1, of which `done` are decided and `lost` are lost.

    `exit_code` is that of its last container.
    """

    number: int
    first: int
    last: int
    state: BatchState
    done: int
    size: int
    masks: int
    lost: int
    attempts: int
    seconds: float | None
    exit_code: int | None

    @property
    def word(self) -> str:
        """How it stands as people read it: what became of its cases, once it is over."""
        if self.lost and self.lost == self.size:
            return "Failed"
        if self.state == BatchState.SCORED and self.lost:
            return f"Scored, {self.lost} lost"
        if self.state != BatchState.DROPPED:
            return str(self.state.label)
        if self.done:
            return "Not scored: the run had ended"
        return "Stopped with the run" if self.attempts else "Not started"

    @property
    def kind(self) -> str:
        """The look of the state."""
        if self.lost:
            return "bad" if self.lost == self.size else "half"
        return _BATCH_KINDS.get(self.state, "off" if self.state == BatchState.DROPPED else "idle")

    @property
    def ended(self) -> str:
        """Its exit code with the name of its signal, where it ended with one."""
        return "" if self.exit_code is None else describe_exit(self.exit_code).removeprefix("exit code ")


@dataclass(frozen=True)
class RunDetails:
    """A run case by case: a cell for each, its batches, what hosts noticed, the log that explains it best.

    When it has ended: its worst cases and findings, how many findings there are, its groups of findings, and what its
    masks look like; `awaits_hints` while somebody will look.
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
    """The details of a run; for readers to whom single cases are not shown its groups, once all of these are shown."""
    if run is None:
        return RunDetails()
    if not disclosure.shows_cases:
        is_out = stage == RunState.SCORED and disclosure.shows_exact_scores
        return RunDetails(tables=_tables(run, disclosure) if is_out else ())
    if run.submission.is_of_masks:
        details = RunDetails(cells=[_cell_of_mask(case) for case in facts])
        return _with_results(details, run, disclosure) if stage in ENDED else details
    details = RunDetails(
        cells=_cells(facts),
        batches=_batches(run, facts),
        warnings=_warnings(run),
        log=log_of(run),
    )
    return _with_results(details, run, disclosure) if stage in ENDED else details


def _tables(run: Run, disclosure: Disclosure) -> Sequence[GroupTable]:
    standing = run.standings.filter(scope=disclosure.scope).defer("summary").first()
    return group_tables(group_lines(standing, disclosure)) if standing else ()


def _with_results(details: RunDetails, run: Run, disclosure: Disclosure) -> RunDetails:
    findings = Findings(run)
    return replace(
        details,
        cases=lines_of(cases_of(run)[:WORST_CASES]),
        findings=findings[:WORST_FINDINGS],
        findings_total=len(findings),
        tables=_tables(run, disclosure),
        hints=[hint["text"] for hint in run.hints or ()],
        awaits_hints=_awaits_hints(run),
    )


def _awaits_hints(run: Run) -> bool:
    may_wait = run.state == RunState.SCORED and run.hints is None
    return may_wait and awaiting_a_look().filter(pk=run.pk).exists()


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


def _cell_of_mask(case: CaseFacts) -> str:
    """The same of a mask that was handed in: it is finished with its score."""
    if case.status is None:
        return ""
    return "f" if case.is_lost else "d"


def _batches(run: Run, facts: Sequence[CaseFacts]) -> list[BatchLine]:
    """The run's batches that have cases."""
    cases: dict[UUID, list[CaseFacts]] = {}
    for case in facts:
        if case.batch:
            cases.setdefault(case.batch, []).append(case)
    attempts: dict[UUID, list[_Try]] = {}
    rows = Attempt.objects.filter(batch__run=run).order_by("fence")
    columns = ("batch_id", "claimed_at", "ended_at", "container__exit_code")
    for batch_id, claimed_at, ended_at, exit_code in rows.values_list(*columns):
        seconds = (ended_at - claimed_at).total_seconds() if ended_at else None
        attempts.setdefault(batch_id, []).append(_Try(seconds, exit_code))
    return [
        _batch_line(batch, cases[batch.pk], attempts.get(batch.pk, []))
        for batch in run.batches.all()
        if batch.pk in cases
    ]


class _Try(NamedTuple):
    """An attempt: how long it took, once it ended, and its container's exit code."""

    seconds: float | None
    exit_code: int | None


def _batch_line(batch: Batch, cases: Sequence[CaseFacts], attempts: Sequence[_Try]) -> BatchLine:
    ended = [one for one in attempts if one.seconds is not None]
    at_work = batch.state == BatchState.LEASED
    return BatchLine(
        number=batch.number,
        first=cases[0].position + 1,
        last=cases[-1].position + 1,
        state=BatchState(batch.state),
        done=batch.done if at_work else sum(bool(case.outcome) for case in cases),
        size=len(cases),
        masks=batch.done if at_work else sum(case.outcome == RunCase.Outcome.FINISHED for case in cases),
        lost=sum(case.is_lost for case in cases),
        attempts=len(attempts),
        seconds=ended[-1].seconds if ended else None,
        exit_code=ended[-1].exit_code if ended else None,
    )


def _warnings(run: Run) -> list[str]:
    """What hosts noticed beside the results: files with almost the right name, folders, an end that was not clean."""
    containers = run.batches.filter(attempts__container__isnull=False).values_list("attempts__container", flat=True)
    found = [warning for container in containers if container for warning in container["warnings"]]
    return list(dict.fromkeys(found))[:MAX_WARNINGS]
