"""An image's files in names only, and the one way in which a path leads through them: the kernel's.

Names are all that memory is spent on, so that a million files fit; where a path leads is the same question for one
layer, whose entries may lie below links of its own, and for all of them together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_LINK_HOPS: Final = 40  # as in the kernel


class Leaf(Enum):
    """What is neither a folder nor a symbolic link nor a file."""

    SPECIAL = auto()  # a pipe or a device
    DELETED = auto()  # the mark that a lower layer's is no more


@dataclass(frozen=True, slots=True)
class File:
    """What is kept of a regular file; files alike share one.

    script: its first line with the line end, where it begins with "#!" or ends with CR LF; else empty. foreign: of an
    executable one, in words, what it is that Linux on amd64 does not start; else empty.
    """

    executable: bool  # by anybody
    script: bytes
    of_system: bool  # it lies, by its first name, in a place of the system
    foreign: str = ""


#: What a folder holds, by name. The name OPAQUE marks a folder that hides a lower layer's.
Folder = dict[str, "Node"]
#: A folder, the target of a symbolic link, or a leaf.
Node = Folder | str | Leaf | File
OPAQUE: Final = ""


class Lost(Exception):
    """A path leads nowhere that could be said, for the reason `args[0]`."""


class InCircles(Lost):
    """A path leads through more links than the kernel follows."""


class StepLimit:
    """Counts the steps of all paths that are followed through a tree, which links can make many."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def count(self) -> None:
        """Count one more. Raises Lost."""
        self._left -= 1
        if self._left < 0:
            raise Lost("its names and links are too entangled")


class Walk:
    """The way of one path from the root on: links are followed, ".." of the root is the root.

    folders: those down to where the walk is, with their names. links: those that it followed, by their places. name:
    the latest step. place: where the latest `follow` ended, or where what it looked for would be.
    """

    def __init__(self, root: Folder, limit: StepLimit) -> None:
        self.folders: list[tuple[str, Folder]] = [("", root)]
        self.links: dict[str, str] = {}
        self.name = ""
        self.place = ""
        self._limit = limit
        self._hops = 0

    @property
    def here(self) -> Folder:
        """The folder where the walk is."""
        return self.folders[-1][1]

    def path(self, *more: str) -> str:
        """Where the walk is, and names below that, as a path from the root without a slash before it."""
        return "/".join([name for name, _ in self.folders[1:]] + [*more])

    def follow(self, path: str) -> Node | None:
        """Go on by a path. What is there, None for nothing; into a folder the walk has gone. Raises Lost."""
        waiting = _steps(path)
        while waiting:
            self._limit.count()
            self.name = waiting.pop()
            found = self.here.get(self.name)
            if self.name == "..":
                del self.folders[max(1, len(self.folders) - 1) :]
            elif isinstance(found, str):
                self._pass(found)
                waiting.extend(_steps(found))
            elif isinstance(found, dict):
                self.folders.append((self.name, found))
            else:
                self.place = self.path(self.name, *reversed(waiting))
                return None if waiting else found
        self.place = self.path()
        return self.here

    def _pass(self, target: str) -> None:
        self.links[self.path(self.name)] = target
        self._hops += 1
        if self._hops > _LINK_HOPS:
            raise InCircles("its links go in circles")
        if target.startswith("/"):
            del self.folders[1:]


def folders_above(path: str) -> Iterator[str]:
    """The folders above a path (without a slash before it), without the root, the outermost first."""
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)


def _steps(path: str) -> list[str]:
    """The names of a path, the last one first."""
    return [step for step in reversed(path.split("/")) if step not in ("", ".")]
