"""What several parts of one answer ask, found once for all of them; outside of `remembering` it is found each time."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

_known: ContextVar[dict[Hashable, Any] | None] = ContextVar("once", default=None)
Found = TypeVar("Found")


@contextmanager
def remembering() -> Iterator[None]:
    """Until this ends, what was found is known."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def once(question: Hashable, find: Callable[[], Found]) -> Found:
    """The answer to a question, in which all stands on which it depends."""
    known = _known.get()
    if known is None:
        return find()
    if question not in known:
        known[question] = find()
    found: Found = known[question]
    return found
