"""The challenge's dataset file, and from it the cases that can be scored.

All problems are collected and reported together: who prepares 300 files wants one list, not 300 attempts.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.categories import kind_of
from evaluation.errors import EvaluationError, InvalidMask
from evaluation.masks.nifti import Header, NiftiStream
from evaluation.masks.reading import reference_shape
from evaluation.masks.run_lengths import Shape, Spacing
from evaluation.metrics.cases import Case

MAX_PROBLEMS_SHOWN = 20
SPACING_TOLERANCE = 1e-3  # relative; a header stores single precision

Entry = dict[str, Any]


@dataclass(frozen=True)
class Dataset:
    """Cases in the order of the file, what a person should know about them, and the split of each case left out."""

    cases: tuple[Case, ...]
    warnings: tuple[str, ...]
    elsewhere: Mapping[str, str]


class _Notes:
    """What is conspicuous about single cases, told in one line for each kind."""

    def __init__(self) -> None:
        self._cases: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, case: str) -> None:
        self._cases[kind].append(case)

    def lines(self) -> list[str]:
        return [
            f"{kind}: {cases[0] if len(cases) == 1 else f'{len(cases)} cases, for example {cases[0]}'}"
            for kind, cases in self._cases.items()
        ]


def load_dataset(
    path: Path,
    split: str | None,
    gt_dir: Path,
    ct_dir: Path | None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Dataset:
    """The cases of a split with shape (from the reference) and spacing (from the CT or the entry).

    Without `split`, every split that has reference files in `gt_dir`. Raises `EvaluationError` with all problems.
    """
    splits = _read_splits(path)
    chosen, warnings = _select(splits, split, gt_dir)
    entries = [entry for name in chosen for entry in splits[name]]
    cases, problems, notes = [], [], _Notes()
    seen: set[str] = set()
    for done, entry in enumerate(entries):
        on_progress(done, len(entries))
        try:
            case = _case(entry, gt_dir, ct_dir, notes)
        except EvaluationError as error:
            problems.append(str(error))
            continue
        if case.name in seen:
            problems.append(f"{case.name}: listed twice")
        seen.add(case.name)
        cases.append(case)
    on_progress(len(entries), len(entries))
    if problems:
        raise EvaluationError(_listed(f"{path.name} and the reference files do not fit together:", problems))
    warnings += [*notes.lines(), *_spacing_warnings(cases), *_category_warnings(cases)]
    others = {str(entry.get("name")): name for name in splits if name not in chosen for entry in splits[name]}
    return Dataset(tuple(cases), tuple(warnings), {name: other for name, other in others.items() if name not in seen})


def _spacing_warnings(cases: list[Case]) -> list[str]:
    without = sum(case.spacing_mm is None for case in cases)
    warning = (
        f"{without} of {len(cases)} cases have no known voxel spacing, so their distance metrics are left out; "
        "give --ct_dir, or a `spacing` field in the dataset file"
    )
    return [warning] if without else []


def _category_warnings(cases: list[Case]) -> list[str]:
    categories = [case.categories.get(key) for case in cases for key in case.findings]
    others = sum(kind_of(category) is None for category in categories)
    return [f"{others} findings have no category 1x or 2x and are left out of the distance metrics"] if others else []


def _read_splits(path: Path) -> dict[str, list[Entry]]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise EvaluationError(f"{path} is not JSON") from None
    splits = {"": content} if isinstance(content, list) else content
    if not isinstance(splits, dict):
        raise EvaluationError(f'{path.name}: expected {{"<split>": [entry, ...]}}')
    found = {str(name): entries for name, entries in splits.items() if isinstance(entries, list)}
    if not all(isinstance(entry, dict) for entries in found.values() for entry in entries):
        raise EvaluationError(f"{path.name}: an entry is not an object")
    return found


def _select(splits: dict[str, list[Entry]], split: str | None, gt_dir: Path) -> tuple[list[str], list[str]]:
    """The names of the splits to score, and a warning for each that is not."""
    if split is not None:
        if split not in splits:
            raise EvaluationError(f"there is no split {split!r}; the dataset file has: {', '.join(splits) or 'none'}")
        if not splits[split]:
            raise EvaluationError(f"the split {split!r} has no cases")
        return [split], []
    chosen = [name for name, entries in splits.items() if any(_has_reference(entry, gt_dir) for entry in entries)]
    if not chosen:
        first = next((str(entry.get("name")) for entries in splits.values() for entry in entries), None)
        named = f", for example {first}" if first else ""
        raise EvaluationError(f"no case to score: {gt_dir} holds no reference file that the dataset file names{named}")
    return chosen, [f"no reference files for split {name!r}: left out" for name in splits if name not in chosen]


def _has_reference(entry: Entry, gt_dir: Path) -> bool:
    name = entry.get("name")
    return isinstance(name, str) and _is_file(gt_dir / name)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or that no file can have
        return False


def _case(entry: Entry, gt_dir: Path, ct_dir: Path | None, notes: _Notes) -> Case:
    name, findings, categories = entry.get("name"), entry.get("findings"), entry.get("categories") or {}
    if not isinstance(name, str) or not name:
        raise EvaluationError("an entry has no name")
    if not name.isprintable():
        raise EvaluationError(f"{name!r} is not a plain file name")
    if not isinstance(findings, dict) or not isinstance(categories, dict):
        raise EvaluationError(f"{name}: findings and categories must be objects")
    keys = sorted(findings, key=lambda key: (len(key), key))
    codes = {key: str(code) for key, code in categories.items() if key in findings and code is not None}
    Case(name, tuple(keys), codes, (1, 1, 1))  # refuses a name that would lead out of the folders below
    if not _is_file(gt_dir / name):
        raise EvaluationError(f"{name}: the reference file is missing")
    shape = _reference_shape(name, gt_dir)
    if int(keys[-1]) >= shape[0]:
        raise EvaluationError(f"{name}: the reference has {shape[0]} findings, the dataset file lists key {keys[-1]}")
    if shape[0] != len(keys):
        notes.add("only the listed findings are scored", f"{name} lists {len(keys)}, its reference has {shape[0]}")
    stated = entry.get("shape")
    if stated is not None and stated != list(shape[1:]):
        raise EvaluationError(f"{name}: the reference is {shape[1:]}, the dataset file states {stated}")
    return Case(name, tuple(keys), codes, shape[1:], _spacing(entry, name, shape[1:], ct_dir, notes))


def _spacing(
    entry: Entry, name: str, shape: tuple[int, int, int], ct_dir: Path | None, notes: _Notes
) -> Spacing | None:
    """Spacing in mm of H, W, D: of the CT where there is one, else of the entry."""
    field = entry.get("spacing")
    stated = None if field is None else _stated_spacing(name, field)
    if ct_dir is None:
        return stated
    path = ct_dir / name
    if not _is_file(path):
        notes.add(f"no CT volume in {ct_dir}", name)
        return stated
    header = _ct_header(name, path)
    if header.dims[:3] != shape or any(size != 1 for size in header.dims[3:]):
        raise EvaluationError(f"{name}: the CT volume is {header.dims}, the reference {shape}")
    measured = header.spacing_mm
    if measured is None:
        notes.add("the CT volume states no usable spacing", name)
        return stated
    if stated is not None and any(abs(a - b) > SPACING_TOLERANCE * a for a, b in zip(measured, stated, strict=False)):
        notes.add("the CT volume's spacing is used, not the dataset file's", f"{name}: {measured}, not {stated}")
    return measured


def _reference_shape(name: str, gt_dir: Path) -> Shape:
    try:
        return reference_shape(gt_dir / name)
    except InvalidMask as error:
        raise EvaluationError(f"{name}: the reference is unusable: {error}") from error


def _ct_header(name: str, path: Path) -> Header:
    try:
        with NiftiStream(path) as stream:
            return stream.header
    except InvalidMask as error:
        raise EvaluationError(f"{name}: the CT volume is unusable: {error}") from error


def _stated_spacing(name: str, field: object) -> Spacing:
    if isinstance(field, list) and len(field) == 3 and all(isinstance(size, int | float) for size in field):
        with suppress(OverflowError):
            return float(field[0]), float(field[1]), float(field[2])
    raise EvaluationError(f"{name}: spacing must be three numbers in mm, not {field!r}")


def _listed(title: str, problems: list[str]) -> str:
    more = len(problems) - MAX_PROBLEMS_SHOWN
    lines = [f"  {problem}" for problem in problems[:MAX_PROBLEMS_SHOWN]]
    return "\n".join([title, *lines, *([f"  ... and {more} more"] if more > 0 else [])])
