"""What an archive of weights unpacks to, in names only: folders, files, and links that stay inside.

Names are what GPU hosts make files of, and links are what a program follows: both are settled here, once, in the way in
which the kernel would follow them. Memory and time are bounded against names that are long and deep, and against links
that lead through other links.
"""

from collections import Counter
from typing import Final, NoReturn

from containers.intake import tar
from containers.intake.errors import ImageRejected, ImageRejectionCode, quoted
from containers.intake.tree import Lost, StepLimit, folders_above

PACK_AGAIN: Final = "Pack the files of your model with: tar -czf weights.tar.gz -C FOLDER ."
_NAME_BYTES: Final = 255
_PATH_BYTES: Final = 1024
_DEPTH: Final = 32
_LINK_HOPS: Final = 40  # as in the kernel
_NAMES: Final = 1_000  # of a file; ext4 takes 65,000, and what a host cannot unpack would pass for a fault of ours
_STEPS: Final = 2_000_000
_SET_ID: Final = 0o6000
_WHITEOUT: Final = ".wh."
_KINDS: Final = {"device": "a device", "fifo": "a pipe"}


class WeightsTree:
    """`add` each member, then `finish`. entry_limit: counts folders that no member names, too.

    folders, and by path: files; names, other ones of a file (hard links), with the first; links, with their targets.
    """

    def __init__(self, entry_limit: tar.EntryLimit) -> None:
        self.folders: set[str] = set()
        self.files: dict[str, tar.Member] = {}
        self.names: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self._entry_limit = entry_limit
        self._seen: set[str] = set()
        self._names_of: Counter[str] = Counter()
        self._steps = StepLimit(_STEPS)

    def add(self, member: tar.Member) -> None:
        """Take one member. Raises ImageRejected."""
        path = _path(member.name)
        if path in self._seen:
            _refuse("weights_ambiguous", f"{quoted(path or '/')} is in it twice")
        self._seen.add(path)
        if member.kind in _KINDS:
            _unsafe(f"{quoted(path)} is {_KINDS[member.kind]}, not a file")
        if member.kind == "folder":
            self._add_folder(path)
            return
        if not path:
            _unsafe("its root is not a folder")
        if member.kind == "file":
            self.files[path] = member
        elif member.kind == "symlink":
            self.links[path] = _target(member.target, path)
        else:
            self.names[path] = self._first_name(member.target, path)
        if member.kind != "symlink" and member.mode & _SET_ID:
            _unsafe(f"{quoted(path)} is a program that would run as its owner (a set-id bit)")

    def finish(self) -> None:
        """To be called after the last member. Raises ImageRejected."""
        if not self.files:
            raise ImageRejected("weights_empty", f"The archive of weights holds no file. {PACK_AGAIN}")
        for path in (*self.files, *self.names, *self.links):
            for folder in folders_above(path):
                self._add_folder(folder)
        for path in self.folders:
            if path in self.files or path in self.names or path in self.links:
                _refuse("weights_not_unpackable", f"something lies below {quoted(path)}, which is no folder")
        for path in self.links:
            try:
                self._follow(path)
            except Lost:
                _unsafe_link(f"{quoted(path)} leads through too many others")

    def _add_folder(self, path: str) -> None:
        for folder in (*folders_above(path), path):
            if folder and folder not in self.folders:
                if folder not in self._seen:
                    self._entry_limit.count()
                self.folders.add(folder)

    def _first_name(self, target: str, path: str) -> str:
        """Of what a hard link is another name: a file that came before."""
        first = _path(target)
        first = self.names.get(first, first)
        if first not in self.files:
            _unsafe_link(f"{quoted(path)} is a hard link to {quoted(target)}, which is no file before it")
        self._names_of[first] += 1
        if self._names_of[first] > _NAMES:
            _refuse("weights_not_unpackable", f"{quoted(first)} has more than {_NAMES:,} hard links")
        return first

    def _follow(self, path: str) -> None:
        """Refuses a link that does not end at something of the archive."""
        here, hops = path.split("/")[:-1], 1
        waiting = _steps(self.links[path])
        while waiting:
            self._steps.count()
            step = waiting.pop()
            if step == "..":
                if not here:
                    _unsafe_link(f"{quoted(path)} leads out of it")
                here.pop()
                continue
            place = "/".join((*here, step))
            if place in self.links:
                hops += 1
                if hops > _LINK_HOPS:
                    _unsafe_link(f"{quoted(path)} goes in circles")
                waiting.extend(_steps(self.links[place]))
            elif place in self.folders:
                here.append(step)
            elif waiting or not (place in self.files or place in self.names):
                _unsafe_link(f"{quoted(path)} leads to nothing that is in it")


def _path(name: str) -> str:
    """A member's name as a path below the folder, without a slash before it; empty for the folder itself."""
    if name.startswith("/"):
        _unsafe(f"{quoted(name)} begins at the root of a system")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    for part in parts:
        if part == "..":
            _unsafe(f"{quoted(name)} leads out of its folder (“..”)")
        if part.startswith(_WHITEOUT):
            _unsafe(f"{quoted(name)} is the mark by which layers of images delete a file")
        if not part.isprintable():
            _unsafe(f"{quoted(name)} has letters that are not UTF-8 or cannot be printed")
        if len(part.encode()) > _NAME_BYTES:
            _refuse("weights_not_unpackable", f"the name {quoted(part)} is longer than {_NAME_BYTES} bytes")
    path = "/".join(parts)
    if len(path.encode()) > _PATH_BYTES or len(parts) > _DEPTH:
        _refuse(
            "weights_not_unpackable",
            f"{quoted(path)} is longer than {_PATH_BYTES} bytes or deeper than {_DEPTH} folders",
        )
    return path


def _target(target: str, path: str) -> str:
    if target.startswith("/"):
        _unsafe_link(f"{quoted(path)} leads to {quoted(target)}: a link has to be relative")
    if not target or not target.isprintable() or len(target.encode()) > _PATH_BYTES:
        _unsafe_link(f"{quoted(path)} has an empty, endless or unreadable target")
    return target


def _steps(target: str) -> list[str]:
    """The steps of a link's target, the last one first."""
    return [step for step in reversed(target.split("/")) if step not in ("", ".")]


def _unsafe(why: str) -> NoReturn:
    _refuse("weights_unsafe_member", why)


def _unsafe_link(why: str) -> NoReturn:
    raise ImageRejected(
        "weights_unsafe_link",
        f"The archive of weights cannot be used: {why}. Links stay inside; pack what they lead to (tar -h does).",
    )


def _refuse(code: ImageRejectionCode, why: str) -> NoReturn:
    raise ImageRejected(code, f"The archive of weights cannot be used: {why}. {PACK_AGAIN}")
