"""The background of a re-scoring: masks are measured while no live run waits, some seconds at a time.

Everything is in the rows: a worker may be killed at any moment, and what it had not written down is measured again. A
message only says that there is something to do; it names no run, and the sweeper sends it again.
"""

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

import evaluation
from evaluation import CaseResult, CaseStatus
from leaderboard.core import clock, locks, task_queue
from leaderboard.core.minutes import minute_of
from leaderboard.journey import scheduling
from leaderboard.models import Case, RescoredCase, RescoredRun, Rescoring, RunCase, Standing
from leaderboard.rescoring import applying, plan
from leaderboard.scores import aggregates, arrays, scoring

logger = logging.getLogger(__name__)

TURN_SECONDS = 5.0  # then a worker looks what else there is to do
PAUSE = timedelta(minutes=10)  # after a fault of ours, before a run is tried again
LOCK, OF_RUN = "rescoring", "rescored run"


def waiting(at: datetime) -> QuerySet[RescoredRun]:
    """The runs that can be scored anew now: with all masks, by the metrics that this server has."""
    goes_on = [one.pk for one in _alive() if plan.goes_on(one)]
    rows = RescoredRun.objects.filter(rescoring__in=goes_on, scored_at=None, masks_missing=0)
    return rows.filter(Q(retry_at=None) | Q(retry_at__lt=at)).order_by("rescoring", "run")


def _alive() -> QuerySet[Rescoring]:
    """The re-scorings that take runs in: the undecided one of a phase, or that by which it is ranked."""
    rows = Rescoring.objects.exclude(state=Rescoring.State.DISCARDED).filter(phase__archived_at=None)
    return rows.select_related("phase", "to_cases").order_by("phase_id", "-pk").distinct("phase_id")


def work_next(*, processes: int) -> bool:
    """Score masks of runs for one turn, unless as many of `processes` as may are at it; whether it did anything.

    It ends early where a mask of a live run waits: the sweeper tells workers again. One process stays free for these in
    any case, if there are several.
    """
    with ExitStack() as stack:
        places = range(min(max(1, processes - 1), task_queue.RESCORING_WORKERS))
        if not any(stack.enter_context(locks.working_on(LOCK, place)) for place in places):
            return False
        ends_at = time.monotonic() + TURN_SECONDS
        did = False
        while time.monotonic() < ends_at and not scheduling.scores_wait() and _work(ends_at):
            did = True
        return did


def look(at: datetime) -> None:
    """What the sweeper does: runs that were scored meanwhile are taken in, or take their new numbers over."""
    for rescoring in _alive():
        plan.take_in(rescoring)
    applying.apply_late(minute_of(at))


def knock(at: datetime) -> None:
    """Tell workers that there is something to do; nothing while one is at it, who goes on by itself."""
    if waiting(at).exists() and not locks.at_work(LOCK, range(task_queue.RESCORING_WORKERS)):
        task_queue.enqueue_rescoring()


def _work(ends_at: float) -> bool:
    """Go on with the first run at which nobody is at work; False without one."""
    for one in waiting(clock.now()).select_related("rescoring__to_cases", "run")[: 2 * task_queue.RESCORING_WORKERS]:
        with locks.working_on(OF_RUN, one.pk) as mine:
            if mine:
                _rescore(one, ends_at)
                return True
    return False


def _rescore(one: RescoredRun, ends_at: float) -> None:
    try:
        if _measure(one, ends_at):
            _complete(one)
    except Exception as error:
        # A reference, a disk, a process or a mistake of ours: the others go on meanwhile.
        logger.exception("run %s could not be scored anew", one.run_id)
        [work] = plan.work_of([one.run_id], one.rescoring.to_cases)
        RescoredRun.objects.filter(pk=one.pk).update(
            masks_missing=work.masks_missing, trouble=str(error)[:300], retry_at=clock.now() + PAUSE
        )


def _measure(one: RescoredRun, ends_at: float) -> bool:
    """Measure masks until the turn ends, or one of a live run waits; whether all of the run's are."""
    cases = _present_cases(one)
    measured = RescoredCase.objects.filter(rescored=one).values("run_case")
    masks = list(one.run.cases.filter(plan.to_measure(one.rescoring.to_cases)).exclude(pk__in=measured))
    rows = [_on(cases, mask) for mask in masks]
    left = len(rows)

    def is_over() -> bool:
        return time.monotonic() > ends_at or scheduling.scores_wait()

    with closing(scoring.score(rows, until=is_over)) as scores:
        for row, score in scores if rows else ():
            if not _keep(one, _row(one, row, score.result, score.mask_digest)):
                return False
            left -= 1
    return left == 0


def _present_cases(one: RescoredRun) -> dict[str, Case]:
    return {case.name: case for case in one.rescoring.to_cases.cases.prefetch_related("findings")}


def _on(cases: Mapping[str, Case], row: RunCase) -> RunCase:
    """The row (which must not be saved) with the case that it is scored on."""
    row.case = cases[row.case.name]
    return row


def _row(one: RescoredRun, of: RunCase, result: CaseResult, mask_digest: str | None) -> RescoredCase:
    is_invalid = result["status"] == CaseStatus.INVALID
    return RescoredCase(
        rescored=one,
        run_case_id=of.pk,
        result=result,
        mask_digest=mask_digest,
        reason_code="invalid" if is_invalid else "" if of.output else of.reason_code,
        evaluation_version=evaluation.VERSION if of.output else of.evaluation_version,
        scored_at=clock.now(),
    )


@transaction.atomic
def _keep(one: RescoredRun, *rows: RescoredCase) -> bool:
    """Write down results; False when the re-scoring was discarded meanwhile."""
    if not RescoredRun.objects.select_for_update().filter(pk=one.pk, scored_at=None).exists():
        return False
    RescoredCase.objects.bulk_create(rows, ignore_conflicts=True)
    return True


# --- a run is complete ------------------------------------------------------------------------------------------------


def _complete(one: RescoredRun) -> None:
    """All masks are measured: the run's new standings, what differs from its old results, and its array of scores."""
    measured = dict(RescoredCase.objects.filter(rescored=one).values_list("run_case", "result"))
    cases = _present_cases(one)
    old: list[CaseResult] = []
    new: list[CaseResult] = []
    followed: list[RescoredCase] = []
    for row in one.run.cases.select_related("case"):
        if row.result is None:
            continue
        result = measured.get(row.pk) or _followed(_on(cases, row))
        old.append(row.result)
        new.append(result)
        if row.pk not in measured and result != row.result:
            followed.append(_row(one, row, result, row.mask_digest))
    standings = aggregates.standings_of(new, one.rescoring.to_cases)
    before = one.run.standings.get(scope=Standing.Scope.ALL)
    with transaction.atomic():
        if not _keep(one, *followed):
            return
        arrays.fill(one.run_id, before.evaluation_version)  # the results that it is made of go when this is applied
        arrays.write(one.run_id, new, one.rescoring.to_version)
        RescoredRun.objects.filter(pk=one.pk).update(
            standings=standings,
            dice_changed=standings[Standing.Scope.ALL]["dice"] - before.dice,
            findings_changed=sum(_differ(*both) for both in zip(old, new, strict=True)),
            scored_at=clock.now(),
            trouble="",
        )


def _followed(row: RunCase) -> CaseResult:
    """The result of a case whose mask need not be measured: with the categories, and lost entities, as they are now."""
    if row.result is None:
        raise ValueError(f"{row} has no result")
    if row.outcome != RunCase.Outcome.FINISHED:
        return scoring.lost(row, CaseStatus(row.result["status"]), row.result["reason"] or "")
    categories = {str(finding.channel): finding.category for finding in row.case.findings.all()}
    findings = [{**finding, "category": categories[finding["finding"]]} for finding in row.result["findings"]]
    return {**row.result, "findings": findings}  # type: ignore[typeddict-item]


def _differ(old: CaseResult, new: CaseResult) -> int:
    """How many findings of a case have other numbers, or another category."""
    return sum(before != after for before, after in zip(old["findings"], new["findings"], strict=True))
