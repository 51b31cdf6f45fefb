"""The significance map: which team is better than which, and which these cases can't tell apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.utils.safestring import SafeString

from leaderboard.charts.labels import both_lengths
from leaderboard.charts.picture import About, Picture, Table, drawn, hatched, hatching, nothing
from leaderboard.charts.shapes import key
from leaderboard.charts.svg import element, percent
from leaderboard.charts.words import DASH, counted, name, signed

MOST = 50  # teams: a map of more would be a page of megabytes that nobody can read
_HEAD = 26  # pixels
_ROW = 28
_MANY = 14  # teams: of more, cells have no room for numbers, and on a phone marks are smaller


class Verdict(StrEnum):
    """What a paired test says of a row's team against a column's."""

    BETTER = "better"
    WORSE = "worse"
    OPEN = "can’t be told apart"


@dataclass(frozen=True)
class TestedTeam:
    """A team with its rank and, for each team of the map in turn, the verdict and the difference of scores.

    None: not tested, as against itself. `differences` may be empty.
    """

    name: str
    rank: int
    verdicts: Sequence[Verdict | None]
    differences: Sequence[float | None] = ()
    is_own: bool = False

    __test__ = False  # no test of ours: pytest looks at names


def significance_map(about: About, teams: Sequence[TestedTeam]) -> Picture:
    """Rows against columns, in the same order; columns are named by their ranks.

    At most `MOST` teams: of a longer board the teams of one page, against each other.
    """
    if len(teams) > MOST:
        raise ValueError(f"A map of {len(teams)} teams; at most {MOST} can be read.")
    table = _table(about, teams)
    if not teams:
        return nothing(about, table)
    count = len(teams)
    paths = (_SMALL_UP, _SMALL_DOWN) if count > _MANY else (_UP, _DOWN)
    content = [_definitions(about, *paths)]
    for column, team in enumerate(teams):
        content.append(element("text", str(team.rank), css="hd", x=percent((column + 0.5) / count), y=15))
    for row, team in enumerate(teams):
        y = _HEAD + _ROW * row
        css = "own" if team.is_own else ""
        content += both_lengths(f"{team.rank} {team.name}", css, x=-8, y=y + 19)
        content += _cells(about, team, y)
    css = "many" if count > _MANY else "numbered" if _has_numbers(teams[0]) else ""
    drawing = drawn(about, _said(teams), _HEAD + _ROW * count + 1, content, f"sig-map {css}".strip())
    return Picture(drawing, table, _key(about))


_UP, _DOWN = "M0 -4.5l5 9h-10z", "M0 4.5l5 -9h-10z"
_SMALL_UP, _SMALL_DOWN = "M0 -3.5l3.25 7h-6.5z", "M0 3.5l3.25 -7h-6.5z"  # for cells of 8 pixels, 25 on a phone


def _definitions(about: About, up_path: str, down_path: str) -> SafeString:
    up = element("path", css="sig-better", d=up_path, id=f"{about.name}-better")
    down = element("path", css="sig-worse", d=down_path, id=f"{about.name}-worse")
    return element("g", hatching(about), element("defs", up, down))


def _cells(about: About, team: TestedTeam, y: float) -> Iterator[SafeString]:
    count = len(team.verdicts)
    for column, verdict in enumerate(team.verdicts):
        if verdict is None:
            continue
        x, middle, css = percent(column / count), percent((column + 0.5) / count), verdict.name.lower()
        fill = hatched(about) if verdict is Verdict.OPEN else None
        yield element("rect", css=f"cell {css}", fill=fill, x=x, y=y, width=percent(1 / count), height=_ROW)
        if verdict is not Verdict.OPEN:
            yield element("use", href=f"#{about.name}-{css}", x=middle, y=y + _ROW / 2)
        difference = team.differences[column] if _has_numbers(team) else None
        if difference is not None:
            yield element("text", _short(difference), css="nu", x=middle, y=y + 18.5)


def _has_numbers(team: TestedTeam) -> bool:
    return bool(team.differences) and len(team.verdicts) <= _MANY


def _short(difference: float) -> str:
    """`+.040`: a sign, and no zero where there is no room."""
    return signed(difference).replace("0.", ".", 1)


def _key(about: About) -> SafeString:
    box = element("rect", css="cell open", fill=hatched(about), x=-8, y=-6, width=16, height=12)
    return key(
        (element("path", css="sig-better", d=_UP), "row is better"),
        (element("path", css="sig-worse", d=_DOWN), "row is worse"),
        (box, "can’t be told apart"),
    )


def _said(teams: Sequence[TestedTeam]) -> str:
    pairs = len(teams) * (len(teams) - 1) // 2
    unclear = sum(verdict is Verdict.OPEN for row, team in enumerate(teams) for verdict in team.verdicts[row + 1 :])
    like_first = [
        name(other.name) for other, verdict in zip(teams, teams[0].verdicts, strict=True) if verdict is Verdict.OPEN
    ]
    shown = ", ".join(like_first[:5]) + (f" and {len(like_first) - 5} more" if len(like_first) > 5 else "")
    return (
        f"{unclear} of {counted(pairs, 'pair')} can’t be told apart. "
        f"{name(teams[0].name)} can’t be told from {shown or 'nobody else here'}."
    )


def _table(about: About, teams: Sequence[TestedTeam]) -> Table:
    def listed(team: TestedTeam, verdict: Verdict) -> str:
        differences = team.differences or [None] * len(team.verdicts)
        found = [
            f"{name(other.name)}{'' if difference is None else f' ({signed(difference)})'}"
            for other, one, difference in zip(teams, team.verdicts, differences, strict=True)
            if one is verdict
        ]
        return ", ".join(found) or DASH

    return Table(
        about.title,
        ("Team", "Better than", "Worse than", "Can’t be told from"),
        [(f"{team.rank} {name(team.name)}", *(listed(team, verdict) for verdict in Verdict)) for team in teams],
    )
