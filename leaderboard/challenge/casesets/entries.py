"""The dataset JSON: `{"<split>": [entry, ...]}`, read without believing a word of it.

Unknown keys of an entry are ignored, as the released files carry some (`seg_path`); known ones are checked
strictly.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation import CATEGORIES

SPACING_MM = (0.1, 10.0)
"""What a chest CT's voxels measure at least and at most, along any axis."""

EntryProblems = dict[str, list[str]]
"""Sentences by case name; "" for what concerns the whole set."""

# A plain file name that means the same on every file system and in every URL; it also cannot be an
# option or hidden.
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.nii\.gz")
_LONGEST_TEXT = 2000


@dataclass(frozen=True)
class Entry:
    """One well-formed entry.

    `findings`: (text, category or None) in channel order; counts by channel where given.
    """

    name: str
    findings: tuple[tuple[str, str | None], ...]
    entity_counts: Mapping[int, int]
    pixels: Mapping[int, int]
    shape: tuple[int, int, int] | None


@dataclass(frozen=True)
class Listing:
    """`entries` are the well-formed ones; `names` are the split's, `known_names` those of the other splits too."""

    entries: tuple[Entry, ...] = ()
    names: frozenset[str] = frozenset()
    known_names: frozenset[str] = frozenset()
    problems: EntryProblems = field(default_factory=dict)


class _Object(dict[str, Any]):
    """A JSON object that remembers keys written twice, of which Python would silently keep the last."""

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    result = _Object(pairs)
    keys = [key for key, _ in pairs]
    result.repeated = tuple(sorted({key for key in keys if keys.count(key) > 1}))
    return result


def read_entries(dataset_json: Path, *, split: str, ranked: bool) -> Listing:
    """Entries of one split with every problem found. Never raises for what a file may hold."""
    try:
        data = json.loads(dataset_json.read_text(encoding="utf-8"), object_pairs_hook=_object)
    except OSError as error:
        return _unreadable(f"{dataset_json} cannot be read: {error.strerror or error}")
    except (ValueError, RecursionError) as error:
        return _unreadable(f"{dataset_json} is not JSON: {error}")
    if not isinstance(data, _Object):
        return _unreadable(f"{dataset_json} must hold one object with a list of entries per split")
    whole = [f"the dataset names split {key!r} twice" for key in data.repeated]
    if not isinstance(data.get(split), list):
        there = ", ".join(sorted(key for key, value in data.items() if isinstance(value, list))) or "none"
        return _unreadable(*whole, f"the dataset has no split {split!r}; there is {there}")
    if not data[split]:
        return _unreadable(*whole, f"split {split!r} is empty")
    problems: EntryProblems = defaultdict(list, {"": whole} if whole else {})
    entries = [_read_entry(problems, position, raw, ranked) for position, raw in enumerate(data[split])]
    names = _names(data[split])
    for name in _repeated_names(names):
        problems[name].append("is listed more than once (names that differ in case only count as the same)")
    known = {name for value in data.values() if isinstance(value, list) for name in _names(value)}
    unique = {entry.name: entry for entry in entries if entry is not None}
    return Listing(tuple(unique.values()), frozenset(_safe(names)), frozenset(known), dict(problems))


def _unreadable(*problems: str) -> Listing:
    return Listing(problems={"": list(problems)})


def _names(entries: list[Any]) -> list[str]:
    return [entry["name"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("name"), str)]


def _safe(names: list[str]) -> list[str]:
    return [name for name in names if _SAFE_NAME.fullmatch(name)]


def _repeated_names(names: list[str]) -> list[str]:
    seen: dict[str, str] = {}
    repeated = []
    for name in names:
        first = seen.setdefault(name.casefold(), name)
        if first is not name:
            repeated.append(name)
    return sorted(set(repeated))


def _read_entry(problems: EntryProblems, position: int, raw: Any, ranked: bool) -> Entry | None:
    if not isinstance(raw, _Object):
        problems[""].append(f"entry {position} is not an object")
        return None
    name = raw.get("name")
    if not isinstance(name, str) or not _SAFE_NAME.fullmatch(name):
        problems[""].append(
            f"entry {position} has the name {name!r}; a plain file name of letters, digits, '.', '_' and '-' "
            "that ends in .nii.gz is needed"
        )
        return None
    found: list[str] = [f"the key {key!r} is written twice" for key in raw.repeated]
    texts = _texts(found, raw.get("findings"))
    categories = _categories(found, raw.get("categories"), texts, ranked)
    counts = {key: _counts(found, key, raw.get(key), len(texts)) for key in ("entity_counts", "pixels")}
    shape = _shape(found, raw.get("shape"))
    if found:
        problems[name] += found
    findings = tuple((text, categories.get(str(channel))) for channel, text in enumerate(texts))
    return Entry(name, findings, counts["entity_counts"], counts["pixels"], shape) if texts else None


def _mapping(found: list[str], field_name: str, raw: Any) -> dict[str, Any]:
    if not isinstance(raw, _Object):
        found.append(f"{field_name} must be an object by finding key")
        return {}
    found += [f"{field_name} has the key {key!r} twice" for key in raw.repeated]
    return raw


def _texts(found: list[str], raw: Any) -> tuple[str, ...]:
    """The findings in channel order; empty when their keys do not say which channel is whose."""
    findings = _mapping(found, "findings", raw)
    if not findings:
        if isinstance(raw, _Object):
            found.append("has no findings")
        return ()
    wanted = [str(channel) for channel in range(len(findings))]
    if set(findings) != set(wanted):
        found.append(f'the keys of findings must be "0" to "{len(findings) - 1}", not {", ".join(map(repr, findings))}')
        return ()
    for key in wanted:
        text = findings[key]
        if not isinstance(text, str) or not text.strip():
            found.append(f"finding {key} has no text")
        elif len(text) > _LONGEST_TEXT or not all(char.isprintable() or char in "\n\t" for char in text):
            found.append(f"finding {key} is longer than {_LONGEST_TEXT} characters or holds control characters")
    return tuple(str(findings[key]) for key in wanted)


def _categories(found: list[str], raw: Any, texts: tuple[str, ...], ranked: bool) -> dict[str, str]:
    categories = {} if raw is None else _mapping(found, "categories", raw)
    keys = [str(channel) for channel in range(len(texts))]
    found += [
        f"categories has the key {key!r}, but there is no such finding"
        for key in categories
        if texts and key not in keys
    ]
    for key in keys:
        code = categories.get(key)
        if code is None and ranked:
            found.append(f"finding {key} has no category; every finding of a ranked set needs one")
        elif code is not None and not _is_category(code):
            found.append(f"finding {key} has the category {code!r}; one of {', '.join(CATEGORIES)} is needed")
    return {key: code for key, code in categories.items() if _is_category(code)}


def _is_category(code: Any) -> bool:
    return isinstance(code, str) and code in CATEGORIES


def _counts(found: list[str], field_name: str, raw: Any, findings: int) -> dict[int, int]:
    if raw is None:
        return {}
    counts = _mapping(found, field_name, raw)
    keys = {str(channel): channel for channel in range(findings)}
    good = {}
    for key, value in counts.items():
        if findings and key not in keys:
            found.append(f"{field_name} has the key {key!r}, but there is no such finding")
        elif isinstance(value, bool) or not isinstance(value, int) or value < 0:
            found.append(f"{field_name} of finding {key} is {value!r}; a whole number is needed")
        elif key in keys:
            good[keys[key]] = value
    return good


def _shape(found: list[str], raw: Any) -> tuple[int, int, int] | None:
    if raw is None:
        return None
    if isinstance(raw, list) and len(raw) == 3 and all(type(length) is int and length > 0 for length in raw):
        return (raw[0], raw[1], raw[2])
    found.append(f"shape is {raw!r}; three positive whole numbers are needed")
    return None
