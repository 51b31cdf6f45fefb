"""The refusal of an image, and how names from an upload are quoted in it."""

from typing import Final

SAVE_AGAIN: Final = "Save the image again with docker save and upload the complete file."

_SHOWN_CHARACTERS: Final = 80


class ImageRejected(Exception):
    """The image cannot be used. The message is one short text for its team: what is so, and what to do.

    code: a stable word for the reason, for statistics and tests.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type["ImageRejected"], tuple[str, str]]:
        return type(self), (self.code, self.message)  # so that it survives a process pool


def shown(text: object) -> str:
    """Text from an upload as it may stand in a message: ASCII, quoted, no control characters, 80 at most."""
    quoted = ascii(text)
    return quoted if len(quoted) <= _SHOWN_CHARACTERS else quoted[: _SHOWN_CHARACTERS - 4] + "...'"


def human_size(size: int) -> str:
    """A size for people, in decimal units as engines print them: `8.1 GB`."""
    value = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"
