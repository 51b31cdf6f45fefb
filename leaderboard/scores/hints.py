"""What the masks of a whole run look like: flipped, transposed, in another order, empty, inverted (`evaluation.hints`).

Only on public cases: on hidden ones a hint would tell where the reference lies. It costs a bounded time of one scoring
process, in the same kind of child with limits, and changes no score.
"""

from collections.abc import Callable
from functools import partial

from django.conf import settings

import evaluation
from leaderboard.core import blobs
from leaderboard.models import Run
from leaderboard.scores.scoring import evaluation_case

MAX_CASES = 24  # whose corrected masks are scored

Pause = Callable[[Callable[[], None]], None]


def look(run: Run, pause: Pause = lambda _rest: None) -> list[evaluation.Hint]:
    """The hints of a scored run, from its masks as far as they are in the store. ValueError for hidden cases.

    `pause` is called before each case with a function that gives back the memory which the look takes meanwhile.
    """
    if not run.submission.cases_are_public:
        raise ValueError(f"the cases of {run} are hidden")
    jobs, results = [], []
    for case in run.cases.select_related("case").prefetch_related("case__findings"):
        is_scored = case.result is not None and case.result["status"] == evaluation.CaseStatus.SCORED
        if case.result is None or (is_scored and not (case.output and blobs.outputs.exists(case.output))):
            continue
        prediction = blobs.outputs.path(case.output) if is_scored else None
        reference = blobs.references.path(case.case.reference)
        jobs.append(evaluation.Job(evaluation_case(case.case), reference, prediction))
        results.append(case.result)
    prepared = blobs.references.root / "prepared"
    with evaluation.IsolatedScorer(memory_bytes=settings.SCORING_MEMORY_BYTES, prepared=prepared) as scorer:
        answers = evaluation.WithinBudget(
            scorer,
            seconds_per_case=settings.HINTS_CASE_SECONDS,
            seconds_per_run=settings.HINTS_RUN_SECONDS,
            before_each=partial(pause, scorer.rest),
        )
        return evaluation.look(jobs, results, answers, max_cases=MAX_CASES)
