"""The parts of a run, case by case, for readers whose disclosure shows cases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import F, Func, IntegerField
from django.db.models.fields.json import KT, KeyTransform

from containers.protocol.verdicts import describe_exit
from leaderboard.board.disclosure import Disclosure
from leaderboard.journey import reasons
from leaderboard.models import Attempt, Batch, Run, RunCase
from leaderboard.progress.case_facts import CaseFacts
from leaderboard.states import ENDED, BatchState, Stage

MAX_WARNINGS = 20
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
    attempts = run.batches.filter(attempts__ended_at__isnull=False).order_by("-attempts__pk")
    return str(attempts.values_list("attempts__log", flat=True).first() or "")
