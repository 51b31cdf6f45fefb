"""The ranked board of a phase and track, as a reader may see it."""

from collections import Counter
from collections.abc import Iterable, Sequence

import evaluation
from evaluation import Group, Summary
from leaderboard.board.counting import counting_standings, fewest_findings, post_challenge_standings, unranked_masks
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.ranking import SORT_KEYS, ranks, sort_key
from leaderboard.board.rows import Board, Figures, GroupLine, Row
from leaderboard.challenge.categories import ALL, GROUPS
from leaderboard.models import Phase, Standing
from leaderboard.states import SubmissionKind


def make_board(disclosure: Disclosure, track: str, *, group: str = ALL, sort: str = "rank") -> Board:
    """The board as its reader may see it.

    `group` ranks by one group of findings, `sort` is one of SORT_KEYS. Raises KeyError for an unknown group or key.
    """
    if group not in GROUPS or sort not in SORT_KEYS:
        raise KeyError(group if group not in GROUPS else sort)
    by_group = group != ALL
    standings = counting_standings(disclosure, track, with_groups=by_group) if disclosure.scope else []
    masks = unranked_masks(disclosure, track, with_groups=by_group) if disclosure.scope else []
    to_others = disclosure.of_kind(SubmissionKind.POST_CHALLENGE)
    came_after = post_challenge_standings(to_others, track, with_groups=by_group) if disclosure.scope else []
    runs = _runs_of(disclosure.phase)
    last = max(
        (standing.run.ended_at for standing in (*standings, *masks, *came_after) if standing.run.ended_at), default=None
    )
    return Board(
        disclosure=disclosure,
        track=track,
        group=group,
        rows=sorted(_ranked(disclosure, standings, group, runs), key=sort_key(sort)),
        masks=sorted(_unranked(disclosure, masks, group, runs), key=sort_key(sort)),
        after=sorted(_unranked(to_others, came_after, group, runs), key=sort_key(sort)),
        cases=next((one.cases for one in (*standings, *masks, *came_after)), 0),
        cases_total=disclosure.phase.case_set.cases.count(),
        evaluation_version=evaluation.VERSION,
        updated_at=disclosure.shown_instant(last) if last else None,
        standings=standings,
    )


def shown_groups(board: Board) -> list[tuple[str, str]]:
    """The groups, each with its label, by which a board can be read: those that are shown of all that have them."""
    fewest = fewest_findings(board.standings)
    shown = {code for code, findings in fewest.items() if board.disclosure.shows_group(findings)}
    return [(code, label) for code, label in GROUPS.items() if code == ALL or code in shown]


def _runs_of(phase: Phase) -> Counter[tuple[int, str]]:
    """How many runs the teams have had of each kind, by team and kind."""
    return Counter(phase.submissions.filter(charged=True, withdrawn_at=None).values_list("team_id", "kind"))


def _ranked(
    disclosure: Disclosure, standings: Sequence[Standing], group: str, runs: Counter[tuple[int, str]]
) -> list[Row]:
    shown = [(one, numbers) for one in standings if (numbers := _numbers(disclosure, one, group))]
    places = ranks([disclosure.rounded(numbers["dice"]) for _, numbers in shown])
    return [
        _row(disclosure, standing, numbers, rank=rank, runs=_runs_beside(standing, runs))
        for (standing, numbers), rank in zip(shown, places, strict=True)
    ]


def _unranked(
    disclosure: Disclosure, standings: Sequence[Standing], group: str, runs: Counter[tuple[int, str]]
) -> list[Row]:
    """The rows of runs that have no rank."""
    return [
        _row(disclosure, standing, numbers, rank=None, runs=_runs_beside(standing, runs))
        for standing in standings
        if (numbers := _numbers(disclosure, standing, group))
    ]


def _runs_beside(standing: Standing, runs: Counter[tuple[int, str]]) -> int:
    """How many runs the standing's team has had of the same kind."""
    submission = standing.run.submission
    return runs[submission.team_id, submission.kind]


def _numbers(disclosure: Disclosure, standing: Standing, group: str) -> Summary | Group | None:
    """The numbers by which the standing is ranked; None where it has none, or they are not shown."""
    if group == ALL:
        return standing.summary
    return standing.groups[group] if _is_shown(disclosure, standing, group) else None


def _is_shown(disclosure: Disclosure, standing: Standing, code: str) -> bool:
    """Whether the standing has such a group, and its numbers are shown."""
    return code in standing.groups and disclosure.shows_group(standing.groups[code]["n"])


def _row(disclosure: Disclosure, standing: Standing, numbers: Summary | Group, *, rank: int | None, runs: int) -> Row:
    submission = standing.run.submission
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
        standing=standing,
        disclosure=disclosure,
    )


def lines_of(rows: Iterable[Row]) -> dict[int, list[GroupLine]]:
    """The groups of findings of a board's rows, by the key of the run: one question for some rows, none for none."""
    known = {row.run.pk: row for row in rows}
    standings = Standing.objects.filter(pk__in=[row.standing.pk for row in known.values()]).defer("summary")
    return {one.run_id: group_lines(one, known[one.run_id].disclosure) for one in standings}


def group_lines(standing: Standing, disclosure: Disclosure) -> list[GroupLine]:
    """The groups of findings of a run, by one of its standings, those that are shown."""
    return [_group_line(disclosure, standing, code) for code in GROUPS if _is_shown(disclosure, standing, code)]


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
