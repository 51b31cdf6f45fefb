"""The record, searched and exported."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Self

from django.db import transaction
from django.db.models import Q, QuerySet

from leaderboard.core import audit, verification
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import csv_cell
from leaderboard.models import AuditEntry

LONGEST = 200
MOST_DIGITS = 18  # of a number that the database can hold
AT_ONCE = 1000
# What people call things that the code calls otherwise.
KINDS = {"run": "submission", "person": "user"}
COLUMNS = (
    *("number", "at", "by", "user_id", "action", "target_type", "target_id", "target"),
    *("before", "after", "why", "digest"),
)


@dataclass(frozen=True)
class Search:
    """Which entries are asked for; what is empty asks for nothing. Days are in UTC, `until` is the last of them.

    `thing` is a kind (“run”, “phase”), a kind and its number (“run 361”), or a part of its name.
    """

    person: str = ""
    action: str = ""
    thing: str = ""
    words: str = ""
    since: date | None = None
    until: date | None = None

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Self:
        """The search that is written there. Raises Refused for what is no date."""
        text = {
            name: " ".join(asked.get(name, "").split())[:LONGEST] for name in ("person", "action", "thing", "words")
        }
        return cls(**text, since=_day(asked.get("since", "")), until=_day(asked.get("until", "")))

    @property
    def parameters(self) -> dict[str, str]:
        """What stands in the address."""
        return {name: str(value) for name, value in vars(self).items() if value}

    def entries(self) -> QuerySet[AuditEntry]:
        """What fits, the latest first."""
        found = AuditEntry.objects.defer("seals").filter(self._of_person(), self._on_thing())
        if self.action:
            found = found.filter(action__icontains=self.action)
        for word in self.words.split():
            found = found.filter(_says(word))
        if self.since:
            found = found.filter(at__gte=_begin(self.since))
        if self.until:
            found = found.filter(at__lt=_begin(self.until) + timedelta(days=1))
        return found

    def _of_person(self) -> Q:
        if not self.person:
            return Q()
        return Q(user_id=int(self.person)) if _is_number(self.person) else Q(by__icontains=self.person)

    def _on_thing(self) -> Q:
        if not self.thing:
            return Q()
        kind, _, key = self.thing.rpartition(" ")
        if kind and _is_number(key):
            return Q(target_type=_kind(kind), target_id=key) | Q(target__icontains=self.thing)
        return Q(target_type=_kind(self.thing)) | Q(target__icontains=self.thing)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS


def _kind(words: str) -> str:
    kind = words.lower().replace(" ", "")
    return KINDS.get(kind, kind)


def _says(word: str) -> Q:
    """Whether the word stands anywhere in it."""
    fields = ("by", "action", "target", "why", "before", "after")
    found = Q()
    for field in fields:
        found |= Q(**{f"{field}__icontains": word})
    return found


def _day(text: str) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise Refused("Write a day like 2026-11-28.") from None


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


# --- exports ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def export(asked: Search, *, by: Actor, form: str) -> Iterator[str]:
    """What fits, from the first on, as “json” or “csv”, piece by piece.

    It names people, and leaves the server: who took it along, and what of it, is a decision that is recorded.
    """
    found = asked.entries()
    after = {"form": form, "entries": found.count(), "search": asked.parameters}
    entry = audit.record(by, "export record", verification.latest(), after=after)
    rows = map(as_json, _in_parts(found, upto=entry.pk))
    return _as_json_text(rows) if form == "json" else _as_csv_text(rows)


def _in_parts(found: QuerySet[AuditEntry], *, upto: int) -> Iterator[AuditEntry]:
    """Without holding all of them at once, nor a connection while a browser is slow."""
    after = 0
    while part := list(found.filter(pk__gt=after, pk__lt=upto).order_by("pk")[:AT_ONCE]):
        yield from part
        after = part[-1].pk


def as_json(entry: AuditEntry) -> dict[str, Any]:
    """An entry for programs."""
    return {name: getattr(entry, name) for name in COLUMNS} | {"at": entry.at.astimezone(UTC).isoformat()}


def _as_json_text(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield "["
    for number, row in enumerate(rows):
        yield ("," if number else "") + "\n" + json.dumps(row, ensure_ascii=False)
    yield "\n]\n"


def _as_csv_text(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield _line(COLUMNS)
    for row in rows:
        yield _line(_cell(row[name]) for name in COLUMNS)


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else csv_cell(str(value))


def _line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue()
