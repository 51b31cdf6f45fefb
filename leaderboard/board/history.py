"""How the first teams of a board came to where they are: their ranks and Dice in its versions.

Everything is read from versions, so it was public before. Of many versions some are read, evenly spread by their
numbers, the first and the present one among them; of these versions, the rows of the teams that are asked about. Rows
belong together that name the same team in public: nothing else that is known of a row joins it to another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from leaderboard.board.rows import Board, Row
from leaderboard.board.versions import shown_versions
from leaderboard.models import BoardRow, BoardVersion, Submission, Team

MOST_VERSIONS = 60
MOST_TEAMS = 10


class Held(NamedTuple):
    """From `since` on, a team held this rank with this Dice; None where it held none."""

    since: datetime
    rank: int | None
    dice: float | None


class Course(NamedTuple):
    """A team's row now, and what it held in the order of time, whenever that changed."""

    row: Row
    held: Sequence[Held]


class Turn(NamedTuple):
    """An instant from which on numbers are others for a reason of their own: a reveal, another evaluation version."""

    since: datetime
    is_revealed: bool
    evaluation_version: str


@dataclass(frozen=True)
class History:
    """The courses of the first teams, best first, in `read` of `total` versions, from `begins` on."""

    courses: Sequence[Course]
    turns: Sequence[Turn]
    read: int
    total: int
    begins: datetime


def history_of(board: Board, at: datetime, own: Team | None = None) -> History | None:
    """The history of the present board at an instant; None before it has a row with a rank. Four queries.

    With `own`, that team's course comes last, if it holds a rank further down.
    """
    last = board.version
    rows = _asked_about(board, own)
    if last is None or not rows:
        return None
    numbers = _sample(last.number)
    shown = shown_versions(board.phase, board.track, at).filter(number__in=numbers).order_by("visible_from", "number")
    read = list(shown.only("visible_from", "rows", "ranks", "is_revealed", "evaluation_version"))
    held = _held(read, _rows_of(rows))
    courses = [Course(row, held.get(row.team.slug, [])) for row in rows]
    return History(courses, _turns(read), len(read), last.number, read[0].visible_from if read else last.visible_from)


def _asked_about(board: Board, own: Team | None) -> list[Row]:
    """The rows with the first ranks, and that of `own`."""
    ranked = board.rows.ranked
    first = ranked[:MOST_TEAMS]
    if own is None or len(ranked) <= MOST_TEAMS or any(row.team.pk == own.pk for row in first):
        return first
    stored = BoardRow.objects.filter(pk__in=[one.row for one in ranked.places], submission__team=own).values_list("pk")
    mine = {pk for (pk,) in stored}
    places = [place for place, one in enumerate(ranked.places) if one.row in mine]
    return [*first, *ranked.those(places).values()]


def _sample(last: int) -> set[int]:
    """The numbers of the versions that are read, of 1 to `last`."""
    if last <= MOST_VERSIONS:
        return set(range(1, last + 1))
    return {1 + round(step * (last - 1) / (MOST_VERSIONS - 1)) for step in range(MOST_VERSIONS)}


class _Had(NamedTuple):
    """What a row said: its team by what names it in public, and its Dice."""

    team: str
    dice: float


def _rows_of(rows: Sequence[Row]) -> dict[int, _Had]:
    """All rows (by their keys) that these teams had in the phase."""
    submissions = Submission.objects.filter(pk__in=[row.submission for row in rows])
    of_teams = BoardRow.objects.filter(
        submission__team__in=submissions.values("team"), submission__phase__in=submissions.values("phase")
    )
    asked = {(row.team.slug, row.is_anonymous) for row in rows}  # a team may really be called “Team 7”
    columns = ("pk", "shown__team", "shown__dice", "shown__is_anonymous")
    return {
        pk: _Had(team[2], dice)
        for pk, team, dice, is_anonymous in of_teams.values_list(*columns)
        if (team[2], bool(is_anonymous)) in asked
    }


def _held(versions: Sequence[BoardVersion], rows: Mapping[int, _Had]) -> dict[str, list[Held]]:
    """What each team held from when it held a rank first, whenever that changed."""
    held: dict[str, list[Held]] = {}
    for version in versions:
        ranked = zip(version.rows, version.ranks, strict=False)  # those with a rank are first
        here = {rows[row].team: (rank, rows[row].dice) for row, rank in ranked if rank is not None and row in rows}
        for team in held.keys() | here.keys():
            before, now = held.setdefault(team, []), here.get(team, (None, None))
            if not before or before[-1][1:] != now:
                before.append(Held(version.visible_from, *now))
    return held


def _turns(versions: Sequence[BoardVersion]) -> list[Turn]:
    turns = []
    for before, version in pairwise(versions):
        reveals = version.is_revealed and not before.is_revealed
        if reveals or version.evaluation_version != before.evaluation_version:
            turns.append(Turn(version.visible_from, reveals, version.evaluation_version))
    return turns
