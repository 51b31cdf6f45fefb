"""What the layers of an image make together, in names only: the file to which a path leads, where that is certain.

A container sees more than the image: folders that the server mounts, and files that a GPU runtime puts there. So there
are three answers to a path: what is there, that nothing is there, and that nobody can know.
"""

from typing import Final

from containers.intake.layer_filesystem import OPAQUE, Leaf, Node
from containers.protocol import contract

_LINK_HOPS: Final = 40  # as in the kernel
_STEPS: Final = 200_000  # of all questions about one image together
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
        self._root: dict[str, Node] = {}
        self._is_certain = True
        self._steps_left = _STEPS

    def merge(self, layer: dict[str, Node]) -> None:
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
        stack = [self._root]
        waiting = _steps(path)
        trail: list[str] = []
        hops = 0
        while waiting:
            step = waiting.pop()
            self._steps_left -= 1
            if self._steps_left < 0:
                raise Unknown
            if step == "..":
                stack, trail = stack[:-1] or stack, trail[:-1]
                continue
            found = stack[-1].get(step)
            if isinstance(found, str):
                hops += 1
                if hops > _LINK_HOPS:
                    raise Unknown
                if found.startswith("/"):
                    stack, trail = stack[:1], []
                waiting.extend(_steps(found))
                continue
            _expect_visible([*trail, step], more=bool(waiting))
            if not isinstance(found, dict):
                return found if not waiting else None
            stack, trail = [*stack, found], [*trail, step]
        return stack[-1]

    def _folder(self, lower: dict[str, Node], name: str) -> dict[str, Node]:
        found = lower.get(name)
        if isinstance(found, dict):
            return found
        if isinstance(found, str):  # one storage driver puts a folder in the link's place, another follows the link
            self._is_certain = False
        folder: dict[str, Node] = {}
        lower[name] = folder
        return folder


def _steps(path: str) -> list[str]:
    """The names of a path, the last one first."""
    return [step for step in reversed(path.split("/")) if step not in ("", ".")]


def _expect_visible(trail: list[str], *, more: bool) -> None:
    if trail[0] in _ENGINES_OWN:
        raise Unknown
    if f"/{trail[0]}" in _MOUNTED and (more or len(trail) > 1):
        raise Hidden(f"/{trail[0]}")
