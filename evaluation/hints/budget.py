"""The answers of one child process, one case after the other, within a budget of processor time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from evaluation.isolation.scorer import IsolatedScorer, Job
from evaluation.masks.correction import Correction
from evaluation.metrics.fit import Fit
from evaluation.results import CaseResult

FITTING = 0.5  # the share of the budget that finding suspicions may take; the rest is for proving them

_Answer = TypeVar("_Answer")


class WithinBudget:
    """Answers until the budget is spent, and none from then on.

    No question may take more than `seconds_per_case` of processor time, and all together not much more than
    `seconds_per_run`. `before_each` is called before every question that is asked: a look need not go on in one go.
    """

    def __init__(
        self,
        scorer: IsolatedScorer,
        *,
        seconds_per_case: float,
        seconds_per_run: float,
        before_each: Callable[[], None] = lambda: None,
    ) -> None:
        self._scorer = scorer
        self._seconds_per_case = seconds_per_case
        self._seconds_per_run = seconds_per_run
        self._before_each = before_each

    def fits(self, jobs: Sequence[Job]) -> list[Fit | None]:
        """How these cases would have scored had their masks been saved in other ways."""
        until = FITTING * self._seconds_per_run
        return [self._ask(until, partial(self._scorer.fit, job)) for job in jobs]

    def corrected(self, masks: Sequence[tuple[Job, Correction]]) -> list[CaseResult | None]:
        """The results of these cases with their masks so corrected."""
        until = self._seconds_per_run
        return [self._ask(until, partial(self._scorer.corrected, job, correction)) for job, correction in masks]

    def _ask(self, until: float, question: Callable[[float], _Answer | None]) -> _Answer | None:
        """The answer to a question, which is told its seconds; None where so many were spent since the beginning."""
        left = until - self._scorer.spent_seconds
        if left <= 0:
            return None
        self._before_each()
        return question(min(left, self._seconds_per_case))
