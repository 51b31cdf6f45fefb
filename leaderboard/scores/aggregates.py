"""The numbers of a whole run: the results of its cases aggregated, over all of them and over the public half.

With them the scores of its findings are written as one array.
"""

import math
from collections.abc import Collection, Sequence
from typing import Any

import evaluation
from evaluation import CaseResult, CaseStatus
from leaderboard.models import CaseSet, Finding, Run, Standing
from leaderboard.scores import arrays


def aggregate(run: Run) -> str:
    """Aggregate a run whose cases all have a result; by which evaluation version. Doing it again replaces the numbers.

    The results are those of the present metrics.
    """
    cases = list(run.cases.select_related("case__case_set"))
    case_set = cases[0].case.case_set  # of a try-out another one than its phase's
    version = case_set.evaluation_version
    results = [case.result for case in cases if case.result is not None]
    for scope, numbers in standings_of(results, case_set).items():
        Standing.objects.update_or_create(run=run, scope=scope, defaults={"evaluation_version": version, **numbers})
    if results:
        arrays.write(run.pk, results, version)
    return version


def standings_of(results: Sequence[CaseResult], case_set: CaseSet) -> dict[str, dict[str, Any]]:
    """What the standings of a run with these results say, by their scope; none of a scope without a case."""
    sizes, public = finding_sizes(case_set), case_set.cases.filter(in_public_half=True)
    half = set(public.values_list("name", flat=True))
    scopes = {Standing.Scope.ALL: results, Standing.Scope.HALF: [one for one in results if one["name"] in half]}
    return {scope.value: _standing(some, case_set, sizes) for scope, some in scopes.items() if some}


def _standing(
    results: Collection[CaseResult], case_set: CaseSet, sizes: dict[tuple[str, str], float]
) -> dict[str, Any]:
    limits = evaluation.size_limits(list(sizes.values()))
    numbers = evaluation.aggregate(
        list(results), seed=evaluation.seed_from(case_set.digest), sizes=sizes, limits=limits
    )
    return {
        "dice": numbers["summary"]["dice"],
        "cases": len(results),
        "lost_cases": sum(result["status"] != CaseStatus.SCORED for result in results),
        "summary": numbers["summary"],
        "groups": numbers["groups"],
    }


def finding_sizes(case_set: CaseSet) -> dict[tuple[str, str], float]:
    """Each finding's share of its volume, by case name and finding key."""
    volumes = {name: math.prod(shape) for name, shape in case_set.cases.values_list("name", "shape")}
    findings = Finding.objects.filter(case__case_set=case_set).order_by("case", "channel")
    found = findings.values_list("case__name", "channel", "voxels")
    return {(name, str(channel)): voxels / volumes[name] for name, channel, voxels in found}
