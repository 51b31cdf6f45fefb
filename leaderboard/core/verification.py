"""How the record is found when it is verified: all of it now and then by the sweeper, a part in each of its rounds.

The pages show what the last whole round found: none of them reads the record from end to end.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction

from leaderboard.core import audit, chain, clock, locks
from leaderboard.core.audit import Actor
from leaderboard.core.chain import START, Link
from leaderboard.core.refusal import Refused
from leaderboard.models import AuditEntry, RecordCheck

logger = logging.getLogger(__name__)
EVERY = timedelta(hours=6)  # the pause after a whole round
MOST_PROBLEMS = 20
LOCK = "verification of the record"
ACKNOWLEDGE = "acknowledge break"


def latest() -> RecordCheck:
    """What was found last: the one row, which the first round makes."""
    return RecordCheck.objects.filter(pk=1).first() or RecordCheck(pk=1)


def look(at: datetime) -> None:
    """Chain what waits, and verify the next part, where it is time for it. For the sweeper."""
    chain.extend()
    with transaction.atomic():
        if locks.try_one_at_a_time(LOCK):
            found = latest()
            if found._state.adding and chain.last() == START:
                return  # in a new database, to which a backup may still be restored
            if found.reached or found.checked_at is None or not at - EVERY < found.checked_at <= at:
                _go_on(found, at)


def verify_all() -> RecordCheck:
    """Chain what waits, and verify the whole record now."""
    chain.extend_all()
    with transaction.atomic():
        locks.one_at_a_time(LOCK)
        found = latest()
        _begin(found)
        while not _go_on(found, clock.now()):
            pass
    return found


@transaction.atomic
def acknowledge(_check: RecordCheck, *, by: Actor, why: str) -> None:
    """Say of a record that is not whole that people know, and why: what is found again is then told no more.

    The breaks stay, and the record says so for ever; what is changed after this shows as before. Raises Refused.
    """
    if not why.strip():
        raise Refused("Say why the record is not whole: it is kept in it.")
    locks.one_at_a_time(LOCK)
    found, known, reached = latest(), acknowledged(), START
    problems = _end_that_was_seen(found)
    marks: list[str] = []
    while (part := chain.verify(reached, chain.AT_ONCE, known)).size:
        problems, marks, reached = problems + part.problems, marks + part.marks, part.reached
    if not problems:
        raise Refused("The record is whole, but for what was acknowledged.")
    told = {"marks": marks, "entries": reached.number, "digest": reached.digest}
    audit.record(by, ACKNOWLEDGE, found, before={"problems": problems}, after=told, why=why)
    found.entries, found.digest, found.problems = reached.number, reached.digest, []
    _begin(found)
    found.save()


def acknowledged() -> set[str]:
    """The marks of all breaks of which people said that they know."""
    entries = AuditEntry.objects.filter(action=ACKNOWLEDGE, target_type="recordcheck").values_list("after", flat=True)
    return {mark for after in entries for mark in after.get("marks", [])}


def _go_on(found: RecordCheck, at: datetime) -> bool:
    """Verify the next part; whether it was the last one of the round."""
    part = chain.verify(Link(found.reached, found.reached_digest), chain.AT_ONCE, acknowledged())
    seen = _end_that_was_seen(found) if not found.reached else []
    found.found = [*found.found, *seen, *part.problems][:MOST_PROBLEMS]
    found.reached, found.reached_digest = part.reached
    is_last = part.size < chain.AT_ONCE
    if is_last:
        _end(found, at)
    found.save()
    return is_last


def _end_that_was_seen(found: RecordCheck) -> list[str]:
    """What is wrong with the entry that was the last one: an end that is cut off leaves the rest whole."""
    if not found.entries:
        return []
    entry = chain.link_of(found.entries)
    if entry is None:
        return [f"Entry {found.entries}, which was seen {found.checked_at:%Y-%m-%d %H:%M} UTC, is gone."]
    return [] if entry.digest == found.digest else [f"Entry {found.entries} is another one than was seen before."]


def _end(found: RecordCheck, at: datetime) -> None:
    if not found.found:  # else the end that was seen goes on to be missed
        found.entries, found.digest = found.reached, found.reached_digest
        logger.info("the record is whole: %d entries, the last one's digest is %s", found.entries, found.digest)
    elif found.found != found.problems:
        logger.error("the record is not whole: %s", " ".join(found.found))
    found.checked_at, found.problems = at, found.found
    _begin(found)


def _begin(found: RecordCheck) -> None:
    found.reached, found.reached_digest = START
    found.found = []
