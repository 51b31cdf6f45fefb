"""The places of a board: the few numbers by which its runs are ranked, sorted and drawn.

They are read of every run of a board, however few are shown; what else a row shows is read with the row.
"""

from collections.abc import Iterable
from typing import NamedTuple

from django.db import connection

from leaderboard.board.disclosure import VARIES, Disclosure, Interval
from leaderboard.challenge.categories import ALL

NUMBERS = ("dice", "hit_rate", "instance_f1", "distance_f1")


class Found(NamedTuple):
    """What the database has of a standing (its key): numbers unrounded, instants in seconds since 1970 (UTC).

    `findings` and `fewest` (of cases or findings) are what the numbers are over, as far as they say so; `asked` is the
    number that was asked for.
    """

    standing: int
    cases: int
    ended_at: float | None
    date: float
    name: str
    findings: int | None
    fewest: int | None
    dice: float | None
    low: float | None
    high: float | None
    asked: float | None


class Place(NamedTuple):
    """A run on a board, with numbers as `disclosure` shows them; `rank` is None where it is not ranked.

    `date` is when it was accepted, in seconds since 1970; `name` is its team's, in small letters; `asked` is the number
    that was asked for.
    """

    standing: int
    disclosure: Disclosure
    date: float
    name: str
    dice: float
    dice_ci: Interval | None
    asked: float | None
    rank: int | None

    @property
    def reach(self) -> float:
        """How far its dot and its interval reach."""
        return max(self.dice, self.dice_ci[1] if self.dice_ci else 0.0)


# The inner query unpacks the numbers, once: else each operator would. For that it leaves something out of a summary.
_FIND = """
    SELECT standing.id, standing.cases, extract(epoch FROM run.ended_at)::float8,
        extract(epoch FROM submission.accepted_at)::float8, team.name, (numbers ->> 'n')::integer,
        least((numbers ->> 'n')::integer, (numbers ->> 'total_cases')::integer), (numbers ->> 'dice')::float8,
        (numbers #>> '{confidence_intervals,dice,0}')::float8, (numbers #>> '{confidence_intervals,dice,1}')::float8,
        (numbers ->> %(number)s)::float8
    FROM (
        SELECT id, run_id, cases,
            CASE WHEN %(group)s = %(all)s THEN summary - 'resamples_skipped' ELSE groups -> %(group)s END AS numbers
        FROM leaderboard_standing WHERE id = ANY(%(standings)s) OFFSET 0
    ) AS standing
    JOIN leaderboard_run AS run ON run.id = standing.run_id
    JOIN leaderboard_submission AS submission ON submission.id = run.submission_id
    JOIN leaderboard_team AS team ON team.id = submission.team_id
"""
_FINDINGS = """
    SELECT one.key, (one.value ->> 'n')::integer FROM leaderboard_standing, jsonb_each(groups) AS one WHERE id = %s
"""


def find(standings: Iterable[int], group: str, number: str) -> dict[int, Found]:
    """What is to be known of these standings, by their keys, over a group of findings; `number` is one of NUMBERS."""
    keys = list(standings)
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_FIND, {"standings": keys, "group": group, "all": ALL, "number": number})
        return {row[0]: Found(*row) for row in cursor.fetchall()}


def places(disclosure: Disclosure, found: Iterable[Found], group: str) -> list[Place]:
    """The places, without ranks, of those that have numbers over the group which are shown."""
    return [
        Place(
            standing=one.standing,
            disclosure=disclosure,
            date=one.date,
            name=one.name.lower(),
            dice=disclosure.rounded(one.dice),
            dice_ci=disclosure.rounded_interval((one.low, one.high), VARIES if one.fewest is None else one.fewest),
            asked=disclosure.rounded(one.asked),
            rank=None,
        )
        for one in found
        if one.dice is not None and (group == ALL or disclosure.shows_group(one.findings or 0))
    ]


def findings_of_groups(standing: int) -> dict[str, int]:
    """How many findings each group of a standing (its key) is of."""
    with connection.cursor() as cursor:
        cursor.execute(_FINDINGS, [standing])
        return dict(cursor.fetchall())
