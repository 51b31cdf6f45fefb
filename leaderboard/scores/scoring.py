"""Between our rows and `evaluation`: which files, which findings, which numbers.

Masks are parsed in a child process with limits (evaluation.assess_isolated), here, where the references are: never on a
machine that runs containers.
"""

import contextlib
from collections.abc import Callable, Generator, Iterable

from django.conf import settings
from django.db.models import Q, QuerySet

import evaluation
from leaderboard.core import blobs
from leaderboard.models import Batch, Case, RunCase


def evaluation_case(case: Case) -> evaluation.Case:
    """A case as the evaluation names it, under its real name."""
    findings = list(case.findings.all())
    return evaluation.Case(
        name=case.name,
        findings=tuple(str(finding.channel) for finding in findings),
        categories={str(finding.channel): finding.category for finding in findings if finding.category},
        shape=tuple(case.shape),
        spacing_mm=tuple(case.spacing_mm),
    )


def not_scored() -> Q:
    """Masks without a result, or with one of other metrics: a server may be upgraded in the middle of a run."""
    by_others = Q(result__isnull=True) | ~Q(evaluation_version=evaluation.VERSION)
    return Q(outcome=RunCase.Outcome.FINISHED) & by_others


def unscored(batch: Batch) -> QuerySet[RunCase]:
    """The masks of the batch that have no score yet, and those of its run that another evaluation version scored."""
    of_this = Q(batch=batch) | Q(run=batch.run, result__isnull=False)
    cases = RunCase.objects.filter(of_this, not_scored())
    return cases.select_related("case").prefetch_related("case__findings")


def score(
    cases: Iterable[RunCase], *, until: Callable[[], bool] = lambda: False
) -> Generator[tuple[RunCase, evaluation.Assessment], None, None]:
    """Score masks one after the other, at least one, `until` the caller has no more time.

    Raises evaluation.EvaluationError or OSError when one of *our* files is missing or unusable, or when the process
    that scores is killed or stalls, again and again.
    """
    cases = list(cases)
    for case in cases:
        if not blobs.outputs.exists(case.output):
            raise FileNotFoundError(f"the mask {case.output} of {case} is not in the store")
    jobs = (
        evaluation.Job(
            case=evaluation_case(run_case.case),
            reference=blobs.references.path(run_case.case.reference),
            prediction=blobs.outputs.path(run_case.output),
        )
        for run_case in cases
    )
    assessments = evaluation.assess_isolated(
        jobs,
        memory_bytes=settings.SCORING_MEMORY_BYTES,
        seconds_per_case=settings.SCORING_CASE_SECONDS,
        prepared=blobs.references.root / "prepared",
    )
    with contextlib.closing(assessments):
        for case, assessment in zip(cases, assessments, strict=True):
            yield case, assessment
            if until():
                return


def lost(run_case: RunCase, status: evaluation.CaseStatus, reason: str) -> evaluation.CaseResult:
    """The result of a case without a usable mask: Dice 0 for each finding, every entity a false negative."""
    case = run_case.case
    counts = [finding.entity_count for finding in case.findings.all()]
    return evaluation.lost_case(evaluation_case(case), counts, status, reason)
