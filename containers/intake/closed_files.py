"""What is to be said about files and folders that only their owner could use: bounded, and counted by the outermost."""

import posixpath
from collections.abc import Iterable
from typing import Final

from containers.intake import tar
from containers.intake.errors import quoted
from containers.intake.tree import folders_above
from containers.protocol.sizes import decimal_size

_MAX_PLACES: Final = 1000
_SHOWN_PLACES: Final = 5
#: What every new home holds; a home that holds nothing else is not worth a word.
_SKELETON: Final = frozenset(
    """
    .bash_history .bash_logout .bash_profile .bashrc .cshrc .lesshst .profile .python_history .tcshrc .wget-hsts .zshrc
    """.split()  # noqa: SIM905 (a dozen quoted words would fill a page)
)


class ClosedPlace:
    """A file or folder that only its owner could use, and the files below it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.files = 0
        self.bytes = 0
        self.is_noteworthy = not path  # nothing of an image can be reached below a closed root folder

    def count(self, path: str, size: int) -> None:
        """Count a file: this one, or one below this folder."""
        self.files += 1
        self.bytes += size
        self.is_noteworthy |= posixpath.basename(path) not in _SKELETON

    def __str__(self) -> str:
        counted = "" if self.files == 1 else f"{self.files:,} files, "
        return quoted("/" + self.path) + (f" ({counted}{decimal_size(self.bytes)})" if self.files else "")


class ClosedFiles:
    """The outermost closed places of an image, at most a thousand of them."""

    def __init__(self) -> None:
        self._found: dict[str, ClosedPlace] = {}
        self._is_full = False

    def add(self, path: str, member: tar.Member, *, is_closed: bool) -> None:
        """Look at the next entry."""
        if not self._found and not is_closed:
            return  # as for nearly all files of nearly all images
        place = next((self._found[folder] for folder in folders_above(path) if folder in self._found), None)
        if place is None and is_closed:
            place = self._begin(path, is_folder=member.kind == "folder")
        if place is not None and member.kind != "folder":
            place.count(path, member.size)

    def largest_first(self) -> list[ClosedPlace]:
        """All of them."""
        return sorted(self._found.values(), key=lambda place: (-place.bytes, place.path))

    def touch(self, paths: Iterable[str]) -> bool:
        """Whether one of these paths is, holds or lies below one of them, or may do so."""
        paths = set(paths)
        above = {folder for path in paths for folder in folders_above(path)}
        return self._is_full or any(
            place in paths or place in above or not paths.isdisjoint(folders_above(place)) for place in self._found
        )

    def _begin(self, path: str, *, is_folder: bool) -> ClosedPlace | None:
        if not is_folder:
            self._found.pop(path, None)  # counted anew where a layer replaces it
        if path not in self._found and len(self._found) >= _MAX_PLACES:
            self._is_full = True
            return None
        return self._found.setdefault(path, ClosedPlace(path))


def listed(places: list[ClosedPlace]) -> str:
    """The first of them, in words."""
    shown = ", ".join(str(place) for place in places[:_SHOWN_PLACES])
    more = len(places) - _SHOWN_PLACES
    return f"{shown} and {more} more" if more > 0 else shown
