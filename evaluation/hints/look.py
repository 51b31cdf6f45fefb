"""The hints of one run: which cases to look at, what to ask about them, what to make of the answers.

Who answers is up to the caller: `budget` asks one child process within a budget, the command line all of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from evaluation.hints.judging import AS_IS, Hint, Suspicion, best_first, correction_of, prove, suspicions, worth_a_look
from evaluation.isolation.scorer import Job
from evaluation.masks.correction import Correction
from evaluation.metrics.fit import Fit
from evaluation.results import CaseResult


class Answers(Protocol):
    """Whoever answers the questions of a look: each in the order they were asked, None where that is not known."""

    def fits(self, jobs: Sequence[Job]) -> Sequence[Fit | None]:
        """How these cases would have scored had their masks been saved in other ways."""

    def corrected(self, masks: Sequence[tuple[Job, Correction]]) -> Sequence[CaseResult | None]:
        """The results of these cases with their masks so corrected."""


def look(
    jobs: Sequence[Job], results: Sequence[CaseResult], answers: Answers, *, max_cases: int | None = None
) -> list[Hint]:
    """What a run is told, from its jobs and their results in the same order.

    A suspicion is proven on the first `max_cases` of the run, or on as many as there are answers for; the hint says
    how many.
    """
    poor = [jobs[index] for index in worth_a_look(results)]
    found = zip(poor, answers.fits(poor), strict=True)
    fits = {job.case.name: fit for job, fit in found if fit is not None}
    cases = list(zip(jobs, results, strict=True))[:max_cases]
    return best_first(_proven(one, cases, answers, len(results)) for one in suspicions(results, fits))


def _proven(suspicion: Suspicion, cases: Sequence[tuple[Job, CaseResult]], answers: Answers, of: int) -> Hint | None:
    """What is said of a suspicion once the corrected masks of the cases are scored."""
    known: dict[int, CaseResult] = {}
    asked: dict[int, tuple[Job, Correction]] = {}
    for number, (job, as_saved) in enumerate(cases):
        correction = correction_of(suspicion, as_saved)
        if correction == AS_IS:
            known[number] = as_saved
        elif correction is not None:
            asked[number] = job, correction
    answered = zip(asked, answers.corrected(list(asked.values())), strict=True)
    known |= {number: result for number, result in answered if result is not None}
    numbers = sorted(known)
    return prove(suspicion, [cases[number][1] for number in numbers], [known[number] for number in numbers], of)
