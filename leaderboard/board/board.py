"""The ranked board of a phase and track, as a reader may see it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import evaluation
from leaderboard.board.counting import counting_standings
from leaderboard.board.disclosure import Disclosure, Interval
from leaderboard.board.ranking import SORT_KEYS, ranks, sort_key
from leaderboard.board.rows import Board, GroupLine, Row
from leaderboard.challenge.categories import ALL, CATEGORIES, GROUPS
from leaderboard.models import Standing


def board(disclosure: Disclosure, track: str, *, group: str = ALL, sort: str = "rank") -> Board:
    """The board as its reader may see it.

    `group` ranks by one group of findings, `sort` is one of SORT_KEYS. Raises KeyError for an unknown group or key.
    """
    if group not in GROUPS or sort not in SORT_KEYS:
        raise KeyError(group if group not in GROUPS else sort)
    phase, scope = disclosure.phase, disclosure.scope
    standings = counting_standings(disclosure, track) if scope else []
    last = max((standing.run.ended_at for standing in standings if standing.run.ended_at), default=None)
    return Board(
        disclosure=disclosure,
        phase=phase,
        track=track,
        group=group,
        scope=scope,
        rows=sorted(_ranked(disclosure, standings, group), key=sort_key(sort)),
        cases=standings[0].cases if standings else 0,
        cases_total=phase.case_set.cases.count(),
        evaluation_version=evaluation.VERSION,
        updated_at=disclosure.instant(last) if last else None,
        groups=[(code, label) for code, label in GROUPS.items() if _is_choice(disclosure, standings, code)],
    )


def _ranked(disclosure: Disclosure, standings: Sequence[Standing], group: str) -> list[Row]:
    shown = [one for one in standings if _has_numbers(disclosure, one, group)]
    places = ranks([disclosure.score(_numbers(one, group)["dice"]) or 0.0 for one in shown])
    runs = Counter(disclosure.phase.submissions.filter(charged=True).values_list("team_id", flat=True))
    return [
        _row(disclosure, standing, group, rank=rank, runs=runs[standing.run.submission.team_id])
        for standing, rank in zip(shown, places, strict=True)
    ]


def _numbers(standing: Standing, group: str) -> dict[str, Any]:
    numbers: dict[str, Any] = standing.summary if group == ALL else standing.groups.get(group, {})
    return numbers


def _has_numbers(disclosure: Disclosure, standing: Standing, group: str) -> bool:
    return bool(_numbers(standing, group)) and (group == ALL or _is_shown(disclosure, [standing], group))


def _is_choice(disclosure: Disclosure, standings: Sequence[Standing], group: str) -> bool:
    """Whether a board may be ranked by the group: no row's numbers would be withheld."""
    return group == ALL or _is_shown(disclosure, standings, group)


def _is_shown(disclosure: Disclosure, standings: Sequence[Standing], code: str) -> bool:
    sizes = [standing.groups[code]["n"] for standing in standings if code in standing.groups]
    return bool(sizes) and disclosure.shows_group(min(sizes))


def _row(disclosure: Disclosure, standing: Standing, group: str, *, rank: int, runs: int) -> Row:
    submission = standing.run.submission
    shown = ShownNumbers(disclosure, _numbers(standing, group))
    lines = [_group_line(disclosure, standing, code) for code in GROUPS if _is_shown(disclosure, [standing], code)]
    return Row(
        rank=rank,
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
        runs=runs,
        date=submission.accepted_at,
        categories=[line for line in lines if line.code in CATEGORIES],
        groups=[line for line in lines if line.code not in CATEGORIES],
    )


def _group_line(disclosure: Disclosure, standing: Standing, code: str) -> GroupLine:
    numbers = standing.groups[code]
    shown = ShownNumbers(disclosure, numbers)
    return GroupLine(
        code=code,
        label=GROUPS[code],
        n=numbers["n"],
        dice=shown.number("dice") or 0.0,
        dice_ci=shown.interval("dice"),
        hit_rate=shown.number("hit_rate") or 0.0,
        hit_rate_ci=shown.interval("hit_rate"),
    )


@dataclass(frozen=True)
class ShownNumbers:
    """The numbers of a summary or a group, as they are shown."""

    disclosure: Disclosure
    numbers: dict[str, Any]

    def number(self, name: str) -> float | None:
        """A score, or None where there is none."""
        return self.disclosure.score(self.numbers.get(name))

    def interval(self, name: str) -> Interval | None:
        """The score's 95 % interval, or None where there is none."""
        return self.disclosure.interval(self.numbers.get("confidence_intervals", {}).get(name))


@dataclass(frozen=True)
class Figures:
    """The headline numbers of one run with their intervals, for its own page."""

    dice: float | None
    dice_ci: Interval | None
    hit_rate: float | None
    hit_rate_ci: Interval | None
    instance_f1: float | None
    instance_f1_ci: Interval | None
    distance_f1: float | None
    distance_f1_ci: Interval | None
    cases: int
    lost_cases: int
    scope: str
    evaluation_version: str


def figures(standings: Iterable[Standing], disclosure: Disclosure) -> Figures | None:
    """The headline numbers of a run, of whose standings one may be shown; None while none is."""
    standing = next((one for one in standings if one.scope == disclosure.scope), None)
    if standing is None:
        return None
    shown = ShownNumbers(disclosure, standing.summary)
    return Figures(
        dice=shown.number("dice"),
        dice_ci=shown.interval("dice"),
        hit_rate=shown.number("hit_rate"),
        hit_rate_ci=shown.interval("hit_rate"),
        instance_f1=shown.number("instance_f1"),
        instance_f1_ci=shown.interval("instance_f1"),
        distance_f1=shown.number("distance_f1"),
        distance_f1_ci=shown.interval("distance_f1"),
        cases=standing.cases,
        lost_cases=standing.lost_cases,
        scope=standing.scope,
        evaluation_version=standing.evaluation_version,
    )
