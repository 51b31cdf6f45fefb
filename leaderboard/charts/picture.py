"""What every picture consists of: a drawing that says what it shows, and the table of its numbers."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from leaderboard.charts.svg import element, lines, percent

_NAME = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
_LONG = 24  # letters
_NOTHING = "Nothing to show yet."


@dataclass(frozen=True)
class Table:
    """The numbers behind a picture. The first cell of a row is its head; each row has as many cells as `heads`."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def columns(self) -> list[tuple[str, str]]:
        """The heads after the first, each with the class of its cells: `n` of numbers, `w` of what needs a line."""
        places = range(1, len(self.heads))
        return [(self.heads[at], "w" if any(len(row[at]) > _LONG for row in self.rows) else "n") for at in places]

    @property
    def labelled(self) -> list[tuple[str, list[tuple[tuple[str, str], str]]]]:
        """Rows as a template takes them: the head, then each cell after its column."""
        columns = self.columns
        return [(row[0], list(zip(columns, row[1:], strict=True))) for row in self.rows]


@dataclass(frozen=True)
class Picture:
    """A drawing, what its marks mean (HTML, maybe empty), and its numbers; `parts/picture.html` shows all three."""

    drawing: SafeString
    table: Table
    key: SafeString | str = ""


@dataclass(frozen=True)
class About:
    """What a picture is called.

    `name` tells it from the others of its page, and begins the ids in it: a letter, then letters, digits, - and _.
    Raises ValueError for another one.
    """

    name: str
    title: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"No name of a picture: {self.name!r}")


def drawn(about: About, said: str, height: float, content: Iterable[SafeString], css: str = "") -> SafeString:
    """A drawing, `height` pixels high, that readers of text hear as its title and `said`."""
    title, words = f"{about.name}-title", f"{about.name}-said"
    inside = lines((element("title", about.title, id=title), element("desc", said, id=words), *content))
    return element(
        "svg",
        inside,
        css=f"drawn {css}".strip(),
        height=height,
        role="img",
        aria_labelledby=f"{title} {words}",
    )


def nothing(about: About, table: Table) -> Picture:
    """The picture of no data."""
    words = element("text", _NOTHING, css="none", y=20)
    return Picture(drawn(about, _NOTHING, 32, [words]), table)


def hatching(about: About) -> SafeString:
    """The strokes of what is hatched, to be filled with by `hatched`."""
    stroke = element("line", css="hatch", y2=6)
    return element(
        "defs",
        element(
            "pattern",
            stroke,
            id=f"{about.name}-hatch",
            width=6,
            height=6,
            patternUnits="userSpaceOnUse",
            patternTransform="rotate(45)",
        ),
    )


def hatched(about: About) -> str:
    """What fills an area with strokes."""
    return f"url(#{about.name}-hatch)"


def gridlines(ticks: Iterable[tuple[float, str]], top: float, bottom: float) -> list[SafeString]:
    """Upright hairlines with their labels above: shares of the width, and words."""
    drawn_lines: list[SafeString] = []
    for share, label in ticks:
        x = percent(share)
        anchor = "first" if share == 0 else "last" if share == 1 else ""
        drawn_lines.append(element("line", css="base" if label == "0" else "grid", x1=x, x2=x, y1=top, y2=bottom))
        if label:
            drawn_lines.append(element("text", label, css=f"tick {anchor}".strip(), x=x, y=top - 8))
    return drawn_lines
