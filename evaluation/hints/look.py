"""The hints of one run, found one case after the other in one child process, within a budget of processor time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from evaluation.hints.judging import AS_IS, Hint, Suspicion, best_first, correction_of, prove, suspicions, worth_a_look
from evaluation.isolation.scorer import IsolatedScorer, Job
from evaluation.metrics.fit import Fit
from evaluation.results import CaseResult

FITTING = 0.5  # the share of the budget that finding suspicions may take; the rest is for proving them
MAX_CORRECTED = 24  # cases whose corrected masks are scored

_Answer = TypeVar("_Answer")


def look(
    jobs: Sequence[Job],
    results: Sequence[CaseResult],
    scorer: IsolatedScorer,
    *,
    seconds_per_case: float,
    seconds_per_run: float,
) -> list[Hint]:
    """What a run is told, from its jobs and their results in the same order.

    No request may take more than `seconds_per_case` of processor time, and all together not much more than
    `seconds_per_run`: where the budget ends, fewer cases are looked at, and the hint says how many.
    """
    budget = _Budget(scorer, seconds_per_case)
    fits: dict[str, Fit] = {}
    for index in worth_a_look(results):
        found = budget.within(FITTING * seconds_per_run, partial(scorer.fit, jobs[index]))
        if found is not None:
            fits[jobs[index].case.name] = found
    return best_first(_proven(one, jobs, results, budget, seconds_per_run) for one in suspicions(results, fits))


class _Budget:
    """What the scorer may still spend."""

    def __init__(self, scorer: IsolatedScorer, seconds_per_case: float) -> None:
        self.scorer = scorer
        self._seconds_per_case = seconds_per_case

    def within(self, seconds: float, ask: Callable[[float], _Answer | None]) -> _Answer | None:
        """The answer of `ask`, which is told its seconds; None where so many were spent since the beginning."""
        left = seconds - self.scorer.spent_seconds
        return ask(min(left, self._seconds_per_case)) if left > 0 else None


def _proven(
    suspicion: Suspicion, jobs: Sequence[Job], results: Sequence[CaseResult], budget: _Budget, seconds: float
) -> Hint | None:
    as_saved, corrected = [], []
    for job, result in list(zip(jobs, results, strict=True))[:MAX_CORRECTED]:
        now = _corrected(suspicion, job, result, budget, seconds)
        if now is not None:
            as_saved.append(result)
            corrected.append(now)
    return prove(suspicion, as_saved, corrected, len(results))


def _corrected(
    suspicion: Suspicion, job: Job, as_saved: CaseResult, budget: _Budget, seconds: float
) -> CaseResult | None:
    correction = correction_of(suspicion, as_saved)
    if correction is None or correction == AS_IS:
        return as_saved if correction else None
    return budget.within(seconds, partial(budget.scorer.corrected, job, correction))
