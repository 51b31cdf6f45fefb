"""A badge for other sites: an image of its own that brings its colours along and needs no font of ours."""

import unicodedata
from collections.abc import Sequence

from django.utils.safestring import SafeString

from leaderboard.charts.svg import element
from leaderboard.charts.words import name, shortened

HEIGHT = 20  # pixels
_PADDING = 7
_SIZE = 11
_FONT = "Verdana,DejaVu Sans,Geneva,sans-serif"
_LONGEST = 60  # letters of one side
_DARK, _BLUE, _GREY, _PAPER = "#1a1d21", "#0a5a80", "#5d6369", "#ffffff"

# Widths of letters in Verdana of 11 px, by classes: a browser fits the text to the width that we say (textLength).
_WIDTHS = {
    **dict.fromkeys("ijl'|!.,:;I ", 4.2),
    **dict.fromkeys('frt()[]{}-/\\"·', 5.0),
    **dict.fromkeys("mwMW@%&", 10.5),
}
_CAPITAL, _EAST_ASIAN, _OTHER = 7.8, 11.0, 6.9


def badge(label: str, words: Sequence[str], *, is_grey: bool = False) -> SafeString:
    """An SVG file: `label` on the left, `words` on the right with dots between (“rank 3 (2–5)”, “Dice 0.287”).

    `is_grey`: there is nothing to show.
    """
    left, right = shortened(label, _LONGEST), shortened(" · ".join(name(one) for one in words), _LONGEST)
    first, second = (text_width(text) + 2 * _PADDING for text in (left, right))
    whole = first + second
    said = f"{left}: {right}"
    return element(
        "svg",
        element("title", said),
        element("rect", width=whole, height=HEIGHT, rx=2, fill=_GREY if is_grey else _BLUE),
        element(
            "path",
            d=f"M2 0h{first - 2}v{HEIGHT}h-{first - 2}a2 2 0 0 1 -2 -2v-{HEIGHT - 4}a2 2 0 0 1 2 -2z",
            fill=_DARK,
        ),
        element(
            "g",
            _text(left, _PADDING),
            _text(right, first + _PADDING),
            fill=_PAPER,
            font_family=_FONT,
            font_size=_SIZE,
        ),
        xmlns="http://www.w3.org/2000/svg",
        width=whole,
        height=HEIGHT,
        viewBox=f"0 0 {whole} {HEIGHT}",
        role="img",
        aria_label=said,
    )


def text_width(text: str) -> int:
    """About how wide a text is in Verdana of 11 px, in pixels."""
    return round(sum(_letter_width(letter) for letter in text))


def _letter_width(letter: str) -> float:
    if letter in _WIDTHS:
        return _WIDTHS[letter]
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF":
        return _EAST_ASIAN
    return _CAPITAL if letter.isupper() else _OTHER


def _text(text: str, x: int) -> SafeString:
    return element("text", text, x=x, y=14, textLength=text_width(text), lengthAdjust="spacingAndGlyphs")
