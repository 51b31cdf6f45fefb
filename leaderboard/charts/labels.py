"""Names that stand at the ends of their lines, none over another."""

from collections.abc import Sequence
from statistics import fmean

from django.utils.safestring import SafeString

from leaderboard.charts.svg import at, element
from leaderboard.charts.words import name, shortened

_GAP = 16.0  # pixels from one label to the next
_WIDE, _NARROW = 22, 11  # letters, in a wide picture and in a narrow one
_AWAY = 18  # pixels from a line's end to its label


def spread(wanted: Sequence[float], top: float, bottom: float, gap: float = _GAP) -> list[float]:
    """Places as near as can be to the wanted ones, `gap` apart, between `top` and `bottom` as far as they fit.

    Names that would cover each other move apart evenly, around the middle of where they belong: least squares, by
    isotonic regression (pool adjacent violators).
    """
    order = sorted(range(len(wanted)), key=lambda place: (wanted[place], place))
    pools: list[list[float]] = []  # what a name wants, less the names above it: no pool may lie above the one before
    for above, place in enumerate(order):
        pools.append([wanted[place] - gap * above])
        while len(pools) > 1 and fmean(pools[-2]) > fmean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    most = max(top, bottom - gap * (len(wanted) - 1))
    bases = [min(max(fmean(pool), top), most) for pool in pools for _ in pool]
    placed = [0.0] * len(wanted)
    for above, (place, base) in enumerate(zip(order, bases, strict=True)):
        placed[place] = round(base + gap * above, 1)
    return placed


def end_label(
    text: str, y: float, label_y: float, css: str = "", *, x: str = "100%", away: int = _AWAY, is_left: bool = False
) -> SafeString:
    """A name beside the end of its line at `y`, right or left of it; a thin stroke leads to it where it had to move."""
    side, moved = -1 if is_left else 1, label_y - y
    stroke = element("line", css="lead", x1=6 * side, x2=(away - 3) * side, y1=0, y2=moved) if abs(moved) > 2 else ""
    names = both_lengths(text, f"left {css}".strip() if is_left else css, x=away * side, y=moved + 4.5)
    return at(x, y, stroke, *names, css=css)


def both_lengths(text: str, css: str = "", **place: str | float) -> list[SafeString]:
    """A name as a wide picture shows it, and as a narrow one does where that is shorter; the stylesheet takes one."""
    wide, narrow = shortened(text, _WIDE), shortened(text, _NARROW)
    title = element("title", name(text)) if narrow != name(text) else ""
    if wide == narrow:
        return [element("text", title, wide, css=f"l {css}".strip(), **place)]
    return [
        element("text", title, wide, css=f"l wide {css}".strip(), **place),
        element("text", title, narrow, css=f"l narrow {css}".strip(), **place),
    ]
