"""Text that somebody else wrote, without what is not text in it. Whoever shows it still escapes it for its medium."""

import re
from typing import Any

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
# Control characters but for tab and line feed, and the marks that turn the direction of everything that follows.
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def sanitised(value: object) -> str:
    """Text without terminal colours, control characters and direction overrides."""
    text = str(value).replace("\r\n", "\n").replace("\r", "\n")
    return _INVISIBLE.sub("", _ESCAPE_SEQUENCE.sub("", text))


def one_line(text: str) -> str:
    """A name as it is kept: sanitised, in one line."""
    return " ".join(sanitised(text).split())


def printable(text: str) -> str:
    """Text from a team as a terminal may get it: no colours, control characters or changes of direction."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def storable(value: Any) -> Any:
    """The value with texts that PostgreSQL can hold, also in JSON: it knows neither NUL nor half a surrogate pair."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: storable(one) for key, one in value.items()}
    return [storable(one) for one in value] if isinstance(value, list | tuple) else value
