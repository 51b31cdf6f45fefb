"""Pictures of one row for each entry: its name and number as text, and its marks on an axis that all rows share.

In a narrow picture name and number stand above the marks; in a wide one the stylesheet moves them to its sides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from leaderboard.charts.picture import About, drawn, gridlines
from leaderboard.charts.svg import element
from leaderboard.charts.words import name, shortened

HEAD = 26  # pixels, of the labels of the axis
HEIGHT = 38  # of a row
MIDDLE = 27.0  # of its marks, from the top of the row
_COLUMNS = 30  # letters of a name
_KINDS = {"own": "you", "reference": "reference"}
_RANK = 28  # pixels, of a rank before a name


@dataclass(frozen=True)
class Row:
    """An entry: its marks lie around `MIDDLE`, in a picture whose zero is the row's upper left corner.

    `detail` follows the number where there is room; `remark`, of a few letters, the name. `css`: `own` or `reference`,
    which the row also says in words.
    """

    name: str
    marks: Sequence[SafeString]
    number: str = ""
    detail: str = ""
    remark: str = ""
    rank: int | None = None
    css: str = ""


def in_rows(
    about: About,
    said: str,
    rows: Sequence[Row],
    ticks: Iterable[tuple[float, str]],
    *,
    height: int = HEIGHT,
    css: str = "",
    before: Sequence[SafeString] = (),
) -> SafeString:
    """The drawing of these rows over the gridlines of `ticks` (share of the width, label); `before` are its defs."""
    bottom = HEAD + height * len(rows)
    has_ranks = any(row.rank is not None for row in rows)
    content = (
        *before,
        *gridlines(ticks, HEAD, bottom),
        *(_row(row, HEAD + height * place, height, has_ranks) for place, row in enumerate(rows)),
    )
    return drawn(about, said, bottom + 4, content, f"rows {css}".strip())


def kind(*, is_own: bool, is_reference: bool = False) -> str:
    """The class of a row."""
    return "own" if is_own else "reference" if is_reference else ""


def _row(row: Row, y: float, height: int, has_ranks: bool) -> SafeString:
    number = element(
        "text",
        row.number,
        element("tspan", row.detail, css="ci", dx=6) if row.detail else "",
        css="v",
        x="100%",
        y=13,
    )
    return element("svg", _name(row, has_ranks), number, *row.marks, css=f"entry {row.css}".strip(), y=y, height=height)


def _name(row: Row, has_ranks: bool) -> SafeString:
    word = "".join(f", {one}" for one in (_KINDS.get(row.css), row.remark) if one)
    short = shortened(row.name, _COLUMNS - len(word))
    return element(
        "text",
        element("title", name(row.name)) if short != name(row.name) else "",
        element("tspan", str(row.rank), css="rk") if row.rank is not None else "",
        element("tspan", short, x=_RANK) if has_ranks else short,
        element("tspan", word, css="ci") if word else "",
        css="t",
        y=13,
    )
