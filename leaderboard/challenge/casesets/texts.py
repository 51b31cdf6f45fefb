"""Sentences as models get them: one way to write each, without what nobody sees.

Copied out of a word processor or a web page, a sentence holds spaces that do not break, marks without width, ligatures
and soft hyphens. They look like nothing and make other tokens, so they become what they look like, and it is told.
Control characters mean that something went wrong before: they are refused.
"""

import re
import unicodedata
from typing import NamedTuple

LONGEST = 2000
_KEPT = "\n\t"
_FORMS = re.compile(r"[\ufb00-\ufb06]")  # ligatures, which are letters written together
_LINES = str.maketrans({"\u2028": "\n", "\u2029": "\n", "\x85": "\n"})


class Sign(NamedTuple):
    """A character, by its name and code, and where it stands: counted from 1."""

    name: str
    place: int

    def __str__(self) -> str:
        return f"{self.name} at character {self.place}"


def made_plain(text: str) -> tuple[str, list[Sign]]:
    """The sentence as it is kept, and which characters of it became others, or went."""
    signs: list[Sign] = []
    written: list[str] = []
    for place, char in enumerate(text.replace("\r\n", "\n"), start=1):
        composed = unicodedata.normalize("NFC", written[-1] + char) if written and unicodedata.combining(char) else ""
        plain = _plain(char)
        if len(composed) == 1:
            written[-1] = composed
        else:
            written.append(plain)
        if plain != char or len(composed) == 1:  # an accent of its own joins its letter
            signs.append(Sign(name_of(char), place))
    return "".join(written), signs


def controls(text: str) -> list[Sign]:
    """The characters of a sentence made plain that no sentence holds."""
    return [
        Sign(name_of(char), place)
        for place, char in enumerate(text, start=1)
        if char not in _KEPT and unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn")
    ]


def name_of(char: str) -> str:
    """What Unicode calls a character, with its code."""
    known = {"\x85": "NEXT LINE", "\x00": "NULL", "\x1b": "ESCAPE", "\r": "CARRIAGE RETURN", "\x7f": "DELETE"}
    name = unicodedata.name(char, known.get(char, "unnamed character" if ord(char) > 0x9F else "control character"))
    return f"{name} (U+{ord(char):04X})"


def _plain(char: str) -> str:
    """What a character becomes: itself, mostly."""
    if char.isascii():
        return char
    if char in "\u2028\u2029\x85":
        return char.translate(_LINES)
    if unicodedata.category(char) == "Zs":  # every space of its own width, or that does not break
        return " "
    if unicodedata.category(char) == "Cf" or char in "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufe0e\ufe0f":
        return ""  # without width: joiners, directional marks, the soft hyphen, byte order marks, tags
    if _FORMS.match(char):
        return unicodedata.normalize("NFKC", char)
    return char
