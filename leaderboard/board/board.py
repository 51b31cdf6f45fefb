"""The ranked board of a phase and track, as a reader may see it."""

from collections import Counter
from collections.abc import Iterable, Sequence

import evaluation
from evaluation import Group, Summary
from leaderboard.board.counting import counting_standings
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.ranking import SORT_KEYS, ranks, sort_key
from leaderboard.board.rows import Board, Figures, GroupLine, Row
from leaderboard.challenge.categories import ALL, GROUPS
from leaderboard.models import Standing


def make_board(disclosure: Disclosure, track: str, *, group: str = ALL, sort: str = "rank") -> Board:
    """The board as its reader may see it.

    `group` ranks by one group of findings, `sort` is one of SORT_KEYS. Raises KeyError for an unknown group or key.
    """
    if group not in GROUPS or sort not in SORT_KEYS:
        raise KeyError(group if group not in GROUPS else sort)
    standings = counting_standings(disclosure, track) if disclosure.scope else []
    last = max((standing.run.ended_at for standing in standings if standing.run.ended_at), default=None)
    return Board(
        disclosure=disclosure,
        track=track,
        group=group,
        rows=sorted(_ranked(disclosure, standings, group), key=sort_key(sort)),
        cases=standings[0].cases if standings else 0,
        cases_total=disclosure.phase.case_set.cases.count(),
        evaluation_version=evaluation.VERSION,
        updated_at=disclosure.shown_instant(last) if last else None,
        groups=[
            (code, label) for code, label in GROUPS.items() if code == ALL or _is_shown(disclosure, standings, code)
        ],
    )


def _ranked(disclosure: Disclosure, standings: Sequence[Standing], group: str) -> list[Row]:
    shown = [(one, numbers) for one in standings if (numbers := _numbers(disclosure, one, group))]
    places = ranks([disclosure.rounded(numbers["dice"]) for _, numbers in shown])
    runs = Counter(
        disclosure.phase.submissions.filter(charged=True, withdrawn_at=None).values_list("team_id", flat=True)
    )
    return [
        _row(disclosure, standing, numbers, rank=rank, runs=runs[standing.run.submission.team_id])
        for (standing, numbers), rank in zip(shown, places, strict=True)
    ]


def _numbers(disclosure: Disclosure, standing: Standing, group: str) -> Summary | Group | None:
    """The numbers by which the standing is ranked; None where it has none, or they are not shown."""
    if group == ALL:
        return standing.summary
    return standing.groups[group] if _is_shown(disclosure, [standing], group) else None


def _is_shown(disclosure: Disclosure, standings: Sequence[Standing], code: str) -> bool:
    """Whether a group's numbers are shown of all these standings that have any."""
    sizes = [standing.groups[code]["n"] for standing in standings if code in standing.groups]
    return bool(sizes) and disclosure.shows_group(min(sizes))


def _row(disclosure: Disclosure, standing: Standing, numbers: Summary | Group, *, rank: int, runs: int) -> Row:
    submission = standing.run.submission
    lines = group_lines(standing, disclosure)
    return Row(
        **vars(disclosure.scores(numbers)),
        rank=rank,
        team=submission.team,
        submission=submission,
        run=standing.run,
        algorithm=submission.algorithm,
        affiliation=submission.team.affiliation,
        lost_cases=standing.lost_cases,
        runs=runs,
        date=submission.accepted_at,
        categories=[line for line in lines if line.code in evaluation.CATEGORIES],
        groups=[line for line in lines if line.code not in evaluation.CATEGORIES],
    )


def group_lines(standing: Standing, disclosure: Disclosure) -> list[GroupLine]:
    """The groups of findings of a run, by one of its standings, those that are shown."""
    return [_group_line(disclosure, standing, code) for code in GROUPS if _is_shown(disclosure, [standing], code)]


def _group_line(disclosure: Disclosure, standing: Standing, code: str) -> GroupLine:
    numbers = standing.groups[code]
    return GroupLine(**vars(disclosure.scores(numbers)), code=code, label=GROUPS[code], n=numbers["n"])


def figures(standings: Iterable[Standing], disclosure: Disclosure) -> Figures | None:
    """The numbers of a run, of whose standings one may be shown; None while none is."""
    standing = next((one for one in standings if one.scope == disclosure.scope), None)
    if standing is None:
        return None
    return Figures(
        **vars(disclosure.scores(standing.summary)),
        cases=standing.cases,
        lost_cases=standing.lost_cases,
        scope=standing.scope,
        evaluation_version=standing.evaluation_version,
    )
