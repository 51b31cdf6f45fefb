"""An archive of masks, read as hostile data: one file for each case is taken out of it, under a name of ours.

A zip, or a tar that may be compressed with gzip, xz or zstd, laid out as /output is: a file `<case>` for each case, at
the top or all of them in one folder. What machines put beside them (`__MACOSX`, `.DS_Store`) is passed over, and so
are notes. Links are not followed, and no name of the archive becomes a path here.

What is wrong with one file is a `Problem` of its case, and all of them are found in one go; an archive that cannot be
read on is `MasksRejected`. This takes memory as the archive wants it (zipfile reads a whole directory), so it is done
in a child process with limits: `mask_child`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from containers.intake.errors import quoted
from containers.intake.mask_members import DAMAGE, DiskFailed, MasksRejected, Member, in_words, members, too_much
from containers.intake.upload_archive import IMAGE_FILES
from containers.protocol.sizes import decimal_size

T = TypeVar("T")

MAX_SHOWN: Final = 5
MAX_PROBLEM_CHARACTERS: Final = 400
MAX_NAME_CHARACTERS: Final = 4096
_MASK_ENDINGS: Final = (".nii", ".nii.gz", ".nii.gz.gz", ".nrrd", ".mha", ".npy", ".npz", ".hdr", ".img")


@dataclass(frozen=True)
class Problem:
    """What is wrong with the mask of a case, or, without a case, with the archive."""

    case: str
    text: str


@dataclass
class Unpacked:
    """The masks that were found, by case, as files of the folder; and all that is wrong."""

    files: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def unpack(source: Path, folder: Path, largest: Mapping[str, int], *, max_bytes: int) -> Unpacked:
    """Take the mask of each case out of the archive at `source` into `folder`.

    `largest`: how many bytes a mask may have, by case; `max_bytes`: all of them together. Raises MasksRejected, and
    DiskFailed.
    """
    masks = _Masks(folder, largest, max_bytes)
    with source.open("rb") as file, in_words():
        for member in members(file, max_bytes=max_bytes):
            masks.take(member)
    return masks.result()


class _TooLarge(Exception):
    """A file is larger than any mask of its case."""


class _Masks:
    """What was found of each case so far."""

    def __init__(self, folder: Path, largest: Mapping[str, int], max_bytes: int) -> None:
        self._folder = folder
        self._largest = largest
        self._most = max_bytes
        self._left = max_bytes
        self._places: defaultdict[str, list[tuple[str, ...]]] = defaultdict(list)  # by case: the folders it lies in
        self._others: list[str] = []
        self._result = Unpacked()
        self._broken: set[str] = set()

    def take(self, member: Member) -> None:
        """Look at one member, and keep it if it is the mask of a case."""
        if member.is_junk or (member.is_folder and not member.leads_out):
            return
        if len(member.path) > MAX_NAME_CHARACTERS or "\0" in member.path or not member.parts:
            self._note("", f"{quoted(member.path)} is not the name of a file")
            return
        if member.leads_out:
            self._note("", f"{quoted(member.path)} leads out of the archive. Add the masks by their names alone")
            return
        *folders, name = member.parts
        if name not in self._largest:
            self._others.append(name)
            return
        self._places[name].append(tuple(folders))
        if member.odd:
            self._break(name, f"{quoted(member.path)} {member.odd}")
        elif len(self._places[name]) == 1:
            self._keep(name, member)

    def result(self) -> Unpacked:
        """The masks and all problems, when the last member was taken."""
        self._expect_one_folder()
        for name, places in self._places.items():
            if len(places) > 1:
                self._break(name, f"is {len(places)} times in the archive")
        self._tell_absent([name for name in self._largest if name not in self._places])
        for name in self._broken:
            self._result.files.pop(name, None)
        return self._result

    def _keep(self, name: str, member: Member) -> None:
        """Write the mask under a name of ours; what it is, whoever reads it says."""
        file = f"{len(self._places)}.nii"
        try:
            with _writing(self._folder / file) as write:
                for chunk in self._bounded(member, self._largest[name]):
                    write(chunk)
        except _TooLarge:
            most = decimal_size(self._largest[name])
            self._break(name, f"is larger than any mask of its shape can be ({most})")
        except NotImplementedError:
            self._break(name, "is compressed in a way that is not read here. Use deflate, as every zip program does")
        except DAMAGE:  # of one member of a zip; it is told beside the others
            self._break(name, "is damaged: it cannot be unpacked, or not to what its checksum says")
        else:
            self._result.files[name] = file

    def _bounded(self, member: Member, most: int) -> Iterator[bytes]:
        """What the member holds, up to `most` bytes, and together with the others to what all may have."""
        for chunk in member.read():
            most -= len(chunk)
            self._left -= len(chunk)
            if self._left < 0:
                raise too_much(self._most)
            if most < 0:
                raise _TooLarge
            yield chunk

    def _expect_one_folder(self) -> None:
        """All at the top, or all in one folder."""
        counts = Counter(place for places in self._places.values() for place in places if len(place) <= 1)
        root = counts.most_common(1)[0][0] if counts else ()
        for name, places in self._places.items():
            if len(places) == 1 and places[0] != root:
                either = "" if root else ", or all in one folder"
                self._break(name, f"lies {_in(places[0])}; the masks belong {_in(root)}{either}")

    def _tell_absent(self, absent: Sequence[str]) -> None:
        """Which cases have no mask, with the file that was probably meant, and which masks have no case."""
        by_stem = {_stem(name): name for name in reversed(self._others) if _is_a_mask(name) or "." not in name}
        meant = set()
        for case in absent:
            other = by_stem.get(_stem(case))
            if other is None:
                self._note(case, "no file of this name is in the archive")
            else:
                meant.add(other)
                self._note(case, f"no file of this name; {quoted(other)} is there: name it exactly like the case")
        strange = sorted(set(filter(_is_a_mask, self._others)) - meant)
        if strange:
            count = "1 file is" if len(strange) == 1 else f"{len(strange)} files are"
            first = ", ".join(quoted(name) for name in strange[:MAX_SHOWN])
            more = ", ..." if len(strange) > MAX_SHOWN else ""
            self._note("", f"{count} named like no case of this phase: {first}{more}")
        if not self._places and not IMAGE_FILES.isdisjoint(self._others):
            raise MasksRejected("This is the archive of an image, not of masks. Submit it as an image.")

    def _break(self, case: str, text: str) -> None:
        if case not in self._broken:  # the first thing that is wrong with a mask is enough
            self._broken.add(case)
            self._note(case, text)

    def _note(self, case: str, text: str) -> None:
        self._result.problems.append(Problem(case, text[:MAX_PROBLEM_CHARACTERS]))


@contextmanager
def _writing(path: Path) -> Iterator[Callable[[bytes], object]]:
    """A new file, as a function that writes to it. What fails in that is DiskFailed."""
    file = _or_disk_failed(lambda: path.open("xb"))
    try:
        yield lambda data: _or_disk_failed(lambda: file.write(data))
        _or_disk_failed(file.flush)
    finally:
        with suppress(OSError):
            file.close()


def _or_disk_failed(act: Callable[[], T]) -> T:
    try:
        return act()
    except OSError as error:
        raise DiskFailed(str(error)) from error


def _in(folders: Sequence[str]) -> str:
    return f"in the folder {quoted('/'.join(folders))}" if folders else "at the top of the archive"


def _is_a_mask(name: str) -> bool:
    return name.lower().endswith(_MASK_ENDINGS)


def _stem(name: str) -> str:
    """What is left of a name without case and endings."""
    return name.lower().split(".")[0].strip()
