"""The files that a layer unpacks to: what the engine could not unpack is refused here, before anything is stored.

The engine unpacks each layer by itself, into an empty folder beyond which it sees nothing (overlay2). So names, kinds
and link targets decide, in the order in which they come, whether it can: this repeats its steps with nothing but names.
It refuses only what fails on every such engine. What depends on an engine's kernel, file system or storage driver is
left to the engine, whose refusal then reads the same, only later (containers.sandbox.images).

An engine also opens a few files of an image itself, as root on the host and before anything runs: /etc/passwd and
/etc/group for the container's user, a GPU runtime the linker's settings in /etc. A pipe in their place makes it wait
for ever (20.10 does), a device node is opened for real. So what is in /etc is files, folders and links, and these two
are files.

Memory and time are bounded against layers made to waste them: long names, folders that spring up by the thousand
below one entry, links that lead through other links.
"""

import os
import posixpath
from enum import Enum, auto
from typing import Final, NoReturn

from containers.intake import tar
from containers.intake.errors import ImageRejected, quoted
from containers.protocol import contract


class Leaf(Enum):
    """What is neither a folder nor a symbolic link."""

    FILE = auto()
    SPECIAL = auto()  # a pipe or a device
    DELETED = auto()  # the mark that a lower layer's is no more


#: A folder by its names, the target of a symbolic link, or a leaf.
Node = dict[str, "Node"] | str | Leaf

_NAME_BYTES: Final = 255
_PATH_BYTES: Final = 4095
_LINK_HOPS: Final = 40  # as in the kernel
_TEXT_CHARACTERS: Final = 64 << 20  # of all names and targets in a layer; 300,000 files of a real image have 10 MB
_STEPS: Final = 50_000_000
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_USERS: Final = ("passwd", "group")
_LARGEST_ID: Final = 2**32 - 2  # one more is "no change" to the kernel
_ATTRIBUTE_BYTES: Final = 2048  # a file's attributes have to fit into one block; real ones have 20 to 500
_OVERLAY_ATTRIBUTES: Final = (b"trusted.", b"user.overlay.")


class LayerFilesystem:
    """One layer's entries in turn: `add` each, then `finish`. entry_limit: counts folders that no entry names, too."""

    def __init__(self, entry_limit: tar.EntryLimit, what: str) -> None:
        self._entry_limit = entry_limit
        self._what = what
        self._root: dict[str, Node] = {}
        self._names: set[int] = set()
        self._text = 0
        self._steps = 0
        # Entries of one folder usually follow each other.
        self._latest: tuple[str, dict[str, Node]] | None = None

    def add(self, member: tar.Member) -> None:
        """Unpacks one entry. Raises ImageRejected where the engine would fail."""
        self._check_attributes(member)
        path = self._inside(member.name)
        self._expect_new(posixpath.normpath(member.name), path)
        if not path:
            if member.kind != "folder" and member.name.startswith("/"):  # the engine passes over any "."
                self._refuse(f"{quoted(member.name)} takes the place of its root folder")
            return
        parent, _, name = path.rpartition("/")
        folder = self._parent(parent, path)
        if name.startswith(_WHITEOUT):
            self._white_out(folder, name, path)
            return
        before = folder.get(name)
        if isinstance(before, dict) and member.kind == "folder":
            return
        if before is not None:  # a folder or a link, through which the latest folder may have been found
            self._latest = None
        folder.pop(name, None)
        folder[name] = self._node(member, path)

    def finish(self) -> None:
        """To be called after the last entry. Raises ImageRejected for what an engine must not open or mount over."""
        self._check_engine_files()
        self._check_mount_points()

    def _expect_new(self, name: str, path: str) -> None:
        """Engines write an index of each layer that holds every name once; the hash takes less memory."""
        key = hash(name)
        if key in self._names:
            self._refuse(f"it holds {quoted(path or '/')} twice")
        self._names.add(key)

    def _node(self, member: tar.Member, path: str) -> Node:
        if member.kind == "folder":
            return {}
        if member.kind == "symlink":
            if not member.target or len(os.fsencode(member.target)) > _PATH_BYTES:
                self._refuse(f"the link {quoted(path)} has an empty or endless target")
            self._count_text(member.target)
            return member.target
        if member.kind == "hardlink":
            return self._linked(member.target, path)
        return Leaf.FILE if member.kind == "file" else Leaf.SPECIAL

    def _linked(self, target: str, path: str) -> Node:
        """What a hard link is another name of: it must be there already, and no folder."""
        parent, _, name = self._inside(target).rpartition("/")
        stack = self._walk([self._root], parent.split("/") if parent else [], path, hops=0, create=False)
        if not name or name not in stack[-1] or isinstance(stack[-1][name], dict):
            self._refuse(f"{quoted(path)} is a hard link to {quoted(target)}, which is no file of the same layer")
        return stack[-1][name]

    def _white_out(self, folder: dict[str, Node], name: str, path: str) -> None:
        """A mark that something of a lower layer is deleted."""
        if name == _OPAQUE:
            return
        deleted = name.removeprefix(_WHITEOUT)
        if deleted in ("", ".", "..") or deleted in folder:
            self._refuse(f"{quoted(path)} deletes what the layer itself holds, or nothing")
        folder[deleted] = Leaf.DELETED

    # --- What an engine does with an image before anything of it runs -----------------------------------------

    def _check_engine_files(self) -> None:
        """Refuses what no engine should open."""
        etc = self._root.get("etc", Leaf.DELETED)
        if isinstance(etc, dict):
            for name in _USERS:
                if etc.get(name, Leaf.FILE) not in (Leaf.FILE, Leaf.DELETED):
                    self._refuse_opening(f"/etc/{name}")
            self._expect_no_special(etc, "/etc")
        elif etc is not Leaf.DELETED:
            self._refuse_opening("/etc")

    def _expect_no_special(self, folder: dict[str, Node], path: str) -> None:
        waiting = [(folder, path)]
        while waiting:
            folder, path = waiting.pop()
            for name, node in folder.items():
                if node is Leaf.SPECIAL:
                    self._refuse_opening(f"{path}/{name}")
                if isinstance(node, dict):
                    waiting.append((node, f"{path}/{name}"))

    def _refuse_opening(self, path: str) -> NoReturn:
        raise ImageRejected(
            "unsafe_file",
            f"{self._what} puts something else than a regular file or folder at {quoted(path)}, which engines open by "
            "themselves. Correct this in the Dockerfile and build the image again.",
        )

    def _check_mount_points(self) -> None:
        """Refuses a link in the place of a folder that the server mounts: engines mount at the link's target.

        Over /etc, /proc or /dev, say, no container starts, and it would look like a fault of the host.
        """
        for path in (contract.INPUT_DIR, contract.OUTPUT_DIR, contract.SCRATCH_DIR):
            if isinstance(self._root.get(path.lstrip("/")), str):
                raise ImageRejected(
                    "reserved_path",
                    f"{self._what} holds {path} as a link, but the server mounts a folder of its own there. Build the "
                    "image without this link.",
                )

    # --- Paths ----------------------------------------------------------------------------------------------

    def _inside(self, name: str) -> str:
        """A name as a path from the layer's root, without "." and ".."."""
        path = posixpath.normpath(name)
        if path == ".." or path.startswith("../"):
            self._refuse(f"{quoted(name)} leads out of it")
        path = path.lstrip("/")
        if len(os.fsencode(path)) > _PATH_BYTES:
            self._refuse(f"the path {quoted(path)} is longer than {_PATH_BYTES} bytes")
        return "" if path == "." else path

    def _parent(self, parent: str, path: str) -> dict[str, Node]:
        """The folder of an entry, made where it is missing."""
        if self._latest is None or self._latest[0] != parent:
            names = parent.split("/") if parent else []
            self._latest = parent, self._walk([self._root], names, path, hops=0, create=True)[-1]
        self._check_name(path[len(parent) :].lstrip("/"))
        return self._latest[1]

    def _walk(
        self, stack: list[dict[str, Node]], names: list[str], path: str, *, hops: int, create: bool
    ) -> list[dict[str, Node]]:
        """The folders down to the last of `names`, seen from the last of `stack`, through symbolic links."""
        for name in names:
            self._steps += 1
            if self._steps > _STEPS:
                self._refuse("its names and links are too entangled")
            if name in ("", "."):
                continue
            if name == "..":
                stack = stack[:-1] or stack
                continue
            folder = stack[-1]
            if name not in folder and create:
                self._entry_limit.count()
                self._check_name(name)
                folder[name] = {}
            found = folder.get(name)
            if isinstance(found, str):
                if hops >= _LINK_HOPS:
                    self._refuse(f"{quoted(path)} lies below a link that goes in circles")
                start = [self._root] if found.startswith("/") else stack
                stack = self._walk(start, found.split("/"), path, hops=hops + 1, create=False)
            elif isinstance(found, dict):
                stack = [*stack, found]
            else:
                self._refuse(f"{quoted(path)} lies below {quoted(name)}, which is no folder")
        return stack

    def _check_name(self, name: str) -> None:
        if len(os.fsencode(name)) > _NAME_BYTES:
            self._refuse(f"the name {quoted(name)} is longer than {_NAME_BYTES} bytes")
        self._count_text(name)

    def _count_text(self, text: str) -> None:
        """Counts text that stays in memory."""
        self._text += len(text)
        if self._text > _TEXT_CHARACTERS:
            self._refuse("its names are too long altogether")

    # --- What a file system cannot hold ---------------------------------------------------------------------

    def _check_attributes(self, member: tar.Member) -> None:
        if max(member.uid, member.gid) > _LARGEST_ID:
            self._refuse(f"{quoted(member.name)} belongs to a user or group that cannot exist")
        if any(not name or name.startswith(_OVERLAY_ATTRIBUTES) for name, _ in member.attributes):
            self._refuse(f"{quoted(member.name)} has an attribute by which the engine itself marks files")
        if sum(len(name) + len(value) for name, value in member.attributes) > _ATTRIBUTE_BYTES:
            self._refuse(f"{quoted(member.name)} has extended attributes of more than {_ATTRIBUTE_BYTES} bytes")

    def _refuse(self, why: str) -> NoReturn:
        raise ImageRejected(
            "not_unpackable",
            f"{self._what} cannot be unpacked: {why}. Build the image with docker build and save it again.",
        )
