"""What a re-scoring has to measure, of which runs, and which masks of these are gone.

By other metrics every mask is measured. On mended references those of the cases whose reference is another one, or of
which a finding changed between focal and non-focal, whose distances are measured in different ways. Of all others the
result stays, with the category as it is now.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

import evaluation
from leaderboard.core import blobs
from leaderboard.models import Case, CaseSet, Phase, RescoredRun, Rescoring, Run, RunCase, Standing
from leaderboard.states import RunState, SubmissionKind

AT_ONCE = 50  # runs that are looked at by one statement


class Work(NamedTuple):
    """What is to do for a run: how many masks are to be measured, and how many of these are not kept any more."""

    run: int
    from_version: str
    to_measure: int
    masks_missing: int


def runs_to_score(phase: Phase, cases: CaseSet) -> QuerySet[Run]:
    """The scored runs of a phase, ranked or not, whose numbers are not by the present metrics on these cases.

    Without try-outs: they are on no board, and keep their numbers, which name their version.
    """
    present = Standing.objects.filter(run=OuterRef("pk"), evaluation_version=cases.evaluation_version)
    scored = Run.objects.filter(submission__phase=phase, state=RunState.SCORED)
    return scored.exclude(submission__kind=SubmissionKind.TRY_OUT).filter(~Exists(present)).order_by("pk")


def to_measure(cases: CaseSet) -> Q:
    """Which masks of runs (RunCase) have to be measured to score them on these cases."""
    by_others = ~Q(evaluation_version=evaluation.VERSION)
    return Q(outcome=RunCase.Outcome.FINISHED) & (by_others | Q(case__in=_mended(cases)))


def work_of(runs: Sequence[int], cases: CaseSet) -> list[Work]:
    """What is to do for these runs (their keys), in their order."""
    standings = Standing.objects.filter(run__in=runs, scope=Standing.Scope.ALL)
    versions = dict(standings.values_list("run", "evaluation_version"))
    masks = RunCase.objects.filter(to_measure(cases), run__in=runs).order_by()
    counts = dict(masks.values_list("run").annotate(Count("pk")))
    missing: dict[int, int] = dict.fromkeys(runs, 0)
    for run, digest in masks.values_list("run", "output"):
        missing[run] += not blobs.outputs.exists(digest)
    return [Work(run, versions.get(run, ""), counts.get(run, 0), missing[run]) for run in runs]


def goes_on(rescoring: Rescoring) -> bool:
    """Whether the server still has the metrics by which it was begun."""
    return rescoring.to_version == rescoring.to_cases.evaluation_version


def take_in(rescoring: Rescoring) -> int:
    """Take in the runs that were scored since, and how many these are. Asking once too often changes nothing."""
    if not goes_on(rescoring):
        return 0
    known = RescoredRun.objects.filter(rescoring=rescoring)
    runs = runs_to_score(rescoring.phase, rescoring.to_cases).exclude(pk__in=known.values("run"))
    new = list(runs.values_list("pk", flat=True))
    for part in in_parts(new):
        rows = [RescoredRun(rescoring=rescoring, **_columns(one)) for one in work_of(part, rescoring.to_cases)]
        RescoredRun.objects.bulk_create(rows, ignore_conflicts=True)
    return len(new)


def _columns(work: Work) -> dict[str, object]:
    told = work._asdict()
    return {"run_id": told.pop("run"), **told}


def in_parts(keys: Iterable[int]) -> Iterator[list[int]]:
    """Up to AT_ONCE keys at a time."""
    left = list(keys)
    return (left[first : first + AT_ONCE] for first in range(0, len(left), AT_ONCE))


def _mended(cases: CaseSet) -> list[int]:
    """The cases (their keys) of the other sets of its family whose masks score differently on these."""
    if not (cases.revision or cases.mended.exists()):
        return []
    family = Case.objects.filter(case_set__in=CaseSet.objects.filter(cases.family)).prefetch_related("findings")
    told = {case: _measured_by(case) for case in family}
    present = {case.name: of_case for case, of_case in told.items() if case.case_set_id == cases.pk}
    return [case.pk for case, of_case in told.items() if of_case != present.get(case.name)]


def _measured_by(case: Case) -> tuple[str, list[object]]:
    """What the scores of a case follow from besides the mask, and the metrics."""
    return case.reference, [evaluation.kind_of(finding.category) for finding in case.findings.all()]
