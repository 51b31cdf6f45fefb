"""Numbers and names as pictures and their tables write them."""

import re
import unicodedata
from collections.abc import Sequence

from leaderboard.core.text import one_line

Interval = Sequence[float]  # its two ends
DASH = "–"
_NOT_XML = re.compile(r"[\ufffe\uffff]")  # an image of its own with one of them is no XML


def score(value: float | None) -> str:
    """A Dice, rate, P, R or F1 in three decimals; a dash where it is not shown."""
    return DASH if value is None else f"{value:.3f}"


def interval(ends: Interval | None) -> str:
    """A 95 % interval: `0.259–0.316`; nothing where there is none."""
    return f"{ends[0]:.3f}–{ends[1]:.3f}" if ends else ""


def spoken_interval(ends: Interval | None) -> str:
    """The same in a sentence, in brackets after its number."""
    return f" (95 % interval {ends[0]:.3f} to {ends[1]:.3f})" if ends else ""


def signed(value: float) -> str:
    """A difference of two scores: `+0.040`, `−0.008`, `0.000`."""
    text = f"{value:+.3f}".replace("-", "−")
    return text[1:] if text.strip("+−0.") == "" else text


def signed_interval(ends: Interval | None) -> str:
    """The interval of a difference: `+0.015 to +0.063` (a dash would hide a sign); nothing where there is none."""
    return f"{signed(ends[0])} to {signed(ends[1])}" if ends else ""


def share(value: float) -> str:
    """A share of resamples: `67 %`; what is not quite nothing is `under 1 %`."""
    return "under 1 %" if 0 < value < 0.005 else f"{100 * value:.0f} %"


def ranks(low: float, high: float) -> str:
    """The ends of an interval of ranks: `2–5`, or `3`."""
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"


def counted(count: int, one: str, many: str = "") -> str:
    """`1 team`, `12 teams`."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def name(text: str) -> str:
    """Somebody's name as one line, without what would turn or hide the text around it."""
    return _NOT_XML.sub("", one_line(text))


def shortened(text: str, columns: int) -> str:
    """A name in the room that a picture has: `columns` letters, of which an East Asian one takes two."""
    whole = name(text)
    if width(whole) <= columns:
        return whole
    kept = ""
    for letter in whole:
        if width(kept + letter) > columns - 1:
            break
        kept += letter
    return f"{kept.rstrip()}…"


def width(text: str) -> int:
    """How many columns a text takes: two for an East Asian letter, none for a mark on the letter before."""
    return sum(_columns(letter) for letter in text)


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
