"""What a team's name looks like: names that a reader takes for each other have the same skeleton.

The skeleton of Unicode's UTS 39, by its table of confusable characters ("Lіngula" with a Cyrillic letter is "Lingula"),
made coarser by what one doesn't see or remember: case, spaces, punctuation, zero-width characters, other forms of the
same letter. Accents, signs and letters that look like no other one stay, so honest names of any script stay possible.
"""

import unicodedata
from functools import cache

# A small l, a capital I and the digit 1 are one character there; case brings the small i to the capital one.
_ONE_STROKE = str.maketrans("i", "l")
# Marks and letters that are drawn as nothing, though their category is none of the ones below.
_DRAWN_AS_NOTHING = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159")
_DIRECTION = dict.fromkeys(map(ord, "\u200e\u200f"))  # the table wraps characters of right-to-left scripts in these


def skeleton(name: str) -> str:
    """What the name looks like, for comparing alone; empty for a name of nothing but spaces and punctuation."""
    text = _without_second_dots(_prototypes(unicodedata.normalize("NFKC", name)).lower())
    # Small letters of our own alphabet look like others than the capitals do: m like rn. Those of other alphabets were
    # compared as they were written: a capital gamma looks like no y, which a small one does.
    text = "".join(_prototypes(letter) if letter.isascii() else letter for letter in text).translate(_ONE_STROKE)
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if _is_seen(letter))


def _without_second_dots(text: str) -> str:
    """A dot above a letter that has one is drawn once."""
    return text.replace("i\u0307", "i").replace("j\u0307", "j")


def _prototypes(text: str) -> str:
    prototypes = _table()
    return "".join(prototypes.get(letter, letter) for letter in unicodedata.normalize("NFD", text))


def _is_seen(letter: str) -> bool:
    """Whether a reader tells names apart by it: no space, punctuation, control or modifier; no variation selector."""
    kind = unicodedata.category(letter)
    selects_variant = "VARIATION SELECTOR" in unicodedata.name(letter, "")
    return not (kind[0] in "ZPC" or kind == "Sk" or selects_variant or letter in _DRAWN_AS_NOTHING)


@cache
def _table() -> dict[str, str]:
    """Each confusable character's prototype.

    The library lists pairs in both directions. All that look alike are paired with their prototype, so in such a group
    it is the one with the most pairs; of two it doesn't matter which, but for one that is several characters.
    """
    # Not above: it reads a megabyte of JSON, and every process would as it starts.
    from confusable_homoglyphs.confusables import confusables_data

    def weight(text: str) -> tuple[int, int, str]:
        return len(confusables_data.get(text, ())), len(text), text

    direct: dict[str, str] = {}
    for character, pairs in confusables_data.items():
        best = max([character, *(pair["c"] for pair in pairs)], key=weight)
        if len(character) == 1 and best != character:
            direct[character] = best.translate(_DIRECTION)
    return {character: _settled(prototype, direct) for character, prototype in direct.items()}


def _settled(prototype: str, direct: dict[str, str]) -> str:
    """The prototype with each of its own characters replaced in turn, as far as that goes."""
    for _ in range(3):
        prototype = "".join(direct.get(letter, letter) for letter in prototype)
    return prototype
