"""Which of a team's runs counts.

`last`: the latest-accepted scored run; a later failed run never displaces it. `best`: the highest ranking score, with a
public half always the one on that half, before and after the reveal. Main entries compete in Overall too.

A run without a single usable mask has failed, and does not count. (Where few cases were asked for, such runs used to be
"scored"; they kept that state, and do not count either.)
"""

from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import product
from operator import or_
from typing import NamedTuple

from django.db.models import Exists, F, OuterRef, Q

import evaluation
from leaderboard.board.disclosure import Disclosure, scope_for_best_run
from leaderboard.models import Phase, Standing, Submission
from leaderboard.states import RunState


class _Candidate(NamedTuple):
    """A standing that may count."""

    standing: int
    run: int
    submission: int
    team: int
    track: str
    phase: int


_COLUMNS = ("pk", "run_id", *(f"run__submission{of}" for of in ("_id", "__team_id", "__track", "__phase_id")))


def counting_standings(disclosure: Disclosure, track: str) -> list[Standing]:
    """One standing per team that has a counting run, in no particular order; of a submission its latest run counts."""
    competing = Q(run__submission__track__in=_competing(track))
    rows = _candidates(_may_count(disclosure) & competing)
    chosen = _chosen(rows, _choosing_scores([disclosure.phase], rows))
    related = ("run__submission__team", "run__submission__phase")
    return list(Standing.objects.filter(pk__in=[one.standing for one in chosen]).select_related(*related))


def counting_runs(disclosures: Iterable[Disclosure], team: int) -> dict[int, list[str]]:
    """The runs of a team that count, each by its key with the tracks in which it does: those that the boards show.

    Where a board shows no numbers, which run is the best one would tell something of them: then nothing is said.
    Two questions to the database, however many phases.
    """
    shown = [disclosure for disclosure in disclosures if disclosure.scope is not None]
    if not shown:
        return {}
    rows = _candidates(Q(run__submission__team=team) & reduce(or_, map(_may_count, shown)))
    scores = _choosing_scores([disclosure.phase for disclosure in shown], rows)
    found: dict[int, list[str]] = {}
    for disclosure, track in product(shown, Submission.Track.values):
        of_board = [one for one in rows if one.phase == disclosure.phase.pk and one.track in _competing(track)]
        for one in _chosen(of_board, scores):
            found.setdefault(one.run, []).append(track)
    return found


def _chosen(candidates: Iterable[_Candidate], scores: Mapping[int, float]) -> list[_Candidate]:
    """The one that counts of each team: by these scores or, where there are none, the last."""
    latest_run = {one.submission: one for one in candidates}
    of_team: dict[int, list[_Candidate]] = {}
    for one in latest_run.values():
        of_team.setdefault(one.team, []).append(one)
    if not scores.keys() & {one.run for one in latest_run.values()}:
        return [runs[-1] for runs in of_team.values()]
    return [max(runs, key=lambda one: scores[one.run]) for runs in of_team.values()]


def _competing(track: str) -> list[str]:
    """The tracks whose runs compete in this one."""
    return [track] if track == Submission.Track.MAIN else [Submission.Track.MAIN, Submission.Track.OVERALL]


def _may_count(disclosure: Disclosure) -> Q:
    """Restricts standings to those of a phase's runs that its board may show."""
    return disclosure.visible("run__ended_at") & Q(
        scope=disclosure.scope,
        run__submission__phase=disclosure.phase,
        run__submission__accepted_at__lt=disclosure.phase.closes_at,
    )


def _candidates(among: Q) -> list[_Candidate]:
    """The standings that may count, the earliest-accepted first."""
    # On the public half alone all cases of a run may be lost.
    every_case = Standing.objects.filter(run=OuterRef("run"), scope=Standing.Scope.ALL)
    rows = Standing.objects.filter(
        among,
        ~Exists(every_case.filter(lost_cases__gte=F("cases"))),
        evaluation_version=evaluation.VERSION,
        run__state=RunState.SCORED,
        run__submission__disqualified_at=None,
    )
    ordered = rows.order_by("run__submission__accepted_at", "run__number")
    return [_Candidate(*row) for row in ordered.values_list(*_COLUMNS)]


def _choosing_scores(phases: Iterable[Phase], candidates: Iterable[_Candidate]) -> dict[int, float]:
    """The Dice by which the best run of these phases is chosen, by run; none of phases whose last run counts."""
    scopes = {phase.pk: scope_for_best_run(phase) for phase in phases if phase.counting == Phase.Counting.BEST}
    runs = {one.run: scopes[one.phase] for one in candidates if one.phase in scopes}
    if not runs:
        return {}
    rows = Standing.objects.filter(run__in=runs).values_list("run_id", "scope", "dice")
    return dict.fromkeys(runs, 0.0) | {run: dice for run, scope, dice in rows if scope == runs[run]}
