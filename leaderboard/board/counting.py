"""Which of a team's runs counts.

`last`: the latest-accepted scored run; a later failed run never displaces it. `best`: the highest ranking score, with a
public half always the one on that half, before and after the reveal. Until the reveal it is the highest as scores are
shown, rounded, and of equal ones the earliest: else a team that withdraws its best run, and looks which counts then,
would learn more than the scores that it is shown. Main entries compete in Overall too.

A withdrawn run does not count, wherever it stands: its team may withdraw any run until the deadline, and bring it back.

A run without a single usable mask has failed, and does not count. (Where few cases were asked for, such runs used to be
"scored"; they kept that state, and do not count either.)
"""

from collections.abc import Iterable
from functools import partial, reduce
from itertools import product
from operator import or_
from typing import NamedTuple

from django.db.models import Exists, F, OuterRef, Q, Subquery

import evaluation
from leaderboard.board.disclosure import DECIMALS, Disclosure, scope_for_best_run
from leaderboard.models import Phase, Standing, Submission
from leaderboard.states import RunState


class _Candidate(NamedTuple):
    """A standing that may count, with its run's Dice over all cases and over the public half."""

    standing: int
    run: int
    submission: int
    team: int
    track: str
    phase: int
    dice_all: float | None
    dice_half: float | None


_COLUMNS = ("pk", "run_id", *(f"run__submission{of}" for of in ("_id", "__team_id", "__track", "__phase_id")))


def counting_standings(disclosure: Disclosure, track: str) -> list[Standing]:
    """One standing per team that has a counting run, in no particular order; of a submission its latest run counts."""
    competing = Q(run__submission__track__in=_competing(track))
    chosen = _chosen(disclosure, _candidates(_may_count(disclosure) & competing))
    related = ("run__submission__team", "run__submission__phase")
    return list(Standing.objects.filter(pk__in=[one.standing for one in chosen]).select_related(*related))


def counting_runs(disclosures: Iterable[Disclosure], team: int) -> dict[tuple[int, str], list[int]]:
    """The runs of a team that counted one after the other, by their keys, by phase (its key) and track; the last does.

    They are those that the boards show, in the order in which they were accepted. Where a board shows no numbers, which
    run is the best one would tell something of them: then nothing is said. One question, however many phases.
    """
    shown = [disclosure for disclosure in disclosures if disclosure.scope is not None]
    if not shown:
        return {}
    latest = {
        one.submission: one for one in _candidates(Q(run__submission__team=team) & reduce(or_, map(_may_count, shown)))
    }
    found = {}
    for disclosure, track in product(shown, Submission.Track.values):
        phase, competing = disclosure.phase, _competing(track)
        rows = [one for one in latest.values() if one.phase == phase.pk and one.track in competing]
        winners = [_chosen(disclosure, rows[: number + 1])[0].run for number in range(len(rows))]
        found[phase.pk, track] = list(dict.fromkeys(winners))
    return found


def _chosen(disclosure: Disclosure, candidates: Iterable[_Candidate]) -> list[_Candidate]:
    """The one that counts of each team, as the phase says: the last, or the best."""
    latest_run = {one.submission: one for one in candidates}
    of_team: dict[int, list[_Candidate]] = {}
    for one in latest_run.values():
        of_team.setdefault(one.team, []).append(one)
    if disclosure.phase.counting == Phase.Counting.LAST:
        return [runs[-1] for runs in of_team.values()]
    return [max(runs, key=partial(_ranking_score, disclosure)) for runs in of_team.values()]


def _ranking_score(disclosure: Disclosure, one: _Candidate) -> float:
    """By what a team's best run is chosen: the same for every reader, or boards would differ in more than decimals."""
    by_half = scope_for_best_run(disclosure.phase) == Standing.Scope.HALF
    score = (one.dice_half if by_half else one.dice_all) or 0.0
    return score if disclosure.is_revealed else round(score, DECIMALS)


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
    of_run = Standing.objects.filter(run=OuterRef("run"))
    over_all, over_half = (of_run.filter(scope=scope) for scope in (Standing.Scope.ALL, Standing.Scope.HALF))
    rows = Standing.objects.filter(
        among,
        ~Exists(over_all.filter(lost_cases__gte=F("cases"))),
        evaluation_version=evaluation.VERSION,
        run__state=RunState.SCORED,
        run__submission__disqualified_at=None,
        run__submission__withdrawn_at=None,
    )
    ordered = rows.order_by("run__submission_id", "run__number")
    scores = (Subquery(over_all.values("dice")), Subquery(over_half.values("dice")))
    return [_Candidate(*row) for row in ordered.values_list(*_COLUMNS, *scores)]
