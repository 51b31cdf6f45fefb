"""The CT volumes of a run, wherever they lie below a folder: CT-RATE keeps each in `valid_1/valid_1_a/`.

Only headers are read. A volume gives nothing but the voxel spacing, so one that is missing or damaged costs the
distance metrics of its case and not the run.
"""

from __future__ import annotations

import math
import os
import struct
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from evaluation.command.names import near_misses
from evaluation.errors import EvaluationError
from evaluation.masks.nifti import Header, NiftiStream

MAX_ENTRIES = 1_000_000  # of a folder and all below it; CT-RATE has about 150,000
MAX_DEPTH = 8
MAX_OTHERS = 20_000  # that are compared with the names of those that are missing
TOLERANCE = 1e-3  # relative; a header stores single precision
_SFORM = {1: (254, "h", 280, "12f"), 2: (348, "i", 400, "12d")}  # by NIfTI version: where its code and its rows lie


@dataclass(frozen=True)
class Volume:
    """The CT of a case: its header, and what a person should know about the file."""

    header: Header
    remarks: tuple[str, ...]


class CTFolder:
    """Looks through a folder once, for files of certain names, each of a case, and of `more` names of these cases."""

    def __init__(self, folder: Path, names: Collection[str], more: Collection[str] = ()) -> None:
        self._found: defaultdict[str, list[Path]] = defaultdict(list)
        self._others: list[str] = []
        self.warnings: tuple[str, ...] = ()
        wanted = {*names, *more}
        for count, path in enumerate(_files(folder)):
            if count == MAX_ENTRIES:
                self.warnings = (f"--ct_dir: {folder} holds more than {MAX_ENTRIES} files; the rest was not looked at",)
                break
            if path.name in wanted:
                self._found[path.name].append(path)
            elif len(self._others) < MAX_OTHERS:
                self._others.append(path.name)
        self._missing = sorted(set(names) - self._found.keys())

    @cached_property
    def near(self) -> Mapping[str, str]:
        """The file that was probably meant, for names of which there is none."""
        return near_misses(self._missing, self._others)

    def volume(self, name: str) -> Volume | None:
        """The volume of this name, of several the one that lies highest; None if there is none.

        Raises `EvaluationError` if it is unusable.
        """
        paths = sorted(self._found.get(name, ()), key=lambda path: (len(path.parts), str(path)))
        if not paths:
            return None
        header = _header(paths[0])
        remarks = [] if len(paths) == 1 else list(_disagreements(paths, header))
        if (spacing := affine_spacing(header)) and not _are_close(spacing, header.pixdim[:3]):
            remarks.append("the CT volume's affine (sform) and its pixdim disagree about the spacing; pixdim is used")
        return Volume(header, tuple(remarks))


def affine_spacing(header: Header) -> tuple[float, float, float] | None:
    """The spacing by the affine that a header may hold besides `pixdim`, in the file's unit; None without one.

    That is the sform. The other one, the qform, takes its spacing from `pixdim`.
    """
    code_at, code_form, rows_at, rows_form = _SFORM[header.version]
    (code,) = struct.unpack_from(header.order + code_form, header.raw, code_at)
    if code <= 0:
        return None
    rows = struct.unpack_from(header.order + rows_form, header.raw, rows_at)
    sizes = [math.hypot(*rows[axis::4]) for axis in range(3)]
    return sizes[0], sizes[1], sizes[2]


def _files(folder: Path) -> Iterator[Path]:
    """All files below, each folder once even where links lead in circles."""
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        try:
            known = Path(place).stat()
        except OSError:
            known = None
        if known is None or (known.st_dev, known.st_ino) in seen:
            folders.clear()
            continue
        seen.add((known.st_dev, known.st_ino))
        folders.sort()
        inside = Path(place)
        if len(inside.relative_to(folder).parts) >= MAX_DEPTH:
            folders.clear()
        yield from (inside / name for name in sorted(files))


def _header(path: Path) -> Header:
    with NiftiStream(path) as stream:
        return stream.header


def _disagreements(paths: list[Path], used: Header) -> Iterator[str]:
    for path in paths[1:]:
        try:
            other = _header(path)
        except EvaluationError:
            continue
        if other.dims != used.dims or not _are_close(other.pixdim[:3], used.pixdim[:3]):
            yield f"several CT volumes of one name differ in shape or spacing; {paths[0]} is used, not {path}"
            return
        if path.stat().st_size != paths[0].stat().st_size:
            yield f"several CT volumes of one name differ; {paths[0]} is used, not {path}"
            return


def _are_close(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(abs(abs(a) - abs(b)) <= TOLERANCE * max(abs(a), abs(b)) for a, b in pairs)
