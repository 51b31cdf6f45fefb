"""The numbers of a whole run: the results of its cases aggregated, over all of them and over the public half.

With them the scores of its findings are written as one array.
"""

import math

import evaluation
from leaderboard.models import CaseSet, Finding, Run, Standing
from leaderboard.scores import arrays


def aggregate(run: Run) -> None:
    """Aggregate a run whose cases all have a result. Doing it again replaces the numbers."""
    cases = list(run.cases.select_related("case"))
    case_set = cases[0].case.case_set  # of a try-out another one than its phase's
    sizes = finding_sizes(case_set)
    limits = evaluation.size_limits(list(sizes.values()))
    scopes = {
        Standing.Scope.ALL: cases,
        Standing.Scope.HALF: [case for case in cases if case.case.in_public_half],
    }
    for scope, members in scopes.items():
        results = [case.result for case in members if case.result is not None]
        if not results:
            continue
        numbers = evaluation.summarise(results, seed=evaluation.seed_from(case_set.digest), sizes=sizes, limits=limits)
        Standing.objects.update_or_create(
            run=run,
            scope=scope,
            defaults={
                "evaluation_version": evaluation.VERSION,
                "dice": numbers["summary"]["dice"],
                "cases": len(results),
                "lost_cases": sum(result["status"] != evaluation.CaseStatus.SCORED for result in results),
                "summary": numbers["summary"],
                "groups": numbers["groups"],
            },
        )
    if results := [case.result for case in cases if case.result is not None]:
        arrays.write(run.pk, results, evaluation.VERSION)


def finding_sizes(case_set: CaseSet) -> dict[tuple[str, str], float]:
    """Each finding's share of its volume, by case name and finding key."""
    volumes = {name: math.prod(shape) for name, shape in case_set.cases.values_list("name", "shape")}
    findings = Finding.objects.filter(case__case_set=case_set).order_by("case", "channel")
    found = findings.values_list("case__name", "channel", "voxels")
    return {(name, str(channel)): voxels / volumes[name] for name, channel, voxels in found}
