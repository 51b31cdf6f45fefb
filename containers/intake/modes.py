"""The modes of a layer's files: what only its owner may use is opened for the user that containers run as.

That user is a stranger to every image: one number for each slot of a host is a wall between teams. But teams build
homes of mode 0700, and scripts and weights of 0600. So, while the archive is rebuilt, others get the bits for reading
and searching (executing) that the owner has; and, where the image runs as root, those that root does not need. No bit
for writing is added, and none is taken away.

Not opened is what a system keeps from its users (/etc/shadow and the like), but for what the configuration names
there: the program and the paths among its arguments, the working directory, the home, each with its parent folders.
"""

import posixpath
from collections.abc import Iterable
from typing import Final

from containers.intake import tar
from containers.intake.errors import human_size, quoted
from containers.intake.layer_filesystem import SYSTEM_PLACES, Place

_READ_AND_SEARCH: Final = 0o5
_READ: Final = 0o4
_SEARCH: Final = 0o1
_ANY_EXECUTE: Final = 0o111
_WORTH_A_WARNING_BYTES: Final = 1 << 20
_MAX_PLACES: Final = 1000
_SHOWN_PLACES: Final = 5
#: What every new home holds; a home that holds nothing else is not worth a word.
_SKELETON: Final = frozenset(
    """
    .bash_history .bash_logout .bash_profile .bashrc .cshrc .lesshst .profile .python_history .tcshrc .wget-hsts .zshrc
    """.split()  # noqa: SIM905 (a dozen quoted words would fill a page)
)


class ModeOpener:
    """Decides on the mode of each entry of an image's layers, and keeps what there is to say about it.

    named: the absolute paths that the configuration names. as_root: whether the image's own user is root.
    """

    def __init__(self, named: Iterable[str], *, as_root: bool) -> None:
        self._as_root = as_root
        self._named: set[str] = set()
        self._above_named: set[str] = set()
        self._opened = _Places()
        self._closed = _Places()
        for path in named:
            self.add_named(path)

    def add_named(self, path: str) -> None:
        """One more path that is to be opened wherever it lies. A whole place of the system never is."""
        path = posixpath.normpath(path).lstrip("/")
        if path and path not in SYSTEM_PLACES:
            self._named.add(path)
            self._above_named.update(_folders_above(path))

    def mode(self, member: tar.Member, place: Place) -> int:
        """The mode that an entry is to have; its own where nothing has to be opened."""
        if member.kind not in ("file", "folder", "hardlink"):
            return member.mode
        if place.of_system and not self._is_named(place.path, member.kind):
            self._closed.add(place.path, member, is_closed=bool(self._missing(member)))
            return member.mode
        missing = self._missing(member)
        self._opened.add(place.path, member, is_closed=bool(missing))
        return member.mode | missing

    def warnings(self) -> list[str]:
        """Sentences for the team: what was opened, and what of some size nobody will be able to read even so."""
        opened = [found for found in self._opened.found() if found.is_noteworthy]
        closed = [found for found in self._closed.found() if found.bytes >= _WORTH_A_WARNING_BYTES]
        warnings = []
        if opened:
            warnings.append(
                "Some files could be read by their owner only; they were opened for the user that the server runs "
                f"containers as, by read and search bits for others: {_listed(opened)}."
            )
        if closed:
            warnings.append(
                "Some files can be read by their owner only, in places where nothing is opened, so not by the user "
                f"that the server runs containers as: {_listed(closed)}. Store them elsewhere, or add RUN "
                "chmod -R a+rX for them to the Dockerfile."
            )
        return warnings

    def _is_named(self, path: str, kind: tar.Kind) -> bool:
        if path in self._named or (kind == "folder" and path in self._above_named):
            return True
        return any(folder in self._named for folder in _folders_above(path))

    def _missing(self, member: tar.Member) -> int:
        """The bits that others lack and the image's own user does not."""
        bits = member.mode >> 6 & _READ_AND_SEARCH
        if self._as_root:
            bits |= _READ
            if member.kind == "folder" or member.mode & _ANY_EXECUTE:
                bits |= _SEARCH
        return bits & ~member.mode


class _Found:
    """A file or folder that only its owner could use, and the files below it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.files = 0
        self.bytes = 0
        self.is_noteworthy = not path  # nothing of an image can be reached below a closed root folder

    def add(self, path: str, member: tar.Member) -> None:
        """Count a file: this one, or one below this folder."""
        self.files += 1
        self.bytes += member.size
        self.is_noteworthy |= posixpath.basename(path) not in _SKELETON

    def __str__(self) -> str:
        counted = "" if self.files == 1 else f"{self.files:,} files, "
        return quoted("/" + self.path) + (f" ({counted}{human_size(self.bytes)})" if self.files else "")


class _Places:
    """The outermost closed files and folders: at most a thousand, and how many there were beyond."""

    def __init__(self) -> None:
        self._found: dict[str, _Found] = {}

    def add(self, path: str, member: tar.Member, *, is_closed: bool) -> None:
        """Look at the next entry."""
        if not self._found and not is_closed:
            return  # as for nearly all files of nearly all images
        found = next((self._found[folder] for folder in _folders_above(path) if folder in self._found), None)
        if member.kind == "folder":
            if not is_closed:
                return
            if found is None and len(self._found) < _MAX_PLACES:
                self._found.setdefault(path, _Found(path))
            return
        if found is None and is_closed:
            if len(self._found) >= _MAX_PLACES and path not in self._found:
                return
            found = self._found[path] = _Found(path)  # counted anew where a layer replaces it
        if found is not None:
            found.add(path, member)

    def found(self) -> list[_Found]:
        """The largest first."""
        return sorted(self._found.values(), key=lambda found: (-found.bytes, found.path))


def _folders_above(path: str) -> Iterable[str]:
    """The folders above a path, without the root, the outermost first."""
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)


def _listed(found: list[_Found]) -> str:
    shown = ", ".join(str(one) for one in found[:_SHOWN_PLACES])
    more = len(found) - _SHOWN_PLACES
    return f"{shown} and {more} more" if more > 0 else shown
