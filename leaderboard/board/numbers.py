"""The numbers of one run, as a reader may see them."""

from collections.abc import Iterable, Mapping

from evaluation import CATEGORIES, Kind, SizeGroup, kind_of
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.rows import Figures, GroupLine
from leaderboard.challenge.categories import GROUPS
from leaderboard.models import Standing


def group_lines(standing: Standing, disclosure: Disclosure) -> list[GroupLine]:
    """The groups of findings of a run, by one of its standings, those that are shown."""
    sizes = {code: numbers["n"] for code, numbers in standing.groups.items() if code in GROUPS}
    shown = sizes.keys() if disclosure.shows_exact_scores else shown_groups(sizes, disclosure)
    return [
        GroupLine(**vars(disclosure.scores(standing.groups[code])), code=code, n=sizes[code])
        for code in GROUPS
        if code in shown
    ]


def shown_groups(sizes: Mapping[str, int], disclosure: Disclosure) -> set[str]:
    """Which groups of so many findings each are shown, by their codes.

    Findings are told by size, by kind, and those of each kind by category. A number over all of them less those over
    the other groups is that of a group that is left out; a hit rate of three decimals even tells how many its hits are.
    """
    by_size = {code.value: sizes[code] for code in SizeGroup if code in sizes}
    by_kind = {code.value: sizes[code] for code in Kind if code in sizes}
    categories = {code: sizes[code] for code in CATEGORIES if code in sizes}
    # Findings without a category are of no kind.
    by_kind[_REST] = max(sum(by_size.values()), sum(by_kind.values())) - sum(by_kind.values())
    kinds = _shown(by_kind, disclosure)
    shown = kinds | _shown(by_size, disclosure)
    for kind in kinds - {_REST}:
        shown |= _shown({code: n for code, n in categories.items() if kind_of(code) == kind}, disclosure)
    # Those of kinds that are not shown are all together what the shown kinds leave.
    others = {code: n for code, n in categories.items() if kind_of(code) not in kinds}
    shown |= _shown(others | ({} if _REST in kinds else {_REST: by_kind[_REST]}), disclosure)
    return shown - {_REST}


_REST = ""


def _shown(parts: Mapping[str, int], disclosure: Disclosure) -> set[str]:
    """Which of these parts of a whole are shown; of one without a finding there is nothing to tell."""
    known = {code: n for code, n in parts.items() if n}
    return {code for code, shown in zip(known, disclosure.shown_parts([*known.values()]), strict=True) if shown}


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
