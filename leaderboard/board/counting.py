"""Which of a team's runs counts.

`last`: the latest-accepted scored run; a later failed run never displaces it. `best`: the highest ranking score, with a
public half always the one on that half, before and after the reveal. Main entries compete in Overall too.

A run without a single usable mask has failed, and does not count. (Where few cases were asked for, such runs used to be
"scored"; they kept that state, and do not count either.)
"""

from collections.abc import Iterable
from typing import NamedTuple

from django.db.models import Exists, F, OuterRef, QuerySet

import evaluation
from leaderboard.board.disclosure import Disclosure, scope_for_best_run
from leaderboard.models import Phase, Standing, Submission, Team
from leaderboard.states import RunState


class _Candidate(NamedTuple):
    """A standing that may count."""

    standing: int
    run: int
    submission: int
    team: int
    track: str


_COLUMNS = ("pk", "run_id", "run__submission_id", "run__submission__team_id", "run__submission__track")


def counting_standings(disclosure: Disclosure, track: str) -> list[Standing]:
    """One standing per team that has a counting run, in no particular order; of a submission its latest run counts."""
    rows = [_Candidate(*row) for row in _candidates(disclosure, track).values_list(*_COLUMNS)]
    chosen = _chosen(rows, _choosing_scores(disclosure.phase, rows))
    related = ("run__submission__team", "run__submission__phase")
    return list(Standing.objects.filter(pk__in=[one.standing for one in chosen]).select_related(*related))


def counting_runs(disclosure: Disclosure, team: Team) -> dict[int, list[str]]:
    """The team's runs that count, by their key, each with the tracks in which it does; none but those of the board.

    Where the board shows no numbers, which run is the best one would tell something of them: then nothing is said.
    """
    if disclosure.scope is None:
        return {}
    own = _candidates(disclosure, Submission.Track.OVERALL).filter(run__submission__team=team)
    rows = [_Candidate(*row) for row in own.values_list(*_COLUMNS)]
    scores = _choosing_scores(disclosure.phase, rows)
    found: dict[int, list[str]] = {}
    for track in Submission.Track.values:
        for one in _chosen([row for row in rows if row.track in _competing(track)], scores):
            found.setdefault(one.run, []).append(track)
    return found


def _chosen(candidates: Iterable[_Candidate], scores: dict[int, float] | None) -> list[_Candidate]:
    """The one that counts of each team: by these scores, or else the last."""
    latest_run = {one.submission: one for one in candidates}
    of_team: dict[int, list[_Candidate]] = {}
    for one in latest_run.values():
        of_team.setdefault(one.team, []).append(one)
    if scores is None:
        return [runs[-1] for runs in of_team.values()]
    return [max(runs, key=lambda one: scores.get(one.run, 0.0)) for runs in of_team.values()]


def _competing(track: str) -> list[str]:
    """The tracks whose runs compete in this one."""
    return [track] if track == Submission.Track.MAIN else [Submission.Track.MAIN, Submission.Track.OVERALL]


def _without_a_mask() -> Exists:
    """Of a standing's run, whether all its cases are lost: on the public half alone they may be."""
    every_case = Standing.objects.filter(run=OuterRef("run"), scope=Standing.Scope.ALL)
    return Exists(every_case.filter(lost_cases__gte=F("cases")))


def _candidates(disclosure: Disclosure, track: str) -> QuerySet[Standing]:
    """The standings that may count, the earliest-accepted first."""
    phase = disclosure.phase
    return Standing.objects.filter(
        disclosure.visible("run__ended_at"),
        ~_without_a_mask(),
        scope=disclosure.scope,
        evaluation_version=evaluation.VERSION,
        run__state=RunState.SCORED,
        run__submission__phase=phase,
        run__submission__track__in=_competing(track),
        run__submission__disqualified_at=None,
        run__submission__accepted_at__lt=phase.closes_at,
    ).order_by("run__submission__accepted_at", "run__number")


def _choosing_scores(phase: Phase, candidates: Iterable[_Candidate]) -> dict[int, float] | None:
    """The Dice by which the best run is chosen, by run; None where the last one counts."""
    if phase.counting == Phase.Counting.LAST:
        return None
    runs = [one.run for one in candidates]
    return dict(Standing.objects.filter(run__in=runs, scope=scope_for_best_run(phase)).values_list("run_id", "dice"))
