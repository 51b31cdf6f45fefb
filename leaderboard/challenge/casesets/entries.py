"""The dataset JSON: `{"<split>": [entry, ...]}`, read without believing a word of it.

Unknown keys of an entry are ignored, as the released files carry some (`seg_path`); known ones are checked
strictly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation import CATEGORIES
from leaderboard.challenge.casesets import problems, texts
from leaderboard.challenge.casesets.files import disguise_of
from leaderboard.challenge.casesets.problems import WHOLE_SET, Group, Report

SPACING_MM = (0.1, 10.0)
"""What a chest CT's voxels measure at least and at most, along any axis."""

Said = list[tuple[Group, str]]
"""Sentences about one entry, each with its group."""

_FEW_SIGNS = 5
# A plain file name that means the same on every file system and in every URL; it also cannot be an
# option or hidden.
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.nii\.gz")


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
    """`entries` are the well-formed ones; `names` are the split's, `splits` the names of every split.

    `is_there` says whether there is such a split at all: without one nothing can be said about files.
    """

    entries: tuple[Entry, ...] = ()
    names: frozenset[str] = frozenset()
    splits: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def is_there(self) -> bool:
        """Whether the split was found."""
        return bool(self.splits)

    @property
    def known_names(self) -> frozenset[str]:
        """The names of all splits."""
        return frozenset().union(*self.splits.values())


class _Object(dict[str, Any]):
    """A JSON object that remembers keys written twice, of which Python would silently keep the last."""

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    result = _Object(pairs)
    keys = [key for key, _ in pairs]
    result.repeated = tuple(sorted({key for key in keys if keys.count(key) > 1}))
    return result


def read_entries(report: Report, dataset_json: Path, *, split: str, ranked: bool) -> Listing:
    """Entries of one split; every problem is reported. Never raises for what a file may hold."""
    data = _load(report, dataset_json)
    if data is None:
        return Listing()
    for key in data.repeated:
        report.say(problems.DATASET, WHOLE_SET, f"the dataset names split {key!r} twice")
    listed = data.get(split)
    if not isinstance(listed, list):
        there = ", ".join(sorted(key for key, value in data.items() if isinstance(value, list))) or "none"
        report.say(problems.SPLIT, WHOLE_SET, f"the dataset has no split {split!r}; there is {there}")
        return Listing()
    if not listed:
        report.say(problems.SPLIT, WHOLE_SET, f"split {split!r} is empty")
        return Listing()
    entries = [_read_entry(report, position, raw, ranked) for position, raw in enumerate(listed)]
    names = _names(listed)
    for name in _repeated_names(names):
        words = "is listed more than once (names that differ in case only count as the same)"
        report.say(problems.ENTRY, name, words)
    splits = {key: frozenset(_names(value)) for key, value in data.items() if isinstance(value, list)}
    unique = {entry.name: entry for entry in entries if entry is not None}
    return Listing(tuple(unique.values()), frozenset(_safe(names)), splits)


def _load(report: Report, dataset_json: Path) -> _Object | None:
    try:
        data = json.loads(dataset_json.read_text(encoding="utf-8-sig"), object_pairs_hook=_object)
    except OSError as error:
        words = f"{dataset_json} cannot be read: {error.strerror or error}"
        report.say(problems.DATASET, WHOLE_SET, words)
        return None
    except (ValueError, RecursionError) as error:
        disguise = disguise_of(dataset_json)
        if disguise and disguise[0] in (problems.LFS, problems.WEB_PAGE):
            report.say(disguise[0], WHOLE_SET, f"{dataset_json} {disguise[1]}")
        else:
            report.say(problems.DATASET, WHOLE_SET, f"{dataset_json} is not JSON: {error}")
        return None
    if not isinstance(data, _Object):
        words = f"{dataset_json} must hold one object with a list of entries per split"
        report.say(problems.DATASET, WHOLE_SET, words)
        return None
    return data


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


def _read_entry(report: Report, position: int, raw: Any, ranked: bool) -> Entry | None:
    if not isinstance(raw, _Object):
        report.say(problems.ENTRY, WHOLE_SET, f"entry {position} is not an object")
        return None
    name = raw.get("name")
    if not isinstance(name, str) or not _SAFE_NAME.fullmatch(name):
        report.say(
            problems.ENTRY,
            WHOLE_SET,
            f"entry {position} has the name {name!r}; a plain file name of letters, digits, '.', '_' and '-' "
            "that ends in .nii.gz is needed",
        )
        return None
    found: Said = [(problems.ENTRY, f"the key {key!r} is written twice") for key in raw.repeated]
    sentences = _texts(found, raw.get("findings"))
    categories = _categories(found, raw.get("categories"), sentences, ranked)
    counts = {key: _counts(found, key, raw.get(key), len(sentences)) for key in ("entity_counts", "pixels")}
    shape = _shape(found, raw.get("shape"))
    for group, text in found:
        report.say(group, name, text)
    findings = tuple((text, categories.get(str(channel))) for channel, text in enumerate(sentences))
    return Entry(name, findings, counts["entity_counts"], counts["pixels"], shape) if sentences else None


def _mapping(found: Said, field_name: str, raw: Any) -> dict[str, Any]:
    if not isinstance(raw, _Object):
        found.append((problems.ENTRY, f"{field_name} must be an object by finding key"))
        return {}
    found += [(problems.ENTRY, f"{field_name} has the key {key!r} twice") for key in raw.repeated]
    return raw


def _texts(found: Said, raw: Any) -> tuple[str, ...]:
    """The findings in channel order, made plain; empty when their keys do not say which channel is whose."""
    findings = _mapping(found, "findings", raw)
    if not findings:
        if isinstance(raw, _Object):
            found.append((problems.ENTRY, "has no findings"))
        return ()
    wanted = [str(channel) for channel in range(len(findings))]
    if set(findings) != set(wanted):
        keys = ", ".join(map(repr, findings))
        found.append((problems.ENTRY, f'the keys of findings must be "0" to "{len(findings) - 1}", not {keys}'))
        return ()
    return tuple(_text(found, key, findings[key]) for key in wanted)


def _text(found: Said, key: str, written: Any) -> str:
    text, changed = texts.made_plain(written) if isinstance(written, str) else ("", [])
    if not text.strip():
        found.append((problems.TEXT, f"finding {key} has no text"))
    if changed:
        found.append((problems.TEXT_CHANGED, f"finding {key} held {_listed(changed)}"))
    if controls := texts.controls(text):
        found.append((problems.TEXT, f"finding {key} holds the control character {_listed(controls)}"))
    if len(text) > texts.LONGEST:
        words = f"finding {key} has {len(text):,} characters; at most {texts.LONGEST:,} are taken"
        found.append((problems.TEXT, words))
    return text


def _listed(signs: list[texts.Sign]) -> str:
    more = f" and {len(signs) - _FEW_SIGNS} more" if len(signs) > _FEW_SIGNS else ""
    return ", ".join(map(str, signs[:_FEW_SIGNS])) + more


def _categories(found: Said, raw: Any, sentences: tuple[str, ...], ranked: bool) -> dict[str, str]:
    categories = {} if raw is None else _mapping(found, "categories", raw)
    keys = [str(channel) for channel in range(len(sentences))]
    found += [
        (problems.CATEGORY, f"categories has the key {key!r}, but there is no such finding")
        for key in categories
        if sentences and key not in keys
    ]
    for key in keys:
        code = categories.get(key)
        if code is None and ranked:
            words = f"finding {key} has no category; every finding of a ranked set needs one"
            found.append((problems.CATEGORY, words))
        elif code is not None and not _is_category(code):
            words = f"finding {key} has the category {code!r}; one of {', '.join(CATEGORIES)} is needed"
            found.append((problems.CATEGORY, words))
    return {key: code for key, code in categories.items() if _is_category(code)}


def _is_category(code: Any) -> bool:
    return isinstance(code, str) and code in CATEGORIES


def _counts(found: Said, field_name: str, raw: Any, findings: int) -> dict[int, int]:
    if raw is None:
        return {}
    counts = _mapping(found, field_name, raw)
    keys = {str(channel): channel for channel in range(findings)}
    good = {}
    for key, value in counts.items():
        if findings and key not in keys:
            found.append((problems.ENTRY, f"{field_name} has the key {key!r}, but there is no such finding"))
        elif isinstance(value, bool) or not isinstance(value, int) or value < 0:
            words = f"{field_name} of finding {key} is {value!r}; a whole number is needed"
            found.append((problems.ENTRY, words))
        elif key in keys:
            good[keys[key]] = value
    return good


def _shape(found: Said, raw: Any) -> tuple[int, int, int] | None:
    if raw is None:
        return None
    if isinstance(raw, list) and len(raw) == 3 and all(type(length) is int and length > 0 for length in raw):
        return (raw[0], raw[1], raw[2])
    found.append((problems.ENTRY, f"shape is {raw!r}; three positive whole numbers are needed"))
    return None
