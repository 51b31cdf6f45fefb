"""A size in bytes as people write it: `32 GiB`, `15 GB`, `1.5 GiB`, and back without loss."""

import re
from decimal import Decimal

_UNITS = {"GiB": 1 << 30, "GB": 10**9, "MiB": 1 << 20, "MB": 10**6, "KiB": 1 << 10, "kB": 10**3, "bytes": 1}
_BY_NAME = {name.lower(): size for name, size in _UNITS.items()} | {"byte": 1, "b": 1, "": 1}
_WRITTEN = re.compile(r"\s*((?:[0-9]{1,3}(?:,[0-9]{3}){1,7}|[0-9]{1,25})(?:\.[0-9]{1,24})?)\s*([A-Za-z]*)\s*")
_LARGEST = 2**63 - 1


def in_words(size: int) -> str:
    """The size in the largest unit in which it is whole."""
    name, unit = next((name, unit) for name, unit in _UNITS.items() if size % unit == 0 and (size or unit == 1))
    return f"{size // unit} {name}"


def bytes_of(text: str) -> int:
    """The bytes of a size in words. Raises ValueError with a sentence for whoever wrote it."""
    written = _WRITTEN.fullmatch(text)
    unit = _BY_NAME.get(written[2].lower()) if written else None
    if written is None or unit is None:
        raise ValueError("Write a size with its unit: 32 GiB, 1.5 GiB, 15 GB or 2000 bytes.")
    size = Decimal(written[1].replace(",", "")) * unit
    if size != int(size) or size > _LARGEST:
        raise ValueError("That is not a whole number of bytes, or too many.")
    return int(size)
