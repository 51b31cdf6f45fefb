"""The modes of a layer's files: what only its owner may use is opened for the user that containers run as.

That user is a stranger to every image: one number for each slot of a host is a wall between teams. But teams build
homes of mode 0700, and scripts and weights of 0600. So, while the archive is rebuilt, others get the bits for reading
and searching (executing) that the owner has; and, where the image runs as root, those that root does not need. No bit
for writing is added, and none is taken away.

Not opened is what a system keeps from its users (/etc/shadow and the like), but for what the configuration names
there (`named`), each with its parent folders. What it names is known for certain when the last layer was read, by then
too late: so an image of which something named stayed closed is read a second time (`archive`).
"""

from collections.abc import Iterable
from typing import Any, Final

from containers.intake import tar
from containers.intake.closed_files import ClosedFiles, listed
from containers.intake.layer_filesystem import SYSTEM_PLACES, Place

_READ_AND_SEARCH: Final = 0o5
_READ: Final = 0o4
_SEARCH: Final = 0o1
_ANY_EXECUTE: Final = 0o111
_WORTH_A_WARNING_BYTES: Final = 1 << 20
_END: Final = ""  # no name


class ModeOpener:
    """Decides on the mode of each entry of an image's layers, and keeps what there is to say about it.

    named: places that are opened wherever they lie (paths from the root, without a slash before); a whole place of the
    system never is. as_root: whether the image's own user is root.
    """

    def __init__(self, named: Iterable[str], *, as_root: bool) -> None:
        self._as_root = as_root
        self._named = _Paths(named)
        self._opened = ClosedFiles()
        self._closed = ClosedFiles()

    def mode(self, member: tar.Member, place: Place) -> int:
        """The mode that an entry is to have; its own where nothing has to be opened."""
        if member.kind not in ("file", "folder", "hardlink"):
            return member.mode
        missing = self._missing(member)
        if place.of_system and not self._named.need(place.path, member.kind):
            self._closed.add(place.path, member, is_closed=bool(missing))
            return member.mode
        self._opened.add(place.path, member, is_closed=bool(missing))
        return member.mode | missing

    def has_closed(self, paths: Iterable[str]) -> bool:
        """Whether something at, below or above these paths stayed closed that would be opened if they were named."""
        return self._closed.touch({*paths} - SYSTEM_PLACES - {""})

    def warnings(self) -> list[str]:
        """Sentences for the team: what was opened, and what of some size nobody will be able to read even so."""
        opened = [place for place in self._opened.largest_first() if place.is_noteworthy]
        closed = [place for place in self._closed.largest_first() if place.bytes >= _WORTH_A_WARNING_BYTES]
        warnings = []
        if opened:
            warnings.append(
                "Some files could be read by their owner only; they were opened for the user that the server runs "
                f"containers as, by read and search bits for others: {listed(opened)}."
            )
        if closed:
            warnings.append(
                "Some files can be read by their owner only, in places where nothing is opened, so not by the user "
                f"that the server runs containers as: {listed(closed)}. Store them elsewhere, or add RUN "
                "chmod -R a+rX for them to the Dockerfile."
            )
        return warnings

    def _missing(self, member: tar.Member) -> int:
        """The bits that others lack and the image's own user does not."""
        bits = member.mode >> 6 & _READ_AND_SEARCH
        if self._as_root:
            bits |= _READ
            if member.kind == "folder" or member.mode & _ANY_EXECUTE:
                bits |= _SEARCH
        return bits & ~member.mode


class _Paths:
    """Named places, as a tree of their names: far less than all folders above them, where paths are made to be deep."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._tree: dict[str, Any] = {}
        for path in paths:
            if path and path not in SYSTEM_PLACES:
                node = self._tree
                for name in path.split("/"):
                    node = node.setdefault(name, {})
                node[_END] = {}

    def need(self, path: str, kind: tar.Kind) -> bool:
        """Whether a path is one of them, or lies below one, or is a folder above one."""
        node = self._tree
        for name in path.split("/"):
            if _END in node:
                return True
            if name not in node:
                return False
            node = node[name]
        return _END in node or kind == "folder"
