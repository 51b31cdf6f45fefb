"""What is conspicuous about the files in a folder of predictions, before any of them is opened."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from hashlib import file_digest
from pathlib import Path

MAX_SHOWN = 5
MAX_ENTRIES = 100_000  # after which no further folder is listed; one with more is not one of predictions
MAX_DEPTH = 2  # folders below; who mirrors CT-RATE's folders writes into valid_1/valid_1_a
MIN_IDENTICAL = 3


def folder_warnings(names: Collection[str], elsewhere: Mapping[str, str], pred_dir: Path) -> Iterator[str]:
    """Warnings about the folder in which a file of each of the `names` is looked for.

    `elsewhere` are the names of cases that are not scored, and the split that each belongs to.
    """
    expected = set(names)
    present = files_below(pred_dir)
    extra = sorted(present - expected)
    if not expected & present:
        yield f"none of the {len(expected)} cases has a prediction in {pred_dir}"
    yield from _near_miss_warnings(sorted(expected - present), [name for name in extra if name not in elsewhere])
    yield from _extra_warnings(extra, elsewhere, pred_dir)
    if _are_identical(pred_dir / name for name in sorted(expected & present)):
        yield f"all predictions in {pred_dir} are the same file; is it the model that wrote them?"


def same_folder_warnings(gt_dir: Path, pred_dir: Path, ct_dir: Path | None) -> Iterator[str]:
    """Whether the predictions are looked for where something else lies."""
    if pred_dir.samefile(gt_dir):
        yield "--pred_dir is --gt_dir: the references are scored against themselves"
    if ct_dir is not None and pred_dir.samefile(ct_dir):
        yield "--pred_dir is --ct_dir: CT volumes are no masks"


def files_below(folder: Path) -> set[str]:
    """The files in a folder and in those not far below it, as far as these can be listed."""
    found: set[str] = set()
    entries = 0
    for place, folders, files in os.walk(folder):
        inside = Path(place).relative_to(folder)
        found.update((inside / name).as_posix() for name in files)
        entries += len(folders) + len(files)
        if entries > MAX_ENTRIES:
            break
        if len(inside.parts) == MAX_DEPTH:
            folders.clear()
    return found


def _near_miss_warnings(missing: list[str], extra: list[str]) -> Iterator[str]:
    found = near_misses(missing, extra)
    if not found:
        return
    first = list(found.items())[:MAX_SHOWN]
    lines = [f"  {name}  is missing, but there is  {candidate}" for name, candidate in first]
    if len(found) > len(first):
        lines.append(f"  ... and {len(found) - len(first)} more")
    yield "\n".join(
        ["these files may be meant as predictions; each must lie in the folder, with the name that is missing:", *lines]
    )


def _extra_warnings(extra: list[str], elsewhere: Mapping[str, str], pred_dir: Path) -> Iterator[str]:
    by_split: dict[str | None, list[str]] = defaultdict(list)
    for name in extra:
        by_split[elsewhere.get(name)].append(name)
    for split, names in by_split.items():
        whose = "no case" if split is None else f"split {split!r}, which is not scored"
        files, belong = ("1 file", "belongs") if len(names) == 1 else (f"{len(names)} files", "belong")
        yield f"{files} in {pred_dir} {belong} to {whose}, for example {names[0]}"


def _are_identical(paths: Iterable[Path]) -> bool:
    """Whether these are several files with the same content; stops at the first that differs."""
    known = list(paths)
    if len(known) < MIN_IDENTICAL:
        return False
    first, *others = known
    try:
        size = first.stat().st_size
        if not all(path.is_file() and path.stat().st_size == size for path in known):
            return False
        digest = _digest(first)
        return all(_digest(path) == digest for path in others)
    except OSError:
        return False


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return file_digest(file, "sha256").digest()


# --- near misses ------------------------------------------------------------------------------------------------------


def near_misses(missing: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """For names that are missing, the file among `others` that was probably meant, where there is one.

    A file that has the same numbers in its name, but another ending, folder, capitals, separators or words; or has
    them without what programs add at the end (nnU-Net's `_0000`, `_v2`, ` (1)`), or lies in a folder that has them. A
    file is meant as one case only: where several would do, none is named.
    """
    wanted = defaultdict(list)
    for name in missing:
        wanted[_numbers(_stem(name))].append(name)
    words = {word for names in wanted.values() for name in names for word in _words(_stem(name))}
    readings = [
        (not other.lower().endswith(_OF_MASKS), rank, len(other), other, key)
        for other in others
        if not _is_hidden(other)
        for rank, key in enumerate(_readings(other, words))
    ]
    found: dict[str, str] = {}
    meant: set[str] = set()
    # What may be a mask first (nnU-Net leaves case_0001.npz beside case_0001_0000.nii.gz), then the surest reading; of
    # several files, the shortest name.
    for *_, other, key in sorted(readings):
        fitting = [name for name in wanted.get(key, ()) if _may_be_of_one_split(name, other)]
        if len(fitting) == 1 and fitting[0] not in found and other not in meant:
            found[fitting[0]] = other
            meant.add(other)
    return {name: found[name] for names in wanted.values() for name in names if name in found}


_ENDINGS = re.compile(
    r"(\.(nii|gz|img|hdr|mha|mhd|nrrd|npy|npz|h5|hdf5|mat|pt|pth|pkl|dcm|zip|tar|7z|bz2|xz|json|txt|bak|tmp|part))+$"
)
_OF_MASKS = (".nii", ".nii.gz")
_COPY = re.compile(r"\s*\(\d+\)")
# What programs and people add behind a case's own name. Numbers alone are no addition but nnU-Net's, of four digits.
_ADDED = re.compile(
    r"[ ._-]+(0000|v\d+|ver\d+|\d+([._]\d+)?mm|gt|image|ct"
    r"|(pred(iction)?|seg(mentation)?|mask|label|out(put)?|result|final)s?\d*"
    r"|(fold|epoch|ep|iter|step|thr|th|seed|run|ens|model|finding|channel)[ ._-]?\d+([._]\d+)?)$"
)
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def _stem(name: str) -> str:
    """The last part of a path, in small letters, without endings and the number of a copy."""
    return _ENDINGS.sub("", _COPY.sub("", name.rsplit("/", 1)[-1].lower()))


def _without_additions(stem: str) -> list[str]:
    """It, and what is left when one more addition is taken from its end."""
    stems = [stem]
    while (shorter := _ADDED.sub("", stems[-1])) != stems[-1]:
        stems.append(shorter)
    return stems


def _readings(name: str, words: Set[str]) -> list[tuple[str, ...]]:
    """The numbers that a file may be called by, the surest first; `words` stand in the names that are looked for.

    Of a file in a folder per case (`case_0001/seg_0.nii.gz`), those of the folder.
    """
    folder = name.lower().rpartition("/")[0].rpartition("/")[2]
    stem = _stem(name)
    if _NUMBER.search(folder) and not words & _words(stem):
        own = _NUMBER.search(_without_additions(stem)[-1])
        if words & _words(folder) or not own:
            return [_numbers(folder)]
        if not _words(folder):
            return []
    return list(dict.fromkeys(_numbers(one) for one in _without_additions(stem)))


def _is_hidden(name: str) -> bool:
    """What systems keep beside files (`._case_0001.nii.gz`)."""
    base = name.rsplit("/", 1)[-1]
    return base.startswith(".") or ":" in base


_NUMBER = re.compile(r"\d")
_WORD = re.compile(r"\d+|[^\W\d_]+")


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text) if len(word) > 1 and not word.isdecimal()}


def _numbers(stem: str) -> tuple[str, ...]:
    """What tells cases apart in a file's name: its numbers and single letters, as in case_0001 and train_1_a_2.

    Where there are none, all its letters.
    """
    words = _WORD.findall(stem)
    numbers = tuple(word.lstrip("0") or "0" for word in words if word.isdecimal() or len(word) == 1)
    return numbers or ("".join(words),)


def _may_be_of_one_split(name: str, other: str) -> bool:
    """Not `train_1_a_2` for `valid_1_a_2`, which are two patients."""
    of_name, of_other = (
        {_SPLITS[word] for word in _WORD.findall(_stem(one)) if word in _SPLITS} for one in (name, other)
    )
    return not of_name or not of_other or of_name == of_other
