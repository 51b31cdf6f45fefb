"""The numbers of one run, as a reader may see them."""

from collections.abc import Iterable

from leaderboard.board.disclosure import Disclosure
from leaderboard.board.rows import Figures, GroupLine
from leaderboard.challenge.categories import GROUPS
from leaderboard.models import Standing


def group_lines(standing: Standing, disclosure: Disclosure) -> list[GroupLine]:
    """The groups of findings of a run, by one of its standings, those that are shown."""
    shown = [code for code in GROUPS if code in standing.groups and disclosure.shows_group(standing.groups[code]["n"])]
    return [
        GroupLine(**vars(disclosure.scores(standing.groups[code])), code=code, n=standing.groups[code]["n"])
        for code in shown
    ]


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
