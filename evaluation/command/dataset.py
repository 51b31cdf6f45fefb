"""The challenge's dataset file, and from it the cases that can be scored.

All problems are collected and reported together: who prepares 300 files wants one list, not 300 attempts.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from evaluation.categories import kind_of
from evaluation.command.ct import CTFolder
from evaluation.command.json_file import JsonObject, read_json
from evaluation.command.names import files_below, near_misses
from evaluation.errors import EvaluationError, InvalidMask
from evaluation.masks.reading import reference_shape
from evaluation.masks.run_lengths import Shape, Spacing
from evaluation.metrics.cases import Case

MAX_PROBLEMS_SHOWN = 20
SPACING_TOLERANCE = 1e-3  # relative; a header stores single precision

EXPECTED = '{"<split>": [{"name": "case_0001.nii.gz", "findings": {"0": "..."}}, ...]}'
# Fields that give the name of a case's files, which is the same for its mask and its CT, in the order in which they are
# asked: first the one that the organisers' script takes. Of a path it is the last part.
NAME = "name"
PATHS = ("seg_path", "mask_path", "label_path", "image_path", "img_path", "ct_path", "file_name", "VolumeName")

Entry = JsonObject


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
    splits, notes = _read_splits(path), _Notes()
    chosen, warnings = _select(splits, split, gt_dir)
    for repeated in splits.repeated:
        notes.add("these splits stand in the dataset file more than once, and only the last of each counts", repeated)
    entries = [entry for name in chosen for entry in splits[name]]
    folders = _Folders(gt_dir, None if ct_dir is None else _volumes(ct_dir, entries), ct_dir)
    cases, problems = _cases(entries, folders, notes, on_progress)
    if problems:
        raise EvaluationError(_listed(f"{path.name} and the reference files do not fit together:", problems))
    found = list(cases.values())
    warnings += [*folders.warnings, *notes.lines(), *_spacing_warnings(found), *_category_warnings(found)]
    others = {name: other for other in splits if other not in chosen for e in splits[other] for name in _names(e)}
    return Dataset(tuple(found), tuple(warnings), {name: other for name, other in others.items() if name not in cases})


def _cases(
    entries: list[Entry], folders: _Folders, notes: _Notes, on_progress: Callable[[int, int], None]
) -> tuple[dict[str, Case], list[str]]:
    """The cases by their names, and what is wrong with the other entries."""
    cases: dict[str, Case] = {}
    problems: list[str] = []
    missing: dict[str, str] = {}  # by name, what is said of it
    for done, entry in enumerate(entries):
        on_progress(done, len(entries))
        try:
            case = _case(entry, folders, notes)
        except EvaluationError as error:
            problems.append(str(error))
            if isinstance(error, _MissingReference):
                missing[error.name] = str(error)
            continue
        if cases.setdefault(case.name, case) != case:
            problems.append(f"{case.name}: listed twice, with other findings, categories or spacing")
        elif cases[case.name] is not case:
            notes.add("these entries stand in the dataset file more than once, and are scored once", case.name)
    on_progress(len(entries), len(entries))
    meant = near_misses(missing, files_below(folders.references)) if missing else {}
    near = {missing[name]: f", but there is {file}" for name, file in meant.items() if file != name}
    return cases, [problem + near.get(problem, "") for problem in problems]


class _MissingReference(EvaluationError):
    """There is no file of this name in the folder of references."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True)
class _Folders:
    """Where references and CT volumes are."""

    references: Path
    volumes: CTFolder | None
    ct_dir: Path | None

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.volumes.warnings if self.volumes is not None else ()


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


def _read_splits(path: Path) -> JsonObject:
    """The entries of each split."""
    content = read_json(path, EXPECTED)
    splits = JsonObject({"": content}) if isinstance(content, list) else content
    if not isinstance(splits, JsonObject):
        raise EvaluationError(f"{path.name}: expected {EXPECTED}, not {_kind(content)}")
    found = JsonObject({name: entries for name, entries in splits.items() if isinstance(entries, list)})
    found.repeated = tuple(name for name in splits.repeated if name in found)
    if splits and not found:
        raise EvaluationError(f"{path.name}: expected {EXPECTED}, but no key of it holds a list of entries")
    for name, entries in found.items():
        for number, entry in enumerate(entries, 1):
            if not isinstance(entry, JsonObject):
                where = f"entry {number}" + (f" of split {name!r}" if name else "")
                raise EvaluationError(f"{path.name}: {where} is not an object but {_kind(entry)}; expected {EXPECTED}")
    return found


def _kind(value: object) -> str:
    kinds = {bool: "a truth value", str: "a text", list: "a list", dict: "an object"}
    if value is None:
        return "null"
    return next((kind for type_, kind in kinds.items() if isinstance(value, type_)), "a number")


# --- which file -------------------------------------------------------------------------------------------------------


def _names(entry: Entry) -> Iterator[str]:
    """The file names that an entry gives, the one that the organisers' script takes first."""
    for field in (PATHS[0], NAME, *PATHS[1:]):
        value = entry.get(field)
        if isinstance(value, str) and value:
            yield value if field == NAME else PureWindowsPath(value).name  # which takes both kinds of slashes


def _file_name(entry: Entry, gt_dir: Path) -> str:
    """The first of its names that has a reference file; if none has, the one that is called so."""
    names = list(_names(entry))
    if not names:
        raise EvaluationError(
            f"an entry has no name: expected a field `{NAME}` or `{PATHS[0]}`, found {', '.join(entry) or 'nothing'}"
        )
    return next((name for name in names if _is_file(gt_dir / name)), _called(entry) or names[0])


def _called(entry: Entry) -> str | None:
    """The name to call it by."""
    names = list(_names(entry))
    called = entry.get(NAME)
    return str(called) if called in names else next(iter(names), None)


def _volumes(ct_dir: Path, entries: list[Entry]) -> CTFolder:
    called = {name for entry in entries if (name := _called(entry)) is not None}
    return CTFolder(ct_dir, called, {name for entry in entries for name in _names(entry)})


def _select(splits: JsonObject, split: str | None, gt_dir: Path) -> tuple[list[str], list[str]]:
    """The names of the splits to score, and a warning for each that is not."""
    if split is not None:
        if split not in splits:
            raise EvaluationError(f"there is no split {split!r}; the dataset file has: {', '.join(splits) or 'none'}")
        if not splits[split]:
            raise EvaluationError(f"the split {split!r} has no cases")
        return [split], []
    chosen = [name for name, entries in splits.items() if any(_has_reference(entry, gt_dir) for entry in entries)]
    if not chosen:
        listed = [name for entries in splits.values() for entry in entries if (name := _called(entry)) is not None]
        named = f", for example {listed[0]}" if listed else ""
        meant = near_misses(listed, files_below(gt_dir))
        near = next((f"; is {file} meant as {name}?" for name, file in meant.items() if file != name), "")
        if not near and (there := next((name for name in listed if os.path.lexists(gt_dir / name)), None)):
            near = f"; the {there} in it {_no_file(gt_dir / there)}"
        raise EvaluationError(
            f"no case to score: {gt_dir} holds no reference file that the dataset file names{named}{near}"
        )
    return chosen, [f"no reference files for split {name!r}: left out" for name in splits if name not in chosen]


def _has_reference(entry: Entry, gt_dir: Path) -> bool:
    return any(_is_file(gt_dir / name) for name in _names(entry))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or that no file can have
        return False


def _case(entry: Entry, folders: _Folders, notes: _Notes) -> Case:
    gt_dir = folders.references
    name, findings, categories = _file_name(entry, gt_dir), entry.get("findings"), entry.get("categories") or {}
    if not name.isprintable():
        raise EvaluationError(f"{name!r} is not a plain file name")
    for field, value in (("findings", findings), ("categories", categories)):
        if not isinstance(value, dict) and not (field == "findings" and value is None):
            raise EvaluationError(f'{name}: {field} must be an object {{"0": "...", "1": "..."}}, not {_kind(value)}')
    _note_repeated_keys(entry, name, notes)
    if findings is None:
        findings = _every_channel(entry, name, gt_dir)
        notes.add("an entry without findings: every channel of the reference is scored", name)
    keys = sorted(findings, key=lambda key: (len(key), key))
    codes = {key: str(code) for key, code in categories.items() if key in findings and code is not None}
    Case(name, tuple(keys), codes, (1, 1, 1))  # refuses a name that would lead out of the folders below
    _require_reference(entry, name, gt_dir)
    shape = _reference_shape(name, gt_dir)
    if int(keys[-1]) >= shape[0]:
        first = "" if keys[0] == "0" else "; the first key is 0"
        raise EvaluationError(
            f"{name}: the reference has {shape[0]} findings, the dataset file lists key {keys[-1]}{first}"
        )
    if shape[0] != len(keys):
        notes.add("only the listed findings are scored", f"{name} lists {len(keys)}, its reference has {shape[0]}")
    stated = entry.get("shape")
    if stated is not None and stated != list(shape[1:]):
        raise EvaluationError(f"{name}: the reference is {shape[1:]}, the dataset file states {stated}")
    return Case(name, tuple(keys), codes, shape[1:], _spacing(entry, name, shape[1:], folders, notes))


def _note_repeated_keys(entry: Entry, name: str, notes: _Notes) -> None:
    for what, part in (("an entry", entry), *((field, entry.get(field)) for field in ("findings", "categories"))):
        if isinstance(part, JsonObject):
            for key in part.repeated:
                notes.add(f"a key stands more than once in {what}, and only the last counts", f"{key!r} of {name}")


def _every_channel(entry: Entry, name: str, gt_dir: Path) -> dict[str, None]:
    """What the organisers' script scores."""
    Case(name, ("0",), {}, (1, 1, 1))
    _require_reference(entry, name, gt_dir)
    return {str(channel): None for channel in range(_reference_shape(name, gt_dir)[0])}


def _require_reference(entry: Entry, name: str, gt_dir: Path) -> None:
    if _is_file(gt_dir / name):
        return
    others = [other for other in dict.fromkeys(_names(entry)) if other != name]
    neither = f" (nor is there {others[0]}, by its {PATHS[0]})" if others and entry.get(PATHS[0]) else ""
    raise _MissingReference(name, f"{name}: the reference file {_no_file(gt_dir / name)}{neither}")


def _no_file(path: Path) -> str:
    """Why there is no file to read at a path, which may be one that no file can have."""
    if not os.path.lexists(path):
        return "is missing"
    if not os.path.exists(path):  # noqa: PTH110  (that of Path raises for some)
        return "is a link whose target is missing (data that was not fetched?)"
    return "is a folder" if path.is_dir() else "is not a regular file"


def _spacing(entry: Entry, name: str, shape: tuple[int, int, int], folders: _Folders, notes: _Notes) -> Spacing | None:
    """Spacing in mm of H, W, D: of the CT where there is one that can be used, else of the entry."""
    field = entry.get("spacing")
    stated = None if field is None else _stated_spacing(name, field)
    if folders.volumes is None:
        return stated
    names = dict.fromkeys((name, *_names(entry)))
    try:
        volume = next((found for one in names if (found := folders.volumes.volume(one)) is not None), None)
    except InvalidMask as error:
        notes.add("the CT volume is unusable, so its spacing is not known", f"{name}: {error}")
        return stated
    if volume is None:
        near = next((folders.volumes.near[one] for one in names if one in folders.volumes.near), None)
        notes.add(f"no CT volume in {folders.ct_dir}", name + (f" (but there is {near})" if near else ""))
        return stated
    for remark in volume.remarks:
        notes.add(remark, name)
    header = volume.header
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


def _stated_spacing(name: str, field: object) -> Spacing:
    if isinstance(field, list) and len(field) == 3 and all(isinstance(size, int | float) for size in field):
        with suppress(OverflowError):
            return float(field[0]), float(field[1]), float(field[2])
    raise EvaluationError(f"{name}: spacing must be three numbers in mm, not {field!r}")


def _listed(title: str, problems: list[str]) -> str:
    more = len(problems) - MAX_PROBLEMS_SHOWN
    lines = [f"  {problem}" for problem in problems[:MAX_PROBLEMS_SHOWN]]
    return "\n".join([title, *lines, *([f"  ... and {more} more"] if more > 0 else [])])
