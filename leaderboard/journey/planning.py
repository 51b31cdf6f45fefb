"""How a run is cut into containers: the canary first, then batches; what is left over gets a new batch.

The first case runs alone. Its gate is a clean exit and a readable mask, not a score; while it has not been passed, the
next case becomes the canary, so an image that cannot work costs a handful of containers, not three hundred.
"""

import secrets
from collections.abc import Mapping, Sequence

from django.db.models import Max

from evaluation import CaseStatus
from leaderboard.challenge import phases
from leaderboard.core import clock
from leaderboard.core.blobs import Blob
from leaderboard.journey import lifecycle
from leaderboard.models import Batch, Run, RunCase, Submission
from leaderboard.states import OPEN_BATCH_STATES, BatchState

_random = secrets.SystemRandom()


def new_run(submission: Submission, *, by: str) -> Run:
    """A run over all cases of the submission: new opaque names, in an order that nobody can foresee."""
    number = (submission.runs.aggregate(last=Max("number"))["last"] or 0) + 1
    run = Run.objects.create(submission=submission, number=number, created_at=clock.now())
    cases = list(phases.cases_for(submission))
    _random.shuffle(cases)
    RunCase.objects.bulk_create(RunCase(run=run, case=case, position=position) for position, case in enumerate(cases))
    lifecycle.record_new_run(run, by=by)
    return run


def hand_in(run: Run, masks: Mapping[str, Blob]) -> Batch:
    """One batch of the masks of all cases, by the cases' names: as if a host had reported it, ready to be scored."""
    at = clock.now()
    batch = Batch.objects.create(run=run, number=1, state=BatchState.REPORTED, notified_at=at)
    rows = list(run.cases.select_related("case"))
    for row in rows:
        mask = masks[row.case.name]
        row.batch, row.decided_at = batch, at
        row.outcome, row.output, row.output_bytes = RunCase.Outcome.FINISHED, mask.digest, mask.size
    RunCase.objects.bulk_update(rows, ["batch", "decided_at", "outcome", "output", "output_bytes"])
    return batch


def masks_of(submission: Submission) -> dict[str, Blob]:
    """The masks that were handed in, by the names of their cases: each of its runs has them all."""
    rows = RunCase.objects.filter(run__submission=submission).exclude(output="").order_by("run__number")
    columns = rows.values_list("case__name", "output", "output_bytes")
    return {case: Blob(digest, size or 0) for case, digest, size in columns}


def canary_passed(run: Run) -> bool:
    """Whether a container has ended cleanly with a readable mask."""
    return RunCase.objects.filter(run=run, batch__is_canary=True, result__status=CaseStatus.SCORED).exists()


def plan(run: Run) -> None:
    """Make the batches that the run needs now, all at once."""
    unplanned = list(run.cases.filter(outcome="", batch=None))
    if unplanned and canary_passed(run):
        size = run.submission.phase.batch_size
        for first in range(0, len(unplanned), size):
            _make_batch(run, unplanned[first : first + size], is_canary=False)
    elif unplanned and not run.batches.filter(state__in=OPEN_BATCH_STATES).exists():
        _make_batch(run, unplanned[:1], is_canary=True)


def _make_batch(run: Run, cases: Sequence[RunCase], *, is_canary: bool) -> None:
    number = (run.batches.aggregate(last=Max("number"))["last"] or 0) + 1
    batch = Batch.objects.create(run=run, number=number, is_canary=is_canary)
    RunCase.objects.filter(pk__in=[case.pk for case in cases]).update(batch=batch)


def longest_streak(run: Run) -> int:
    """The most cases in a row, in the run's order, that were lost by the team's fault."""
    longest = streak = 0
    for outcome, status in run.cases.order_by("position").values_list("outcome", "result__status"):
        lost = outcome in {RunCase.Outcome.FAILED, RunCase.Outcome.MISSING} or status == CaseStatus.INVALID
        streak = streak + 1 if lost else 0
        longest = max(longest, streak)
    return longest
