"""A field of a form for a size in bytes, as people write it: `32 GiB`, `15 GB`, `1.5 GiB`."""

from typing import Any

from django import forms

from leaderboard.core.sizes import bytes_of, in_words


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
        try:
            return bytes_of(text)
        except ValueError as wrong:
            raise forms.ValidationError(str(wrong)) from wrong

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether it says another size, however it is written."""
        try:
            return bool(self.clean(data) != initial)
        except forms.ValidationError:
            return True
