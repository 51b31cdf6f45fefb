"""The mean Dice of each team in each category, as shades that lightness alone orders; the number is in the cell."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from django.utils.safestring import SafeString

from leaderboard.charts.labels import both_lengths
from leaderboard.charts.picture import About, Picture, Table, drawn, hatched, hatching, nothing
from leaderboard.charts.svg import element, lines, percent
from leaderboard.charts.words import DASH, counted, name, score

_HEAD = 40  # pixels, of code and n
_ROW = 28
_STEPS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1)  # of Dice, from one shade to the next
_LAST = 8


@dataclass(frozen=True)
class Category:
    """A kind of findings: its code, name, and `n` findings (None: not told).

    `panel` is the heading that it shares with its neighbours (“Non-focal”).
    """

    code: str
    label: str
    n: int | None
    panel: str = ""


@dataclass(frozen=True)
class Team:
    """A team's mean Dice in each category; None where it is not shown."""

    name: str
    means: Sequence[float | None]
    is_own: bool = False


def heat_map(
    about: About, categories: Sequence[Category], teams: Sequence[Team], not_shown: str = "not shown"
) -> Picture:
    """Teams by categories, a drawing for each panel (side by side where there is room), and the key of the shades.

    The key stands only where a shade is drawn. `not_shown` says why a mean is missing: “fewer than 10 findings: shown
    after the reveal”.
    """
    table = _table(about, categories, teams, not_shown)
    if not teams or not categories:
        return nothing(about, table)
    shown = [mean for team in teams for mean in team.means if mean is not None]
    step = _step(shown)
    panels = [
        _panel(_Panel(about, place, title, columns), categories, teams, step)
        for place, (title, columns) in enumerate(_panels(categories))
    ]
    key = element("p", "Hatched: ", not_shown, css="pic-key") if len(shown) < len(teams) * len(categories) else ""
    shades = [_shades(step)] if shown else []  # where no number is, no shade is explained
    return Picture(element("div", lines((*panels, *shades)), css="heats"), table, key)


@dataclass(frozen=True)
class _Panel:
    whole: About
    place: int
    title: str
    columns: Sequence[int]  # places of its categories

    @property
    def about(self) -> About:
        title = f"{self.whole.title}: {self.title}" if self.title else self.whole.title
        return About(f"{self.whole.name}-{self.place}", title)


def _panels(categories: Sequence[Category]) -> Iterator[tuple[str, list[int]]]:
    for panel, places in groupby(range(len(categories)), key=lambda place: categories[place].panel):
        yield panel, list(places)


def _panel(panel: _Panel, categories: Sequence[Category], teams: Sequence[Team], step: float) -> SafeString:
    about, count = panel.about, len(panel.columns)
    content = [hatching(about)]
    for column, place in enumerate(panel.columns):
        x = percent((column + 0.5) / count)
        n = categories[place].n
        content.append(element("text", categories[place].code, css="hd", x=x, y=15))
        if n is not None:
            content.append(element("text", str(n), css="n", x=x, y=31))
    for row, team in enumerate(teams):
        y = _HEAD + _ROW * row
        label = both_lengths(team.name, "own" if team.is_own else "", x=-8, y=y + 19)
        means = [team.means[place] for place in panel.columns]
        content += [*label, *_cells(about, means, step, y)]
    height = _HEAD + _ROW * len(teams)
    said = _said([categories[place] for place in panel.columns], panel.columns, teams)
    return drawn(about, said, height, content, f"heat-map of-{count}")


def _cells(about: About, means: Sequence[float | None], step: float, y: float) -> Iterator[SafeString]:
    for column, mean in enumerate(means):
        left, wide = percent(column / len(means)), percent(1 / len(means))
        middle = percent((column + 0.5) / len(means))
        if mean is None:
            yield element("rect", css="na", fill=hatched(about), x=left, y=y, width=wide, height=_ROW)
            yield element("text", "–", css="c", x=middle, y=y + 19)
            continue
        shade = _shade(mean, step)
        yield element("rect", css=f"h{shade}", x=left, y=y, width=wide, height=_ROW)
        yield element("text", _short(mean), css=f"c on{shade}", x=middle, y=y + 19)


def _step(means: Iterable[float]) -> float:
    """The smallest step of which nine hold all means; the largest there is for what is above all."""
    largest = max(means, default=0.0)
    return next((step for step in _STEPS if round(largest, 2) < step * (_LAST + 1)), _STEPS[-1])


def _shade(mean: float, step: float) -> int:
    """The shade of the number that the cell shows, so that it agrees with the key."""
    return min(_LAST, int(round(mean, 2) / step + 1e-9))


def _short(mean: float) -> str:
    """Two decimals without the zero: `.24`, `1.0`."""
    return "1.0" if mean >= 0.995 else f"{mean:.2f}"[1:]


def _shades(step: float) -> SafeString:
    """The key: each shade with the number from which on it is used."""
    boxes = [
        (
            element("rect", css=f"h{shade}", x=percent(shade / 9), width=percent(1 / 9), y=0, height=24),
            element("text", _short(step * shade), css=f"c on{shade}", x=percent((shade + 0.5) / 9), y=17),
        )
        for shade in range(_LAST + 1)
    ]
    drawing = element(
        "svg", *(one for box in boxes for one in box), css="drawn heat-map shade-key", height=24, aria_hidden="true"
    )
    words = element("span", "Mean Dice, each shade from the number shown")
    return element("p", drawing, words, css="shades")


def _said(categories: Sequence[Category], columns: Sequence[int], teams: Sequence[Team]) -> str:
    """Where the teams of the picture do best and worst, by the mean of their means."""
    overall = {}
    for category, column in zip(categories, columns, strict=True):
        means = [mean for team in teams if (mean := team.means[column]) is not None]
        if means:
            overall[category] = fmean(means)
    hidden = len(categories) - len(overall)
    beside = f" {counted(hidden, 'category is', 'categories are')} not shown." if hidden else ""
    if not overall:
        return f"No category is shown of {counted(len(teams), 'team')}."
    best, worst = max(overall, key=overall.__getitem__), min(overall, key=overall.__getitem__)
    said = f"{counted(len(teams), 'team')}: best in {best.label}, {overall[best]:.2f} on average"
    return f"{said}{'' if best is worst else f'; worst in {worst.label}, {overall[worst]:.2f}'}.{beside}"


def _table(about: About, categories: Sequence[Category], teams: Sequence[Team], not_shown: str) -> Table:
    """Codes are heads, since 14 names would find no room; the caption tells them."""
    heads = [one.code if one.n is None else f"{one.code} ({one.n})" for one in categories]
    names = ", ".join(f"{one.code} {one.label}" for one in categories)
    return Table(
        f"{about.title}. In brackets: the number of findings. {DASH}: {not_shown}. {names}.",
        ("Team", *heads),
        [(name(team.name), *(score(mean) for mean in team.means)) for team in teams],
    )
