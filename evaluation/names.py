"""What is conspicuous about the files in a folder of predictions, before any of them is opened."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from hashlib import file_digest
from itertools import islice
from pathlib import Path

MAX_SHOWN = 5
MAX_FILES = 100_000  # that are listed; a folder with more is not one of predictions
MIN_IDENTICAL = 3
TYPING_ERROR = 0.8  # likeness of two words, from 0 to 1

Tokens = tuple[str, ...]


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
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return set(islice(found, MAX_FILES))


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
        if any(path.stat().st_size != size for path in others):
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

    A file that has the same numbers in its name but other words around them, other separators, capitals, zeros or
    another ending, or that lies in another folder. Other numbers mean another case.
    """
    by_tokens: dict[Tokens, str] = {}
    by_numbers: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
    for other in others:
        tokens = _tokens(other)
        by_numbers[_numbers(tokens)].append(other)
        for length in range(len(tokens), 0, -1):
            for part in (tokens[:length], tokens[-length:]):
                current = by_tokens.get(part)
                if current is None or len(other) < len(current):
                    by_tokens[part] = other
    found = {}
    for name in missing:
        tokens = _tokens(name)
        candidate = by_tokens.get(tokens) or _most_alike(tokens, by_numbers[_numbers(tokens)])
        if candidate is not None:
            found[name] = candidate
    return found


def _most_alike(tokens: Tokens, candidates: list[str]) -> str | None:
    """The one with the most similar words among the names with the same numbers; without numbers, a typing error."""
    likeness = {name: SequenceMatcher(None, _words(tokens), _words(_tokens(name))).ratio() for name in candidates}
    best = max(likeness, key=lambda name: likeness[name], default=None)
    return best if best is not None and (_numbers(tokens) or likeness[best] > TYPING_ERROR) else None


def _tokens(name: str) -> Tokens:
    """The words and numbers of a file name without folder, ending and capitals."""
    base = name.rsplit("/", 1)[-1].lower()
    stem = re.sub(r"(\.nii)?(\.gz)?$", "", base)
    stem = re.sub(r"\.(npz|npy|nrrd|mha|mhd|hdr|img|zip|json|txt)$", "", stem)
    return tuple(re.findall(r"[^\W\d_]+|\d+", stem))


def _numbers(tokens: Tokens) -> tuple[int, ...]:
    return tuple(int(token) for token in tokens if token.isdecimal())


def _words(tokens: Tokens) -> str:
    return "".join(token for token in tokens if not token.isdecimal())
