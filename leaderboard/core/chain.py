"""The chain of the record: each entry's digest covers the one before it, so that a gap or a change shows.

A decision writes its entry and nothing more. Soon after, the sweeper (or `manage.py record`) gives each committed entry
the next number and its digest: in one short transaction of its own, by one process at a time, for which no decision
waits. So what is rolled back leaves no gap, and what an older server wrote, before an upgrade or beside it, is chained
like everything else.

A digest covers what never changes: the number, the instant, the number of the person, the action, the kind and the key
of the thing. Of all that may name somebody (who, on what, why, each field before and after) it covers a seal: the
SHA-256 of a random salt and the words. When a person is forgotten, the database takes the salts of the words away that
change, and notes for whom: their digests stay, so the chain is whole, and nobody can guess by them what the words were.
"""

import hashlib
import json
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any, NamedTuple

from django.db import connection, transaction

from leaderboard.core import locks
from leaderboard.core.audit import NOT_RECORDED
from leaderboard.models import AuditEntry

AT_ONCE = 1000
LOCK = "chain of the record"
ENDINGS = ("delete account", "delete user")
_CHAINED = "UPDATE leaderboard_auditentry SET number = new.number, digest = new.digest, seals = new.seals::jsonb"
_NEW = "FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[]) AS new(id, number, digest, seals)"


class Link(NamedTuple):
    """An entry's place in the chain, and its digest."""

    number: int
    digest: str


START = Link(0, "")


class Part(NamedTuple):
    """What became of verifying some entries: how far they reach, what is wrong, in sentences, and a mark of each."""

    reached: Link
    size: int
    problems: list[str]
    marks: list[str]


# --- chaining ---------------------------------------------------------------------------------------------------------


def extend(most: int = AT_ONCE) -> int:
    """Chain entries that wait for it; how many. None while another process is at it."""
    with transaction.atomic():
        if not locks.try_one_at_a_time(LOCK):
            return 0
        # Not those that are being changed just now: a person is forgotten in them.
        unchained = AuditEntry.objects.filter(number=None).order_by("pk")
        waiting = list(unchained.select_for_update(skip_locked=True)[:most])
        if waiting:
            _write(waiting, last())
    return len(waiting)


def extend_all() -> int:
    """Chain everything that waits; how many entries that were."""
    total = 0
    while count := extend():
        total += count
    return total


def last() -> Link:
    """The end of the chain."""
    end = AuditEntry.objects.filter(number__isnull=False).order_by("-number").values_list("number", "digest").first()
    return Link(end[0] or 0, end[1]) if end else START


def link_of(number: int) -> Link | None:
    """The entry of this number; None if there is none."""
    found = AuditEntry.objects.filter(number=number).values_list("number", "digest").first()
    return Link(number, found[1]) if found else None


def _write(entries: Sequence[AuditEntry], end: Link) -> None:
    rows = []
    for entry in entries:
        entry.seals = {name: _sealed(words) for name, words in _parts(entry)}
        entry.number = end.number + 1
        end = Link(entry.number, digest_of(entry, end))
        rows.append((entry.pk, end.number, end.digest, json.dumps(entry.seals)))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL leaderboard.chains = 'yes'")
        cursor.execute(
            f"{_CHAINED} {_NEW} WHERE leaderboard_auditentry.id = new.id", [*map(list, zip(*rows, strict=True))]
        )
        cursor.execute("SET LOCAL leaderboard.chains = 'no'")


def _parts(entry: AuditEntry) -> Iterator[tuple[str, Any]]:
    """What may name somebody, by its name: a trigger of the database knows these names as well."""
    yield from (("by", entry.by), ("target", entry.target), ("why", entry.why))
    for side, state in (("before", entry.before), ("after", entry.after)):
        yield from ((f"{side}.{field}", value) for field, value in state.items())


def _sealed(words: Any) -> list[str]:
    salt = secrets.token_hex(16)
    return [salt, _seal(salt, words)]


def _seal(salt: str, words: Any) -> str:
    return hashlib.sha256(f"{salt} {_canonical(words)}".encode()).hexdigest()


def digest_of(entry: AuditEntry, before: Link) -> str:
    """The digest of a numbered and sealed entry that follows this one."""
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    fixed = [entry.number, entry.pk, at, entry.user_id, entry.action, entry.target_type, entry.target_id]
    seals = {name: seal[1] for name, seal in (entry.seals or {}).items()}
    return hashlib.sha256(_canonical([before.digest, fixed, seals]).encode()).hexdigest()


def _canonical(value: Any) -> str:
    """One spelling of what JSON holds."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


# --- verifying --------------------------------------------------------------------------------------------------------


def verify(after: Link, most: int = AT_ONCE, known: Collection[str] = ()) -> Part:
    """Verify the next entries of the chain after this one, so many of them; but for what is `known`, by its marks."""
    entries = list(AuditEntry.objects.filter(number__gt=after.number).order_by("number")[:most])
    ended = _ended(entries)
    problems: list[str] = []
    marks: list[str] = []
    for entry in entries:
        found = {mark: told for mark, told in _problems_of(entry, after, ended).items() if mark not in known}
        problems += _in_words(entry, after, [*found.values()])
        marks += found
        after = Link(entry.number or 0, entry.digest)
    return Part(after, len(entries), problems, marks)


def _ended(entries: Sequence[AuditEntry]) -> set[str]:
    """Of the people for whom words of these entries were forgotten, those whose account has ended, by the record."""
    people = {seal[2] for entry in entries for seal in (entry.seals or {}).values() if len(seal) > 2}
    if not people:
        return set()
    endings = AuditEntry.objects.filter(target_type="user", action__in=ENDINGS, target_id__in=people)
    return set(endings.values_list("target_id", flat=True))


_GONE, _FIXED = "gone", "fixed"


def _problems_of(entry: AuditEntry, before: Link, ended: set[str]) -> dict[str, str]:
    """What is wrong, by a mark that is another one once something else is wrong: a part, _FIXED or _GONE."""
    digest = digest_of(entry, before)
    place = [entry.number, before, entry.digest, digest]
    found = {}
    if (entry.number or 0) > before.number + 1:
        found[_mark(_GONE, place)] = _GONE
    elif entry.digest != digest:
        found[_mark(_FIXED, place)] = _FIXED
    parts = dict(_parts(entry))
    for name in _changed(entry, entry.seals or {}, ended):
        found[_mark(name, [entry.number, (entry.seals or {}).get(name), parts.get(name)])] = name
    return found


def _mark(what: str, of: Any) -> str:
    return hashlib.sha256(_canonical([what, of]).encode()).hexdigest()[:32]


def _in_words(entry: AuditEntry, before: Link, found: Sequence[str]) -> list[str]:
    number, expected = entry.number or 0, before.number + 1
    told = []
    if _GONE in found:
        gone = f"Entry {expected} is" if number - 1 == expected else f"Entries {expected} to {number - 1} are"
        told.append(f"{gone} gone.")
    if _FIXED in found:
        told.append(f"Entry {number} was changed.")
    if parts := sorted(set(found) - {_GONE, _FIXED}):
        told.append(f"Entry {number} was changed: {', '.join(parts)}.")
    return told


def _changed(entry: AuditEntry, seals: Mapping[str, Sequence[str]], ended: set[str]) -> Iterator[str]:
    """The parts that do not say any more what was sealed, though nobody who is gone was named in them."""
    parts = dict(_parts(entry))
    yield from parts.keys() ^ seals.keys()
    for name in parts.keys() & seals.keys():
        salt, digest, *whom = seals[name]
        if whom:
            if whom[0] not in ended or not _says_nobody(parts[name], whom[0]):
                yield name
        elif _seal(salt, parts[name]) != digest:
            yield name


def _says_nobody(words: Any, whom: str) -> bool:
    """Whether words were put in place of a name: nothing else may be written where somebody was forgotten."""
    return words == NOT_RECORDED or f"user {whom}" in _canonical(words)
