"""What needs a person, by urgency, each with the acts that settle it.

Each module here finds things of one kind; `waiting` asks all of them. What settles by itself is none of it.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from leaderboard.desk.attention import (
    alike,
    capacity,
    hosts,
    messages,
    objections,
    phases,
    record,
    rescorings,
    runs,
    teams,
)
from leaderboard.desk.attention.items import Item

SOURCES: Sequence[Callable[[datetime], Iterator[Item]]] = (
    record.broken,
    runs.interrupted,
    alike.failures,
    objections.unanswered,
    rescorings.undecided,
    phases.unready,
    phases.reveal_due,
    hosts.troubled,
    capacity.will_not_fit,
    teams.to_approve,
    teams.doubles,
    teams.out_of_reach,
    messages.wanted,
)


def waiting(at: datetime) -> list[Item]:
    """Everything that waits for a person at this instant; the most urgent first, then what waits longest."""
    found = [item for source in SOURCES for item in source(at)]
    return sorted(found, key=lambda item: (item.urgency, item.since or at))
