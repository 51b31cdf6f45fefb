"""Which of a team's runs counts.

`last`: the latest-accepted scored run; a later failed run never displaces it. `best`: the highest ranking score, with a
public half always the one on that half, before and after the reveal. Until the reveal it is the highest as scores are
shown, rounded, and of equal ones the earliest: else a team that withdraws its best run, and looks which counts then,
would learn more than the scores that it is shown. Main entries compete in Overall too.

A withdrawn run does not count, wherever it stands: its team may withdraw any run until the deadline, and bring it back.

Masks that were handed in compete as images do, or stand apart where the phase does not rank them.

Try-outs are on no board. Post-challenge runs count for nothing: a board shows them apart, of each team the one that
would be its counting one among them.

A run without a single usable mask has failed, and does not count. (Where few cases were asked for, such runs used to be
"scored"; they kept that state, and do not count either.)
"""

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import product
from operator import or_
from typing import NamedTuple

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery

from leaderboard.board.disclosure import DECIMALS, Disclosure, scope_for_best_run
from leaderboard.models import Phase, Standing, Submission
from leaderboard.states import RunState, SubmissionKind


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


def counting_standings(disclosure: Disclosure, track: str) -> list[int]:
    """The key of one standing per team that has a counting run, in no particular order.

    Of a submission its latest run counts. None where no numbers are shown; here and below.
    """
    return _one_of_each_team(disclosure, track, _may_rank(disclosure))


def unranked_masks(disclosure: Disclosure, track: str) -> list[int]:
    """Where the phase does not rank masks: one standing per team that handed some in, chosen as its counting run is."""
    if disclosure.phase.masks_are_ranked:
        return []
    of_masks = Q(run__submission__entry=Submission.Entry.MASKS)
    return _one_of_each_team(disclosure, track, _may_count(disclosure) & of_masks)


def post_challenge_standings(disclosure: Disclosure, track: str) -> list[int]:
    """One standing per team that has a post-challenge run, chosen as its counting run is."""
    return _one_of_each_team(disclosure, track, _may_be_shown(disclosure)) if _may_have_runs(disclosure) else []


def shown_standings(disclosure: Disclosure, track: str) -> QuerySet[Standing]:
    """Of each submission that may be shown the standing of its latest run, whether that counts or not."""
    if disclosure.scope is None or not _may_have_runs(disclosure):
        return Standing.objects.none()
    rows = _that_may_count(_may_be_shown(disclosure) & Q(run__submission__track__in=_competing(track)))
    return rows.order_by("run__submission_id", "-run__number").distinct("run__submission_id")


def _may_have_runs(disclosure: Disclosure) -> bool:
    """Whether there can be runs of the kind that is asked about: before the deadline no post-challenge run comes."""
    phase = disclosure.phase
    is_after = disclosure.kind == SubmissionKind.POST_CHALLENGE
    return not is_after or phase.post_challenge_opens_at is not None or disclosure.at >= phase.closes_at


def _one_of_each_team(disclosure: Disclosure, track: str, among: Q) -> list[int]:
    if disclosure.scope is None:
        return []
    rows = _that_may_count(among & Q(run__submission__track__in=_competing(track)))
    if disclosure.phase.counting == Phase.Counting.LAST:
        last = rows.order_by("run__submission__team_id", "-run__submission_id", "-run__number")
        return list(last.distinct("run__submission__team_id").values_list("pk", flat=True))
    return _best_of_each_team(disclosure, rows)


def _best_of_each_team(disclosure: Disclosure, rows: QuerySet[Standing]) -> list[int]:
    """The standings (their keys) of the best runs; of equal ones the earliest-accepted."""
    scope = scope_for_best_run(disclosure.phase)
    dice = F("dice") if scope == disclosure.scope else _dice_over(scope)
    ordered = rows.order_by("run__submission_id", "run__number")
    read = ordered.values_list("run__submission_id", "run__submission__team_id", "pk", dice)
    score = _score(disclosure)
    best: dict[int, tuple[float, int]] = {}
    for _, team, standing, found in {row[0]: row for row in read}.values():  # of a submission its latest run
        reached = found or 0.0
        if team not in best or (reached > best[team][0] and score(reached) > score(best[team][0])):
            best[team] = reached, standing
    return [standing for _, standing in best.values()]


def counting_runs(disclosures: Iterable[Disclosure], team: int) -> dict[tuple[int, str], list[int]]:
    """The runs of a team that counted one after the other, by their keys, by phase (its key) and track; the last does.

    They are those that the boards show, in the order in which they were accepted. Where a board shows no numbers, which
    run is the best one would tell something of them: then nothing is said. One question, however many phases.
    """
    shown = [disclosure for disclosure in disclosures if disclosure.scope is not None]
    if not shown:
        return {}
    that_may = _that_may_count(Q(run__submission__team=team) & reduce(or_, map(_may_rank, shown)))
    latest = {one.submission: one for one in _candidates(that_may)}
    found = {}
    for disclosure, track in product(shown, Submission.Track.values):
        phase, competing = disclosure.phase, _competing(track)
        rows = [one for one in latest.values() if one.phase == phase.pk and one.track in competing]
        winners = [_counting(disclosure, rows[: number + 1]).run for number in range(len(rows))]
        found[phase.pk, track] = list(dict.fromkeys(winners))
    return found


def _counting(disclosure: Disclosure, candidates: Sequence[_Candidate]) -> _Candidate:
    """The one that counts of a team's, which stand in the order in which they were accepted."""
    if disclosure.phase.counting == Phase.Counting.LAST:
        return candidates[-1]
    by_half = scope_for_best_run(disclosure.phase) == Standing.Scope.HALF
    score = _score(disclosure)
    return max(candidates, key=lambda one: score(one.dice_half if by_half else one.dice_all))


def _score(disclosure: Disclosure) -> Callable[[float | None], float]:
    """By what a team's best run is chosen, of the run's Dice: the same for every reader.

    Else boards would differ in more than decimals.
    """
    if disclosure.is_revealed and not disclosure.stays_rounded:
        return lambda dice: dice or 0.0
    return lambda dice: round(dice or 0.0, DECIMALS)


def _competing(track: str) -> list[str]:
    """The tracks whose runs compete in this one."""
    return [track] if track == Submission.Track.MAIN else [Submission.Track.MAIN, Submission.Track.OVERALL]


def _may_rank(disclosure: Disclosure) -> Q:
    """The same without masks, where the phase does not rank them."""
    ranked = Q() if disclosure.phase.masks_are_ranked else Q(run__submission__entry=Submission.Entry.IMAGE)
    return _may_count(disclosure) & ranked


def _may_count(disclosure: Disclosure) -> Q:
    """Restricts standings to those of a phase's entries that its board may show and rank."""
    return _may_be_shown(disclosure) & Q(run__submission__accepted_at__lt=disclosure.phase.closes_at)


def _may_be_shown(disclosure: Disclosure) -> Q:
    """Restricts standings to those of a phase's runs, of the kind that is asked about, that its board may show."""
    return disclosure.visible("run__ended_at") & Q(
        scope=disclosure.scope,
        evaluation_version=disclosure.phase.ranked_version,  # numbers of different ones do not compare
        run__submission__phase=disclosure.phase,
        run__submission__kind=disclosure.kind,
    )


def _that_may_count(among: Q) -> QuerySet[Standing]:
    """The standings of runs that are scored, with a usable mask, and neither withdrawn nor disqualified."""
    over_all = Standing.objects.filter(run=OuterRef("run"), scope=Standing.Scope.ALL)
    return Standing.objects.filter(
        among,
        ~Exists(over_all.filter(lost_cases__gte=F("cases"))),  # on the public half alone all of them may be lost
        run__state=RunState.SCORED,
        run__submission__disqualified_at=None,
        run__submission__withdrawn_at=None,
    )


def _candidates(rows: QuerySet[Standing]) -> list[_Candidate]:
    """The standings that may count, the earliest-accepted first."""
    ordered = rows.order_by("run__submission_id", "run__number")
    scores = [_dice_over(scope) for scope in (Standing.Scope.ALL, Standing.Scope.HALF)]
    return [_Candidate(*row) for row in ordered.values_list(*_COLUMNS, *scores)]


def _dice_over(scope: Standing.Scope) -> Subquery:
    """The Dice over these cases of the run of a standing that is asked about."""
    return Subquery(Standing.objects.filter(run=OuterRef("run"), scope=scope).values("dice"))
