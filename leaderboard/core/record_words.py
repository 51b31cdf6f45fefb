"""What the record holds of a thing, as people read it: instants in UTC, sizes and spans with their unit."""

import re
from datetime import datetime
from typing import Any

from leaderboard.core.sizes import in_words
from leaderboard.core.text import instant

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
_UNITS = ("_id", "_bytes", "_seconds")  # of which the value says more
_MINUTE, _HOUR = 60, 3600


def name_in_words(field: str) -> str:
    """A field's name: `memory_bytes` is `memory`."""
    unit = next((unit for unit in _UNITS if field.endswith(unit)), "")
    return field.removesuffix(unit).replace("_", " ")


def value_in_words(field: str, value: Any) -> str:
    """What it holds."""
    if value in (None, "", [], {}):
        return "nothing"
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if field.endswith("_bytes"):
            return in_words(value)
        case int() if field.endswith("_seconds"):
            return span_in_words(value)
        case list():
            return ", ".join(value_in_words("", one).replace("_", " ") for one in value)
        case dict():
            return "; ".join(f"{name_in_words(name)}: {value_in_words(name, one)}" for name, one in value.items())
        case str() if _INSTANT.fullmatch(value):
            return instant(datetime.fromisoformat(value))
    return str(value)


def span_in_words(seconds: int) -> str:
    """In the largest unit in which it is whole."""
    if seconds and seconds % _HOUR == 0:
        return f"{seconds // _HOUR} h"
    return f"{seconds // _MINUTE} min" if seconds > _MINUTE and seconds % _MINUTE == 0 else f"{seconds} s"
