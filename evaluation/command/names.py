"""What is conspicuous about the files in a folder of predictions, before any of them is opened."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import file_digest
from pathlib import Path

MAX_SHOWN = 5
MAX_ENTRIES = 100_000  # after which no further folder is listed; one with more is not one of predictions
MIN_IDENTICAL = 3


def folder_warnings(names: Collection[str], elsewhere: Mapping[str, str], pred_dir: Path) -> Iterator[str]:
    """Warnings about the folder in which a file of each of the `names` is looked for.

    `elsewhere` are the names of cases that are not scored, and the split that each belongs to.
    """
    expected = set(names)
    present = _files(pred_dir)
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


def _files(folder: Path) -> set[str]:
    """The files in a folder and in the folders directly in it, as far as these can be listed."""
    found: set[str] = set()
    entries = 0
    for place, folders, files in os.walk(folder):
        inside = Path(place).relative_to(folder)
        found.update((inside / name).as_posix() for name in files)
        entries += len(folders) + len(files)
        if entries > MAX_ENTRIES:
            break
        if inside.parts:
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
        ["these files may be meant as predictions; each must lie in the folder, named exactly like its CT:", *lines]
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


def near_misses(missing: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """For names that are missing, the file among `others` that was probably meant, where there is one.

    A file that has the same numbers in its name, but another ending, folder, capitals, separators or words.
    """
    meant = {_numbers(other): other for other in sorted(others, key=len, reverse=True)}  # of several, the shortest name
    return {name: meant[_numbers(name)] for name in missing if _numbers(name) in meant}


def _numbers(name: str) -> tuple[str, ...]:
    """What tells cases apart in a file's name: its numbers and single letters, as in case_0001 and train_1_a_2.

    Where there are none, all its letters before the ending.
    """
    base = name.rsplit("/", 1)[-1].lower()
    words = re.findall(r"\d+|[^\W\d_]+", base)
    numbers = tuple(word.lstrip("0") for word in words if word.isdecimal() or len(word) == 1)
    return numbers or ("".join(re.findall(r"[^\W_]+", base.split(".")[0])),)
