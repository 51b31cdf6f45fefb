"""Which of a team's runs counts.

`last`: the latest-accepted scored run; a later failed run never displaces it. `best`: the highest ranking score, with a
public half always the one on that half, before and after the reveal. Main entries compete in Overall too.
"""

from django.db.models import QuerySet

import evaluation
from leaderboard.board.disclosure import Disclosure, scope_for_best_run
from leaderboard.models import Phase, Standing, Submission
from leaderboard.states import RunState


def counting_standings(disclosure: Disclosure, track: str) -> list[Standing]:
    """One standing per team that has a counting run, in no particular order; of a submission its latest run counts."""
    columns = ("pk", "run_id", "run__submission_id", "run__submission__team_id")
    candidates = _candidates(disclosure, track).values_list(*columns)
    latest_run = {submission: (pk, run, team) for pk, run, submission, team in candidates}
    of_team: dict[int, list[tuple[int, int]]] = {}
    for pk, run, team in latest_run.values():
        of_team.setdefault(team, []).append((pk, run))
    if disclosure.phase.counting == Phase.Counting.LAST:
        chosen = [runs[-1][0] for runs in of_team.values()]
    else:
        scores = _choosing_scores(disclosure.phase, [run for runs in of_team.values() for _, run in runs])
        chosen = [max(runs, key=lambda one: scores.get(one[1], 0.0))[0] for runs in of_team.values()]
    related = ("run__submission__team", "run__submission__phase")
    return list(Standing.objects.filter(pk__in=chosen).select_related(*related))


def _candidates(disclosure: Disclosure, track: str) -> QuerySet[Standing]:
    """The standings that may count, the earliest-accepted first."""
    phase = disclosure.phase
    tracks = [track] if track == Submission.Track.MAIN else [Submission.Track.MAIN, Submission.Track.OVERALL]
    return Standing.objects.filter(
        disclosure.visible("run__ended_at"),
        scope=disclosure.scope,
        evaluation_version=evaluation.VERSION,
        run__state=RunState.SCORED,
        run__submission__phase=phase,
        run__submission__track__in=tracks,
        run__submission__disqualified_at=None,
        run__submission__accepted_at__lt=phase.closes_at,
    ).order_by("run__submission__accepted_at", "run__number")


def _choosing_scores(phase: Phase, runs: list[int]) -> dict[int, float]:
    """The Dice by which the best run is chosen, by run."""
    return dict(Standing.objects.filter(run__in=runs, scope=scope_for_best_run(phase)).values_list("run_id", "dice"))
