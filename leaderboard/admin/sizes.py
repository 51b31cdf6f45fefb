"""A size in bytes as people write it: `32 GiB`, `15 GB`, `1.5 GiB`, and back without loss."""

import re
from decimal import Decimal
from typing import Any

from django import forms

_UNITS = {"GiB": 1 << 30, "GB": 10**9, "MiB": 1 << 20, "MB": 10**6, "KiB": 1 << 10, "kB": 10**3, "bytes": 1}
_BY_NAME = {name.lower(): size for name, size in _UNITS.items()} | {"byte": 1, "b": 1, "": 1}
_WRITTEN = re.compile(r"\s*((?:[0-9]{1,3}(?:,[0-9]{3}){1,7}|[0-9]{1,25})(?:\.[0-9]{1,24})?)\s*([A-Za-z]*)\s*")
_LARGEST = 2**63 - 1


def in_words(size: int) -> str:
    """The size in the largest unit in which it is whole."""
    name, unit = next((name, unit) for name, unit in _UNITS.items() if size % unit == 0 and (size or unit == 1))
    return f"{size // unit} {name}"


class SizeField(forms.CharField):
    """A number of bytes, written with its unit."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", "")
        kwargs["help_text"] = f"{kwargs['help_text']} With its unit, as in 32 GiB, 512 MiB or 15 GB.".strip()
        super().__init__(max_length=60, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """What is kept, in words; what somebody typed, as it is."""
        return in_words(value) if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        """The bytes. Raises ValidationError."""
        text = super().clean(value)
        written = _WRITTEN.fullmatch(text)
        unit = _BY_NAME.get(written[2].lower()) if written else None
        if written is None or unit is None:
            raise forms.ValidationError("Write a size with its unit: 32 GiB, 1.5 GiB, 15 GB or 2000 bytes.")
        size = Decimal(written[1].replace(",", "")) * unit
        if size != int(size) or size > _LARGEST:
            raise forms.ValidationError("That is not a whole number of bytes, or too many.")
        return int(size)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether it says another size, however it is written."""
        try:
            return bool(self.clean(data) != initial)
        except forms.ValidationError:
            return True
