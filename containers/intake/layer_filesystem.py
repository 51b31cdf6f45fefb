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
from dataclasses import dataclass
from typing import Final, NoReturn

from containers.intake import tar
from containers.intake.errors import BUILD_AGAIN, ImageRejected, quoted
from containers.intake.executables import foreign_format
from containers.intake.tree import OPAQUE, File, Folder, InCircles, Leaf, Lost, Node, StepLimit, Walk
from containers.protocol import contract


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry comes to lie: its path from the root, links followed, without a slash before it.

    of_system: whether that is a place of the system; of a second name of a file (a hard link), whether its first is.
    """

    path: str
    of_system: bool


#: Folders of the root folder that hold what a system keeps from its users.
SYSTEM_PLACES: Final = frozenset({"boot", "dev", "etc", "proc", "run", "sys", "var"})
#: How much of a file `LayerFilesystem` wants to see: as much as the kernel reads of a script's first line.
BEGINNING_BYTES: Final = 256

_NAME_BYTES: Final = 255
_PATH_BYTES: Final = 4095
_TEXT_BYTES: Final = 128 << 20  # of all names and targets of an image; 300,000 files of a real one have 10 MB
_DEPTH: Final = _PATH_BYTES // 2 + 1  # folders in a path that a program could still name
_STEPS: Final = 50_000_000
_SCRIPTS: Final = 10_000  # first lines that are kept; a real image has a few hundred
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_USERS: Final = ("passwd", "group")
_LARGEST_ID: Final = 2**32 - 2  # one more is "no change" to the kernel
_ATTRIBUTE_BYTES: Final = 2048  # a file's attributes have to fit into one block; real ones have 20 to 500
_OVERLAY_ATTRIBUTES: Final = (b"trusted.", b"user.overlay.")


class TextLimit:
    """Counts the text of an image's names and links, which stays in memory until its last layer is read."""

    def __init__(self) -> None:
        self._bytes = 0

    def allows(self, text: str) -> bool:
        """Whether so much more is still allowed."""
        self._bytes += len(text) if text.isascii() else 4 * len(text)
        return self._bytes <= _TEXT_BYTES


class LayerFilesystem:
    """One layer's entries in turn: `add` each, then `finish`. entry_limit: counts folders that no entry names, too.

    text_limit: the one of all layers of an image.

    root: what the layer holds, as far as it was added.
    """

    def __init__(self, entry_limit: tar.EntryLimit, what: str, text_limit: TextLimit | None = None) -> None:
        self.root: Folder = {}
        self._text_limit = text_limit or TextLimit()
        self._entry_limit = entry_limit
        self._what = what
        self._names: set[int] = set()
        self._files: dict[File, File] = {}
        self._steps = StepLimit(_STEPS)
        # Entries of one folder usually follow each other.
        self._latest: tuple[str, Walk] | None = None

    def add(self, member: tar.Member, beginning: bytes = b"") -> Place | None:
        """Unpacks one entry, and returns where; None for the mark that something is deleted.

        beginning: the first BEGINNING_BYTES of a file. Raises ImageRejected where the engine would fail.
        """
        self._check_attributes(member)
        path = self._inside(member.name)
        self._expect_new(posixpath.normpath(member.name), path)
        if not path:
            if member.kind != "folder" and member.name.startswith("/"):  # the engine passes over any "."
                self._refuse(f"{quoted(member.name)} takes the place of its root folder")
            return Place("", of_system=False)
        parent, _, name = path.rpartition("/")
        walk = self._parent(parent, path)
        folder = walk.here
        if name.startswith(_WHITEOUT):
            self._white_out(folder, name, path)
            return None
        real_path = walk.path(name)
        place = Place(real_path, is_of_system(real_path))
        before = folder.get(name)
        if isinstance(before, dict) and member.kind == "folder":
            return place
        if before is not None:  # a folder or a link, through which the latest folder may have been found
            self._latest = None
        folder.pop(name, None)
        folder[name] = node = self._node(member, path, place, beginning)
        return Place(real_path, node.of_system) if isinstance(node, File) else place

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

    def _node(self, member: tar.Member, path: str, place: Place, beginning: bytes) -> Node:
        if member.kind == "folder":
            return {}
        if member.kind == "symlink":
            if not member.target or len(os.fsencode(member.target)) > _PATH_BYTES:
                self._refuse(f"the link {quoted(path)} has an empty or endless target")
            self._count_text(member.target)
            return member.target
        if member.kind == "hardlink":
            return self._linked(member.target, path)
        if member.kind != "file":
            return Leaf.SPECIAL
        executable = bool(member.mode & 0o111)
        foreign = foreign_format(beginning) if executable else ""
        script = _script(beginning) if len(self._files) < _SCRIPTS else b""
        file = File(executable, script, place.of_system, foreign)
        return self._files.setdefault(file, file)

    def _linked(self, target: str, path: str) -> Node:
        """What a hard link is another name of: it must be there already, and no folder."""
        parent, _, name = self._inside(target).rpartition("/")
        walk = self._begin()
        self._enter(walk, parent, path)
        folder = walk.here
        if not name or name not in folder or isinstance(folder[name], dict):
            self._refuse(f"{quoted(path)} is a hard link to {quoted(target)}, which is no file of the same layer")
        return folder[name]

    def _white_out(self, folder: Folder, name: str, path: str) -> None:
        """A mark that something of a lower layer is deleted."""
        if name == _OPAQUE:
            folder[OPAQUE] = Leaf.DELETED
            return
        deleted = name.removeprefix(_WHITEOUT)
        if deleted in ("", ".", "..") or deleted in folder:
            self._refuse(f"{quoted(path)} deletes what the layer itself holds, or nothing")
        folder[deleted] = Leaf.DELETED

    # --- What an engine does with an image before anything of it runs -----------------------------------------

    def _check_engine_files(self) -> None:
        """Refuses what no engine should open."""
        etc = self.root.get("etc", Leaf.DELETED)
        if isinstance(etc, dict):
            for name in _USERS:
                found = etc.get(name, Leaf.DELETED)
                if found is not Leaf.DELETED and not isinstance(found, File):
                    self._refuse_opening(f"/etc/{name}")
            self._expect_no_special(etc, "/etc")
        elif etc is not Leaf.DELETED:
            self._refuse_opening("/etc")

    def _expect_no_special(self, folder: Folder, path: str) -> None:
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
            if isinstance(self.root.get(path.lstrip("/")), str):
                raise ImageRejected(
                    "reserved_path",
                    f"{self._what} holds {path} as a link, but the server mounts a folder of its own there. Build the "
                    "image without this link.",
                )
        if self.root.get(contract.SUPPORT_DIR.lstrip("/"), Leaf.DELETED) is not Leaf.DELETED:
            raise ImageRejected(
                "reserved_path",
                f"{self._what} holds {contract.SUPPORT_DIR}, where the server mounts files of its own. Build the image "
                "without it.",
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

    def _parent(self, parent: str, path: str) -> Walk:
        """The way to the folder of an entry, made where folders are missing."""
        if self._latest is None or self._latest[0] != parent:
            walk = self._begin()
            for name in parent.split("/") if parent else ():
                if name not in walk.here:
                    self._entry_limit.count()
                    self._check_name(name)
                    walk.here[name] = {}
                self._enter(walk, name, path)
            self._latest = parent, walk
        self._check_name(path[len(parent) :].lstrip("/"))
        return self._latest[1]

    def _begin(self) -> Walk:
        return Walk(self.root, self._steps)

    def _enter(self, walk: Walk, folder: str, path: str) -> None:
        """Go on to a folder, on the way to an entry or a hard link's target. path: the entry's, for a refusal."""
        try:
            found = walk.follow(folder)
        except InCircles:
            self._refuse(f"{quoted(path)} lies below a link that goes in circles, or through very many")
        except Lost as lost:
            self._refuse(lost.args[0])
        if not isinstance(found, dict):
            self._refuse(f"{quoted(path)} lies below {quoted(walk.name)}, which is no folder")
        if len(walk.folders) > _DEPTH:
            self._refuse("its folders and links lie too deep in one another")

    def _check_name(self, name: str) -> None:
        if len(os.fsencode(name)) > _NAME_BYTES:
            self._refuse(f"the name {quoted(name)} is longer than {_NAME_BYTES} bytes")
        self._count_text(name)

    def _count_text(self, text: str) -> None:
        """Counts text that stays in memory."""
        if not self._text_limit.allows(text):
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
            f"{self._what} cannot be unpacked: {why}. {BUILD_AGAIN}",
        )


def is_of_system(path: str) -> bool:
    """Whether a path (from the root, without a slash before it) lies in a place of the system."""
    return path.partition("/")[0] in SYSTEM_PLACES


def _script(beginning: bytes) -> bytes:
    line, end, _ = beginning.partition(b"\n")
    is_text = line.isascii() and b"\0" not in line
    return line + end if is_text and (line.startswith(b"#!") or (end and line.endswith(b"\r"))) else b""
