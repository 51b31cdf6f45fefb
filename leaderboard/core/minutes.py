"""What was so at the last full minute, found once for all who ask within the minute that follows.

Only for what is told by instants before the minute: it cannot change any more, so whoever asks later in the minute is
answered what finding it anew would say. A transaction may commit a moment after the instant that it writes down; so
within `SETTLED` of the minute's beginning an answer is kept for no longer than the second in which it was found. What
can change at any moment belongs into the question.
"""

from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Any, TypeVar

SETTLED = timedelta(seconds=5)
MOST = 32  # answers that are kept: what people hand in meanwhile makes other questions

Found = TypeVar("Found")
Kept = dict[Hashable, list[Any]]
_kept: Kept = {}


def minute_of(at: datetime) -> datetime:
    """The minute that had begun."""
    return at.replace(second=0, microsecond=0)


def found_once(at: datetime, question: Hashable, find: Callable[[], Found], kept: Kept | None = None) -> Found:
    """The answer to a question about the minute that had begun at this instant; `kept` holds it for others."""
    kept = _kept if kept is None else kept
    minute, second = minute_of(at), at.replace(microsecond=0)
    key = minute, None if second - minute >= SETTLED else second, question
    known: list[Found]
    if known := kept.get(key, []):
        return known[0]
    found = find()
    if len(kept) >= MOST:
        kept.clear()
    if MOST:
        kept[key] = [found]
    return found
