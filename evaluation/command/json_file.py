"""A JSON file that a person wrote, or a script that forgot something: where it is broken, and what belongs there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evaluation.errors import EvaluationError
from evaluation.masks.foreign import ENOUGH, SAVE_AS_MASK, what_it_is

MAX_SHOWN = 72  # characters of the line in question
SHOWN_BEFORE = 48  # of these, at most, before the place


class JsonObject(dict[str, Any]):
    """An object and the keys that stand in it more than once; as everywhere, the last one counts."""

    repeated: tuple[str, ...] = ()


def read_json(path: Path, expected: str) -> Any:
    """The content of a JSON file; objects are `JsonObject`. Raises `EvaluationError` with the place and the remedy.

    `expected` says what should be in it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from None
    if not content.strip(b" \t\r\n\0\xef\xbb\xbf"):
        raise EvaluationError(f"{path} is empty (line 1, column 1); expected {expected}")
    try:
        text = content.decode(json.detect_encoding(content))
    except UnicodeDecodeError as error:
        raise EvaluationError(_no_text(path, content, error)) from None
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        if foreign := _foreign(content):
            raise EvaluationError(f"{path} is not JSON but {foreign}; expected {expected}") from None
        at, what = _explained(text, error, expected)
        raise EvaluationError(f"{path} is not JSON: {_place(text, at)}: {what}\n{_shown(text, at)}") from None
    except RecursionError:
        raise EvaluationError(f"{path} is not JSON of a dataset: it is nested far too deeply") from None
    except ValueError:  # that of a number with thousands of digits
        raise EvaluationError(f"{path} is not JSON of a dataset: a number in it is far too long") from None


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    made = JsonObject(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        made.repeated = tuple(key for key in made if keys.count(key) > 1)
    return made


def _foreign(content: bytes) -> str | None:
    """What it is if it is not meant as JSON."""
    kind = what_it_is(content[:ENOUGH])
    if kind is None or content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[", b"/", b"#", b"'")):
        return None
    return kind.removesuffix(f"; {SAVE_AS_MASK}")


def _no_text(path: Path, content: bytes, error: UnicodeDecodeError) -> str:
    if foreign := _foreign(content):
        return f"{path} is not JSON but {foreign}"
    before = content[: error.start]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    return (
        f"{path} is not UTF-8: line {line}, column {column}: the byte 0x{content[error.start]:02x} is expected to be "
        "UTF-8 text; if an editor saved it as Latin-1 or Windows-1252, save it as UTF-8 (or: "
        f"iconv -f WINDOWS-1252 -t UTF-8)"
    )


def _place(text: str, at: int) -> str:
    before = text[:at]
    return f"line {before.count(chr(10)) + 1}, column {at - before.rfind(chr(10))}"


def _shown(text: str, at: int) -> str:
    """The line in question, or the part of it around the place, and a mark below the place."""
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    first = max(start, at - SHOWN_BEFORE)
    part = text[first : len(text) if end < 0 else end][:MAX_SHOWN]
    shown = "".join(letter if letter.isprintable() else " " for letter in part)
    return f"  {shown}\n  {' ' * (at - first)}^"


# --- what is wrong ----------------------------------------------------------------------------------------------------


# By how the parser's complaint begins, wherever it stopped.
_INSIDE = {
    "Extra data": "the value before it is complete; expected the end of the file (or is it one value a line, JSONL?)",
    "Invalid control character": 'a line break or tab inside a text; expected \\n or \\t, or the closing " before it',
    "Invalid \\": "a backslash in a text; expected \\\\ (in paths, / will do)",
    "Unterminated string": 'a text begins here and does not end; expected a closing "',
}
# By what stands where the parser stopped.
_HERE = {
    r"//|/\*|#": "a comment, of which JSON has none; take the comment out: expected a value, a key or a bracket",
    "'": 'a single quote; expected a double quote (")',
    r"(None|NULL|nan)\b": "a word that JSON has not; expected null",
    r"(True|TRUE)\b": "a word that JSON has not; expected true",
    r"(False|FALSE)\b": "a word that JSON has not; expected false",
}
# By how its complaint begins, where nothing better is known.
_OTHERWISE = {
    "Expecting ',' delimiter": "expected a comma or a closing bracket before this",
    "Expecting ':' delimiter": "expected a colon between the key and its value",
    "Expecting property name": 'expected a key in double quotes, or "}"',
    "Expecting value": 'expected a value: a text in double quotes, a number, "{", "[", true, false or null',
}


def _explained(text: str, error: json.JSONDecodeError, expected: str) -> tuple[int, str]:
    """Where the mistake is and what belongs there, from what stands around the place where the parser stopped."""
    at = min(error.pos, len(text))
    here, before = text[at:], text[:at].rstrip()
    if inside := _first(_INSIDE, error.msg.startswith):
        return at, inside
    comma = _trailing_comma(text, at, before)
    if comma is not None:
        return comma, f"a comma with nothing behind it; expected {_next(text, comma)} without a comma before it"
    if not here.strip():
        return len(text.rstrip()), f"the file ends too early; expected {_open(text)}"
    if found := _first(_HERE, lambda pattern: re.match(pattern, here)):
        return at, found
    return at, (_first(_OTHERWISE, error.msg.startswith) if before else None) or f"expected {expected}"


def _first(table: Mapping[str, str], applies: Callable[[str], object]) -> str | None:
    return next((words for key, words in table.items() if applies(key)), None)


def _trailing_comma(text: str, at: int, before: str) -> int | None:
    """The place of a comma in front of a closing bracket; some Pythons stop at the one, some at the other."""
    if text[at : at + 1] in ("}", "]") and before.endswith(","):
        return len(before) - 1
    return at if re.match(r",\s*[}\]]", text[at:]) else None


def _next(text: str, comma: int) -> str:
    return f'"{text[comma + 1 :].lstrip()[:1]}"'


def _open(text: str) -> str:
    """The brackets that are still to be closed, the innermost first."""
    outside = re.sub(r'"(?:\\.|[^"\\])*"', "", text)
    stack: list[str] = []
    for bracket in re.findall(r"[{}\[\]]", outside):
        if bracket in "{[":
            stack.append("}" if bracket == "{" else "]")
        elif stack:
            stack.pop()
    return f'a value, or "{"".join(reversed(stack))[:20]}" at the end' if stack else "a value"
