"""Standings: a run's aggregated numbers, which of a team's runs counts, and the ranked board that people may see.

What may be seen is decided here, once, for every address: pages, commands and exports all read `board()`. Until a
phase is revealed, scores are rounded to 3 decimals, ranks and ties follow from the rounded values, pooled counts are
left out, and so is every group of fewer than 10 findings. On hidden cases the board is as it was at the beginning of
the present minute: the instant at which a run ends depends on what is in the cases.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import evaluation
from leaderboard.core import clock
from leaderboard.models import Phase, Run, Standing, Submission, Team
from leaderboard.scores import scoring
from leaderboard.states import RunState

DECIMALS = 3
FEWEST_FINDINGS = 10

CATEGORIES = {
    "1a": "Bronchial wall thickening",
    "1b": "Bronchiectasis",
    "1c": "Emphysema",
    "1d": "Septal thickening",
    "1e": "Micronodules",
    "1f": "Other non-focal",
    "2a": "Linear opacity",
    "2b": "Atelectasis, consolidation",
    "2c": "Ground-glass opacity",
    "2d": "Nodules and masses",
    "2e": "Pleural effusion, thickening",
    "2f": "Honeycombing",
    "2g": "Pneumothorax",
    "2h": "Other focal",
}
GROUPS = {
    "all": "All findings",
    "focal": "Focal",
    "non_focal": "Non-focal",
    "small": "Small",
    "medium": "Medium",
    "large": "Large",
    **CATEGORIES,
}
SORT_KEYS = ("rank", "team", "dice", "hit_rate", "instance_f1", "distance_f1", "date")

Interval = tuple[float, float]


@dataclass(frozen=True)
class GroupLine:
    """One group of findings within a row: `n` findings, mean Dice and hit rate."""

    code: str
    label: str
    n: int
    dice: float
    dice_ci: Interval | None
    hit_rate: float
    hit_rate_ci: Interval | None


@dataclass(frozen=True)
class Row:
    """A team's counting run on the board. Numbers are as the phase's policy shows them; None is "not shown"."""

    rank: int | None
    team: Team
    submission: Submission
    run: Run
    algorithm: str
    affiliation: str
    dice: float
    dice_ci: Interval | None
    hit_rate: float
    hit_rate_ci: Interval | None
    instance_precision: float | None
    instance_recall: float | None
    instance_f1: float | None
    instance_f1_ci: Interval | None
    distance_precision: float | None
    distance_recall: float | None
    distance_f1: float | None
    distance_f1_ci: Interval | None
    lost_cases: int
    runs: int
    date: datetime
    categories: list[GroupLine]
    groups: list[GroupLine]


@dataclass(frozen=True)
class Board:
    """The ranked board of a phase and track. `scope` is None while nothing is published."""

    phase: Phase
    track: str
    group: str
    scope: str | None
    rows: list[Row]
    cases: int
    cases_total: int
    evaluation_version: str
    updated_at: datetime | None
    groups: list[tuple[str, str]]


# --- recording -------------------------------------------------------------------------------------------------------


def record(run: Run) -> None:
    """Aggregate a run whose cases all have a result, over all cases and over the public half if there is one."""
    case_set = run.submission.phase.case_set
    sizes = scoring.finding_sizes(case_set)
    limits = evaluation.size_limits(list(sizes.values()))
    cases = list(run.cases.select_related("case"))
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
                "lost_cases": sum(result["status"] != "scored" for result in results),
                "summary": numbers["summary"],
                "groups": numbers["groups"],
            },
        )


# --- which run counts ------------------------------------------------------------------------------------------------


def published_scope(phase: Phase, at: datetime | None = None) -> str | None:
    """Which cases feed the numbers that people see at this instant; None when nothing is published."""
    if is_revealed(phase, at) or phase.publication == Phase.Publication.EVERYTHING:
        return Standing.Scope.ALL
    return Standing.Scope.HALF if phase.publication == Phase.Publication.HALF else None


def is_revealed(phase: Phase, at: datetime | None = None) -> bool:
    """Whether the phase's full result is out. Public cases have nothing to withhold."""
    if phase.cases_are_public:
        return True
    return phase.revealed_at is not None and phase.revealed_at <= (at or clock.now())


def counting_standings(phase: Phase, track: str, scope: str, *, at_once: bool) -> list[Standing]:
    """One standing per team that has a counting run, in no particular order.

    Of a submission its latest run counts. Unless `at_once`, only runs that ended before the present minute do.

    `last`: the latest-accepted scored run; a later failed run never displaces it. `best`: the highest ranking score,
    with a public half always the one on that half, before and after the reveal. Main entries compete in Overall too.
    """
    tracks = [track] if track == Submission.Track.MAIN else [Submission.Track.MAIN, Submission.Track.OVERALL]
    candidates = Standing.objects.filter(
        scope=scope,
        evaluation_version=evaluation.VERSION,
        run__state=RunState.SCORED,
        run__submission__phase=phase,
        run__submission__track__in=tracks,
        run__submission__disqualified_at=None,
        run__submission__accepted_at__lt=phase.closes_at,
    ).order_by("run__submission__accepted_at", "run__number")
    if not at_once:
        candidates = candidates.filter(run__ended_at__lt=clock.minute())
    columns = candidates.values_list("pk", "run_id", "run__submission_id", "run__submission__team_id")
    latest_run = {submission: (pk, run, team) for pk, run, submission, team in columns}
    of_team: dict[int, list[tuple[int, int]]] = {}
    for pk, run, team in latest_run.values():
        of_team.setdefault(team, []).append((pk, run))
    if phase.counting == Phase.Counting.LAST:
        chosen = [runs[-1][0] for runs in of_team.values()]
    else:
        scores = _choosing_scores(phase, [run for runs in of_team.values() for _, run in runs])
        chosen = [max(runs, key=lambda one: scores.get(one[1], 0.0))[0] for runs in of_team.values()]
    related = ("run__submission__team", "run__submission__phase")
    return list(Standing.objects.filter(pk__in=chosen).select_related(*related))


def _choosing_scores(phase: Phase, runs: list[int]) -> dict[int, float]:
    """By which Dice the best run is chosen, by run: with a public half the one on that half, for ever."""
    scope = Standing.Scope.HALF if phase.publication == Phase.Publication.HALF else Standing.Scope.ALL
    return dict(Standing.objects.filter(run__in=runs, scope=scope).values_list("run_id", "dice"))


def ranks(scores: Sequence[float]) -> list[int]:
    """Competition ranks ("1224") of scores, highest first; equal scores share a rank."""
    ordered = sorted(scores, reverse=True)
    return [ordered.index(score) + 1 for score in scores]


# --- the board -------------------------------------------------------------------------------------------------------


def board(phase: Phase, track: str, *, group: str = "all", sort: str = "rank", unrounded: bool = False) -> Board:
    """The board as the public sees it; `unrounded` is for organisers' eyes.

    `group` ranks by one group of findings, `sort` is one of SORT_KEYS. Raises KeyError for an unknown group or key.
    """
    if group not in GROUPS or sort not in SORT_KEYS:
        raise KeyError(group if group not in GROUPS else sort)
    scope = Standing.Scope.ALL if unrounded else published_scope(phase)
    exact = unrounded or is_revealed(phase)
    at_once = unrounded or phase.cases_are_public
    standings = counting_standings(phase, track, scope, at_once=at_once) if scope else []
    runs = Counter(phase.submissions.filter(charged=True).values_list("team_id", flat=True))
    rows = [row for standing in standings if (row := _row(standing, group, runs, exact=exact))]
    places = ranks([row.dice for row in rows])
    ranked = [_with_rank(row, place) for row, place in zip(rows, places, strict=True)]
    last = max((standing.run.ended_at for standing in standings if standing.run.ended_at), default=None)
    return Board(
        phase=phase,
        track=track,
        group=group,
        scope=scope,
        rows=sorted(ranked, key=_sort_key(sort)),
        cases=standings[0].cases if standings else 0,
        cases_total=phase.case_set.cases.count(),
        evaluation_version=evaluation.VERSION,
        updated_at=last if at_once or last is None else last.replace(second=0, microsecond=0),
        groups=[(code, label) for code, label in GROUPS.items() if code == "all" or _is_shown(standings, code, exact)],
    )


def _row(standing: Standing, group: str, runs: Counter[int], *, exact: bool) -> Row | None:
    submission = standing.run.submission
    numbers = standing.summary if group == "all" else standing.groups.get(group)
    if not numbers or (group != "all" and not _is_shown([standing], group, exact)):
        return None
    shown = _Rounding(numbers, exact=exact)
    lines = [_group_line(standing, code, exact=exact) for code in GROUPS if _is_shown([standing], code, exact)]
    return Row(
        rank=None,
        team=submission.team,
        submission=submission,
        run=standing.run,
        algorithm=submission.algorithm,
        affiliation=submission.team.affiliation,
        dice=shown.number("dice") or 0.0,
        dice_ci=shown.interval("dice"),
        hit_rate=shown.number("hit_rate") or 0.0,
        hit_rate_ci=shown.interval("hit_rate"),
        instance_precision=shown.number("instance_precision"),
        instance_recall=shown.number("instance_recall"),
        instance_f1=shown.number("instance_f1"),
        instance_f1_ci=shown.interval("instance_f1"),
        distance_precision=shown.number("distance_precision"),
        distance_recall=shown.number("distance_recall"),
        distance_f1=shown.number("distance_f1"),
        distance_f1_ci=shown.interval("distance_f1"),
        lost_cases=standing.lost_cases,
        runs=runs[submission.team_id],
        date=submission.accepted_at,
        categories=[line for line in lines if line.code in CATEGORIES],
        groups=[line for line in lines if line.code not in CATEGORIES],
    )


def _group_line(standing: Standing, code: str, *, exact: bool) -> GroupLine:
    numbers = standing.groups[code]
    shown = _Rounding(numbers, exact=exact)
    return GroupLine(
        code=code,
        label=GROUPS[code],
        n=numbers["n"],
        dice=shown.number("dice") or 0.0,
        dice_ci=shown.interval("dice"),
        hit_rate=shown.number("hit_rate") or 0.0,
        hit_rate_ci=shown.interval("hit_rate"),
    )


def _is_shown(standings: Sequence[Standing], code: str, exact: bool) -> bool:
    sizes = [standing.groups[code]["n"] for standing in standings if code in standing.groups]
    return bool(sizes) and (exact or min(sizes) >= FEWEST_FINDINGS)


class _Rounding:
    """The numbers of a summary or a group, exact or rounded."""

    def __init__(self, numbers: dict[str, Any], *, exact: bool) -> None:
        self._numbers = numbers
        self._exact = exact

    def number(self, name: str) -> float | None:
        value = self._numbers.get(name)
        return value if value is None or self._exact else round(value, DECIMALS)

    def interval(self, name: str) -> Interval | None:
        ends = self._numbers.get("confidence_intervals", {}).get(name)
        if not ends or ends[0] is None:
            return None
        low, high = ends if self._exact else (round(end, DECIMALS) for end in ends)
        return low, high


def _with_rank(row: Row, rank: int) -> Row:
    return replace(row, rank=rank)


def _sort_key(sort: str) -> Any:
    if sort == "rank":
        return lambda row: (row.rank, row.date, row.team.name.lower())
    if sort == "team":
        return lambda row: row.team.name.lower()
    if sort == "date":
        return lambda row: (-row.date.timestamp(), row.team.name.lower())
    return lambda row: (-(getattr(row, sort) or 0.0), row.rank, row.team.name.lower())


def figures(standing: Standing, *, exact: bool) -> dict[str, Any]:
    """The headline numbers of one run with their intervals, rounded unless `exact`, for its own page."""
    shown = _Rounding(standing.summary, exact=exact)
    names = ("dice", "hit_rate", "instance_f1", "distance_f1")
    return {
        **{name: shown.number(name) for name in names},
        **{f"{name}_ci": shown.interval(name) for name in names},
        "cases": standing.cases,
        "lost_cases": standing.lost_cases,
        "scope": standing.scope,
        "evaluation_version": standing.evaluation_version,
    }
