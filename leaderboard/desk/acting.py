"""An act of organisers: carried out, or played and taken back, on one thing or on many.

What an act would change is found by doing it inside a transaction that is rolled back: there is no second account of
its effects that could be wrong. So decisions do nothing that a rollback cannot take back before they are committed.

Who was shown what an act would change names what was shown (`Outcome.mark`) when it is to be done: if something else
would come of it by now, nothing is done, and that is said.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models import Model

from leaderboard.core import audit, database
from leaderboard.core.audit import Actor
from leaderboard.core.record_words import name_in_words, value_in_words
from leaderboard.core.refusal import Refused
from leaderboard.models import AuditEntry, User
from leaderboard.people.roles import has_role
from leaderboard.states import Role

GONE = "It is gone: somebody deleted it meanwhile."
MOVED_ON = "This is not what you were shown: something changed since you looked. Nothing was done to it. Look again."
NEW = "new"
"""By what is named that an act makes."""


@dataclass(frozen=True)
class Kind:
    """A kind of thing that is acted on. `key` is the field by which people name one: a number, a slug, a name.

    `unread` are heavy fields that no act needs. One that `is_new` is made by the act, and named `NEW`. `called` says
    what a page calls a thing, where that is not the record's name for it.
    """

    name: str
    plural: str
    model: type[Model]
    key: str = "pk"
    unread: Sequence[str] = ()
    is_new: bool = False
    called: Callable[[Any], str] = audit.described

    def find(self, key: str) -> Model:
        """The thing of this key. Raises Refused when there is none."""
        if self.is_new:
            if key != NEW:
                raise Refused(f"{self.name.capitalize()} is named “{NEW}”.")
            return self.model()
        rows = self.model._default_manager.defer(*self.unread)
        try:
            row = rows.filter(**{self.key: key}).first()
        except (ValueError, OverflowError):
            row = None
        if row is None:
            raise Refused(f"There is no {self.name} “{key[:60]}”.")
        return row

    def key_of(self, row: Model) -> str:
        """By what the thing is named in addresses and on the command line."""
        return NEW if self.is_new else str(getattr(row, self.key))

    def name_of(self, row: Model) -> str:
        """As people call it; what an act makes has no name yet."""
        return self.name if self.is_new else self.called(row)


@dataclass(frozen=True)
class Value:
    """Something that an act asks for besides a reason.

    `read` makes the value of what was written, and raises Refused with a sentence for whoever wrote it. `choices` are
    what can be chosen, with words for each.
    """

    name: str
    label: str
    help: str = ""
    read: Callable[[str], Any] = str
    choices: Mapping[str, str] = field(default_factory=dict)
    is_required: bool = True
    is_long: bool = False


@dataclass(frozen=True)
class Act:
    """Something that organisers do.

    `decide` takes the thing, `by`, `why` and the values by their names; it records what it did, and raises Refused
    with a sentence where it is not possible. `says` tells what comes of it, for whom. `is_offered` keeps an act off
    pages of things for which it means nothing now. Where `confirms` is set, a person types the name of the thing as
    well (of one at a time); where `needs_factor`, they prove on the page who they are once more. Where `tells_team`, a
    team reads the reason.
    `shows_once` says what `decide` returns is, where that is shown once, and never again. `delivers` names the file,
    where what `decide` returns is handed to whoever does it (as JSON, of one thing at a time). `around` is held until
    what was decided is committed.
    """

    name: str
    label: str
    kind: Kind
    says: str
    decide: Callable[..., object]
    values: Sequence[Value] = ()
    role: Role = Role.ORGANISER
    needs_reason: bool = False
    is_offered: Callable[[Any], bool] = lambda _row: True
    confirms: bool = False
    needs_factor: bool = False
    is_grave: bool = False
    tells_team: bool = False
    shows_once: str = ""
    delivers: str = ""
    around: Callable[[Any], AbstractContextManager[object]] = nullcontext


class Change(NamedTuple):
    """What a decision changed of one thing, as its record says: fields with what they were and are, as text."""

    action: str
    target: str
    fields: list[tuple[str, str, str]]

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """What this entry says."""
        names = dict.fromkeys([*entry.before, *entry.after])
        fields = [_field_in_words(name, entry.before.get(name), entry.after.get(name)) for name in names]
        return cls(entry.action, entry.target, [one for one in fields if one[1] != one[2]])


def _field_in_words(name: str, before: object, after: object) -> tuple[str, str, str]:
    return name_in_words(name), value_in_words(name, before), value_in_words(name, after)


@dataclass(frozen=True)
class Outcome:
    """What came, or would come, of an act on one thing: what the record says of it, or why it is refused."""

    row: Model
    name: str
    entries: Sequence[AuditEntry] = ()
    refused: str = ""
    found: object = None

    @property
    def changes(self) -> list[Change]:
        """The same in words."""
        return [Change.of(entry) for entry in self.entries]

    @property
    def mark(self) -> str:
        """Another one where something else would come of it: by what stood there before, or by what is refused.

        What is of the moment of the act (an instant, the reason) makes no difference.
        """
        told = [[one.action, one.target, one.before, sorted(one.after), _chosen(one)] for one in self.entries]
        return hashlib.sha256(json.dumps([self.refused, told], sort_keys=True).encode()).hexdigest()[:16]

    def check_is(self, shown: str) -> None:
        """Raise Refused where this is not what somebody was shown."""
        if self.mark != shown:
            raise Refused(MOVED_ON)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        changes = [
            {"action": one.action, "target": one.target, "before": one.before, "after": one.after}
            for one in self.entries
        ]
        return {"target": self.name, "refused": self.refused, "changes": changes}


_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT")


def _chosen(entry: AuditEntry) -> dict[str, Any]:
    """What would stand there after it, but for the reason and instants: these are of the moment of the act."""
    return {
        name: value
        for name, value in entry.after.items()
        if value != entry.why and not (isinstance(value, str) and _INSTANT.match(value))
    }


class Unrecorded(Exception):
    """A mistake in a decision: it changed something and recorded nothing. Nothing is changed then."""


def may_act(user: User, act: Act) -> bool:
    """Whether this person may do it at all."""
    return has_role(user, act.role)


def check_values(act: Act, written: Mapping[str, str]) -> dict[str, Any]:
    """The act's values of what was written. Raises Refused for the first that is missing or can't be read."""
    found = {}
    for value in act.values:
        text = written.get(value.name, "").strip()
        if not text and value.is_required:
            raise Refused(f"“{value.label}” is missing.")
        if text and value.choices and text not in value.choices:
            raise Refused(f"“{value.label}” is one of: {', '.join(value.choices)}.")
        found[value.name] = value.read(text)
    return found


def act_on(
    act: Act,
    rows: Sequence[Model],
    values: Mapping[str, Any],
    *,
    by: Actor,
    why: str,
    dry_run: bool = False,
    shown: Sequence[str] = (),
) -> list[Outcome]:
    """Do it to each of these, or see with `dry_run` what would come of it. A refusal of one does not stop the others.

    `shown` are the marks of what somebody was shown of each, if they were. Raises Refused before anything is done where
    `by` may not do it, or a reason is missing.
    """
    if by.user is not None and not may_act(by.user, act):
        raise Refused(f"“{act.label}” is for {'owners' if act.role == Role.OWNER else 'organisers'}.")
    if act.needs_reason and not why.strip():
        raise Refused("Say why: it is kept in the record.")
    marks = list(shown) or [""] * len(rows)
    return [_act_on(act, row, values, by, why, dry_run, mark) for row, mark in zip(rows, marks, strict=True)]


def _act_on(act: Act, row: Model, values: Mapping[str, Any], by: Actor, why: str, dry_run: bool, shown: str) -> Outcome:
    name = act.kind.name_of(row)
    try:
        with act.around(row), transaction.atomic():
            found = _outcome(act, row, values, by, why, name)
            if dry_run:
                transaction.set_rollback(True)
            elif shown:
                found.check_is(shown)
    except Refused as refusal:
        return Outcome(row, name, refused=str(refusal))
    except ObjectDoesNotExist:
        if row.pk is None or type(row)._default_manager.filter(pk=row.pk).exists():
            raise
        return Outcome(row, name, refused=GONE)
    return found


def _outcome(act: Act, row: Model, values: Mapping[str, Any], by: Actor, why: str, name: str) -> Outcome:
    """What came of it, inside the transaction of the caller. Raises Refused."""
    # decisions change the rows that they are given
    fresh = type(row)._default_manager.filter(pk=row.pk).first() if row.pk else type(row)()
    if fresh is None:
        raise Refused(GONE)
    with audit.noting() as entries, database.noting_writes() as written:
        found = act.decide(fresh, by=by, why=why, **values)
    if written and not entries:
        raise Unrecorded(f"{act.name} wrote into {', '.join(sorted(written))}, and nothing into the record")
    return Outcome(row, name, entries, found=found)
