"""Something that waits for a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from django.db.models import Model

from leaderboard.desk.acting import Act


class Urgency(IntEnum):
    """By when somebody should look: now; before the next deadline; when there is time."""

    NOW = 0
    DEADLINE = 1
    LATER = 2


@dataclass(frozen=True)
class Item:
    """What waits: in two or three words, in a sentence that begins with whom it is about, and why it matters.

    `level` is "bad", "warn" or "idle". `acts` are offered as buttons, each with the thing it acts on; `links` lead to
    more (words, address). `since` is when it began to wait, where that is known. Where `looks_first`, the first link is
    what to press first.
    """

    urgency: Urgency
    level: str
    word: str
    what: str
    why: str = ""
    since: datetime | None = None
    acts: Sequence[tuple[Act, Model]] = ()
    links: Sequence[tuple[str, str]] = ()
    looks_first: bool = False
