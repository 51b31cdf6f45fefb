"""What the layers of an image make together, in names only: the file to which a path leads, where that is certain.

A container sees more than the image: folders that the server mounts, and files that a GPU runtime puts there. So there
are three answers to a path: what is there, that nothing is there, and that nobody can know.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from containers.intake.tree import OPAQUE, Folder, Leaf, Lost, Node, StepLimit, Walk
from containers.protocol import contract

_STEPS: Final = 200_000  # of all questions to one image together
_PLACES_CHARACTERS: Final = 256 << 10
# Folders over which the server mounts its own.
_MOUNTED: Final = (contract.INPUT_DIR, contract.OUTPUT_DIR, contract.SCRATCH_DIR)
_ENGINES_OWN: Final = ("dev", "proc", "sys")


class Unknown(Exception):
    """What a path leads to cannot be known from the image."""


class Hidden(Exception):
    """A path leads below a folder that the server mounts, `args[0]`."""


class ImageFilesystem:
    """The layers so far, merged as an engine's overlay shows them."""

    def __init__(self) -> None:
        self._root: Folder = {}
        self._is_certain = True
        self._limit = StepLimit(_STEPS)

    def merge(self, layer: Folder) -> None:
        """Put one more layer over those before. `layer` is only read."""
        waiting = [(self._root, layer)]
        while waiting:
            lower, upper = waiting.pop()
            if OPAQUE in upper:
                lower.clear()
            for name, node in upper.items():
                if name == OPAQUE:
                    continue
                if node is Leaf.DELETED:
                    lower.pop(name, None)
                elif isinstance(node, dict):
                    waiting.append((self._folder(lower, name), node))
                else:
                    lower[name] = node

    def find(self, path: str) -> Node | None:
        """What is at an absolute path, links followed; None where nothing is. Raises Unknown, Hidden."""
        if not self._is_certain:
            raise Unknown
        walk = Walk(self._root, self._limit)
        try:
            found = walk.follow(path)
        except Lost as lost:
            raise Unknown from lost
        for place in (*walk.links, walk.place):
            _expect_visible(place)
        return found

    def places(self, paths: Iterable[str]) -> dict[str, Node]:
        """Where absolute paths lead in the image, without a slash before, and what is there.

        A link on the way is a place, too: its target is what is there. What leads nowhere is passed over, and so is
        what lies beyond a bounded number of steps and characters.
        """
        found: dict[str, Node] = {}
        limit, text_left = StepLimit(_STEPS), _PLACES_CHARACTERS
        for path in paths:
            walk = Walk(self._root, limit)
            with suppress(Lost):
                node = walk.follow(path)
                if node is not None and walk.place not in found:
                    found |= {**walk.links, walk.place: node}
                    text_left -= sum(map(len, (*walk.links, walk.place)))
            if text_left < 0:
                break
        return found

    def _folder(self, lower: Folder, name: str) -> Folder:
        found = lower.get(name)
        if isinstance(found, dict):
            return found
        if isinstance(found, str):  # one storage driver puts a folder in the link's place, another follows the link
            self._is_certain = False
        folder: Folder = {}
        lower[name] = folder
        return folder


def hiding(place: str) -> str | None:
    """The folder of the server's that hides a place of the image (without a slash before it) in a container."""
    top, _, below = place.partition("/")
    return f"/{top}" if below and f"/{top}" in _MOUNTED else None


def _expect_visible(place: str) -> None:
    if place.partition("/")[0] in _ENGINES_OWN:
        raise Unknown
    if folder := hiding(place):
        raise Hidden(folder)
