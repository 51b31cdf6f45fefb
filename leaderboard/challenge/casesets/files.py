"""What lies in the folders of a delivery: what is wanted, what is left aside, and files that are something else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from leaderboard.challenge.casesets import problems
from leaderboard.challenge.casesets.problems import WHOLE_SET, Group, Report

_GZIP = b"\x1f\x8b"
_NIFTI_STARTS = (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c", b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c")
_LFS = b"version https://git-lfs.github.com/"
_PAGE = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|\?xml)", re.IGNORECASE)
_KNOWN = (
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard"),
    (b"NRRD", "an NRRD file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "an array of NumPy"),
    (b"%PDF", "a PDF"),
    (b"{", "a JSON text"),
)
_DICOM_AT = 128


class Folder:
    """A folder of a delivery: `what` is in it is named in words (image, mask)."""

    def __init__(self, what: str, path: Path) -> None:
        self.what, self.path = what, path
        self.is_there = path.is_dir()
        self.present = {one.name for one in path.iterdir()} if self.is_there else set()

    def look(self, report: Report, *, wanted: Iterable[str], known: Iterable[str]) -> None:
        """Say which wanted files are missing, or none, and what else is there.

        Files of the dataset's other splits, and what is no volume, stop nothing.
        """
        if not self.is_there:
            report.say(problems.MISSING, WHOLE_SET, f"the {self.what}s folder {self.path} does not exist")
            return
        for name in sorted(set(wanted)):
            self._look_for(report, name)
        for name in sorted(self.present - set(known)):
            self._look_at_stray(report, name, set(wanted))

    def _look_for(self, report: Report, name: str) -> None:
        if name not in self.present:
            instead = self._instead_of(name)
            report.say(*instead) if instead else report.say(
                problems.MISSING, name, f"has no {self.what} file in {self.path}"
            )
        elif not (self.path / name).is_file():
            broken = "a link to nothing" if (self.path / name).is_symlink() else "not a regular file"
            report.say(problems.MISSING, name, f"its {self.what} in {self.path} is {broken}")

    def _instead_of(self, name: str) -> tuple[Group, str, str] | None:
        plain = name.removesuffix(".gz")
        if plain in self.present:
            return problems.UNPACKED, name, f"its {self.what} is there as {plain}, which is not compressed"
        other = next((one for one in sorted(self.present) if one.casefold() == name.casefold()), None)
        if other:
            return problems.MISSING, name, f"its {self.what} is there as {other}: capital letters count"
        return None

    def _look_at_stray(self, report: Report, name: str, wanted: set[str]) -> None:
        path = self.path / name
        if path.is_dir():
            report.say(problems.SKIPPED, WHOLE_SET, f"the folder {name!r} in the {self.what}s folder")
        elif is_leftover(name) or not name.lower().endswith((".nii.gz", ".nii")):
            report.say(problems.SKIPPED, WHOLE_SET, f"{name!r} in the {self.what}s folder")
        elif f"{name}.gz" not in wanted and name.casefold() not in {one.casefold() for one in wanted}:
            report.say(problems.STRAY, WHOLE_SET, f"the {self.what}s folder holds {name!r}, of which there is no entry")


def is_leftover(name: str) -> bool:
    """Whether a system left this file behind: what is hidden, its name begins with “._” beside the real one, ..."""
    return name.startswith((".", "~", "__MACOSX")) or name.casefold() in ("thumbs.db", "desktop.ini")


def disguise_of(path: Path) -> tuple[Group, str] | None:
    """What a file is that should be a gzip-compressed NIfTI and by its first bytes is none; None where it may be."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        return problems.OTHER_FILE, f"cannot be read: {error.strerror or error}"
    if start.startswith(_GZIP):
        return None
    if not start:
        return problems.OTHER_FILE, "is empty"
    if start.startswith(_LFS):
        return problems.LFS, "is a Git LFS pointer, not the file that it points to"
    if _PAGE.match(start):
        return problems.WEB_PAGE, "is a web page"
    if start.startswith(_NIFTI_STARTS):
        return problems.UNPACKED, "is a .nii file that was renamed: it is not compressed"
    if start[_DICOM_AT : _DICOM_AT + 4] == b"DICM":
        return problems.OTHER_FILE, "is a DICOM file"
    for magic, words in _KNOWN:
        if start.startswith(magic):
            return problems.OTHER_FILE, f"is {words}"
    return problems.OTHER_FILE, "is not compressed with gzip"
