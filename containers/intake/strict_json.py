"""JSON from an upload, read so that no other reader can see another document in the same bytes.

Go's decoder (the engine) ignores the case of keys and takes the last of two equal ones; other readers differ.
Where readers could disagree, the document is refused. Keys that no reader knows cannot make them disagree.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn

from containers.intake.errors import SAVE_AGAIN, ImageRejected, quoted

_NOT_TEXT: Final = re.compile("[\0\ud800-\udfff]")


def parse(data: bytes, *, what: str, max_depth: int) -> Any:
    """The document in `data` (UTF-8), without duplicate keys, NaN, NUL, lone surrogates, nesting over max_depth."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(pairs)
        if len(document) != len(pairs):
            twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
            raise ImageRejected("duplicate_key", f"{what} holds the key {quoted(twice)} twice. {SAVE_AGAIN}")
        return document

    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ImageRejected("bad_json", f"{what} is not valid JSON. {SAVE_AGAIN}") from error
    for text, depth in _texts(document):
        if depth > max_depth:
            raise ImageRejected("bad_json", f"{what} is nested too deeply. {SAVE_AGAIN}")
        if text is not None and _NOT_TEXT.search(text):
            raise ImageRejected("bad_json", f"{what} holds characters that no text may contain. {SAVE_AGAIN}")
    return document


def known_keys(document: Any, known: Iterable[str], *, what: str, never: Iterable[str] = ()) -> dict[str, Any]:
    """`document` as an object of which the keys in `known` may be read.

    Builders add keys of their own (annotations, caches, times); nobody reads those, so they are passed over. Refused is
    a key that another reader would take for a known one (written with other letters), and one of `never`: keys by which
    a reader would take the whole document for one of another kind.
    """
    if not isinstance(document, dict):
        raise ImageRejected("bad_json", f"{what} is not a JSON object. {SAVE_AGAIN}")
    known = frozenset(known)
    variants = {key.casefold(): key for key in known}
    foreign = {key.casefold() for key in never}
    for key in document.keys() - known:
        if key.casefold() in foreign:
            raise ImageRejected(
                "unknown_key",
                f"{what} holds the key {quoted(key)}, which belongs to another kind of document. {SAVE_AGAIN}",
            )
        if meant := variants.get(key.casefold()):
            raise ImageRejected(
                "unknown_key", f"{what} holds the unknown key {quoted(key)} (is {quoted(meant)} meant?). {SAVE_AGAIN}"
            )
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _texts(document: Any) -> Iterator[tuple[str | None, int]]:
    """Every string and key with its depth (None for a container), without recursion."""
    waiting = [(document, 1)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, str):
            yield value, depth
        elif isinstance(value, dict):
            yield None, depth
            waiting.extend((part, depth + 1) for pair in value.items() for part in pair)
        elif isinstance(value, list):
            yield None, depth
            waiting.extend((part, depth + 1) for part in value)
