"""The refusal of an image, and how names from an upload are quoted in it."""

from typing import Final, Literal

ImageRejectionCode = Literal[
    "ambiguous",
    "bad_config",
    "bad_json",
    "compression",
    "damaged",
    "duplicate_key",
    "inflates_too_far",
    "missing_part",
    "no_entrypoint",
    "no_image",
    "no_layers",
    "not_an_archive",
    "not_unpackable",
    "reserved_path",
    "several_images",
    "sparse_file",
    "too_large",
    "too_many_entries",
    "too_many_layers",
    "truncated",
    "unknown_key",
    "unsafe_file",
    "unsafe_member",
    "unusable_entrypoint",
    "weights_ambiguous",
    "weights_are_an_image",
    "weights_compression",
    "weights_damaged",
    "weights_empty",
    "weights_inflate_too_far",
    "weights_not_an_archive",
    "weights_not_unpackable",
    "weights_path_reserved",
    "weights_sparse_file",
    "weights_too_large",
    "weights_too_many_entries",
    "weights_unsafe_link",
    "weights_unsafe_member",
    "wrong_digest",
    "wrong_platform",
]

SAVE_AGAIN: Final = "Save the image again with docker save and upload the complete file."
BUILD_AGAIN: Final = "Build the image with docker build and save it again."

_QUOTED_CHARACTERS: Final = 80


class ImageRejected(Exception):
    """The image cannot be used. The message is one short text for its team: what is so, and what to do.

    code: the reason as one of a closed list, for statistics and tests.
    """

    def __init__(self, code: ImageRejectionCode, message: str) -> None:
        super().__init__(message)
        self.code: ImageRejectionCode = code
        self.message = message

    def __reduce__(self) -> tuple[type["ImageRejected"], tuple[ImageRejectionCode, str]]:
        return type(self), (self.code, self.message)  # so that it survives a process pool


def quoted(text: object) -> str:
    """Text from an upload as it may stand in a message: ASCII, quoted, printable, at most 80 characters."""
    literal = ascii(text)
    return literal if len(literal) <= _QUOTED_CHARACTERS else literal[: _QUOTED_CHARACTERS - 4] + "...'"
