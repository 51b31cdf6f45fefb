"""The record of what people decide: the only code that writes it, whatever way the decision came in by.

Call inside the transaction that carries the decision out: both happen, or neither does. What the server does by itself
is not a decision; lifecycle keeps that history.
"""

import getpass
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self

from allauth.account.models import EmailAddress
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.db.models import Model, Q, QuerySet

from leaderboard.core import clock
from leaderboard.core.text import pattern_of, sanitised
from leaderboard.models import AuditEntry, Membership, User

State = Mapping[str, Any]
_noted: ContextVar[list[AuditEntry] | None] = ContextVar("noted", default=None)


@dataclass(frozen=True)
class Actor:
    """Who decides. `name` is never an email address."""

    name: str
    user: User | None = None

    @classmethod
    def person(cls, user: User) -> Self:
        """Somebody who is signed in."""
        return cls(described(user), user)

    @classmethod
    def command_line(cls) -> Self:
        """Whoever runs manage.py on the server, by the name that the operating system knows."""
        name = "unknown"
        with suppress(OSError, KeyError):
            name = getpass.getuser()
        return cls(f"command line ({name})")


def record(
    actor: Actor, action: str, target: Model, *, before: State | None = None, after: State | None = None, why: str = ""
) -> AuditEntry:
    """Write down that `actor` decided `action` on `target`; `before` and `after` hold what changed, by field."""
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("a decision and its record belong into one transaction")
    entry = AuditEntry.objects.create(
        at=clock.now(),
        user_id=actor.user.pk if actor.user else None,
        by=sanitised(actor.name)[:120],
        action=action,
        target_type=target._meta.model_name or "",
        target_id=str(target.pk),
        target=sanitised(described(target))[:200],
        before=_storable(before or {}),
        after=_storable(after or {}),
        why=sanitised(why).strip(),
    )
    if (noted := _noted.get()) is not None:
        noted.append(entry)
    return entry


def entries_about(target: Model) -> QuerySet[AuditEntry]:
    """What people decided about one thing, newest first; without the seals, which only the chain reads."""
    of_kind = AuditEntry.objects.filter(target_type=target._meta.model_name or "", target_id=str(target.pk))
    return of_kind.defer("seals")


@contextmanager
def noting() -> Iterator[list[AuditEntry]]:
    """The entries that are written meanwhile, in their order; also those that are rolled back."""
    entries: list[AuditEntry] = []
    before = _noted.set(entries)
    try:
        yield entries
    finally:
        _noted.reset(before)


def record_change(
    actor: Actor, action: str, old: Model | None, new: Model, *, fields: Iterable[str] | None = None, why: str = ""
) -> AuditEntry | None:
    """Write down which fields of a row (all, unless told which) differ between `old` (None: it is new) and `new`.

    Nothing when none does.
    """
    names = list(fields or (field.attname for field in new._meta.concrete_fields if field.attname != "last_login"))
    changed = [name for name in names if old is None or getattr(old, name) != getattr(new, name)]
    if not changed:
        return None
    before = state_of(old, changed) if old else None
    return record(actor, action, new, before=before, after=state_of(new, changed), why=why)


def state_of(row: Model, fields: Iterable[str] | None = None) -> dict[str, Any]:
    """A row's fields (all of them, unless told which) as they are recorded: of secrets and addresses not the value."""
    names = fields or (field.attname for field in row._meta.concrete_fields)
    return {name: NOT_RECORDED if name in _PRIVATE else getattr(row, name) for name in names}


def storable_state(row: Model, fields: Iterable[str]) -> dict[str, Any]:
    """The same as JSON holds it."""
    return _storable(state_of(row, fields))


NOT_RECORDED = "(not recorded)"
_PRIVATE = frozenset({"password", "token_hash", "join_code", "link_key", "email", "username"})


def described(target: Model) -> str:
    """A row as the record names it: never by an address, which whoever has no name goes by elsewhere."""
    if isinstance(target, User):
        return target.name or f"user {target.pk}"
    if isinstance(target, Membership):
        return f"{described(target.user)} in {target.team}"
    if isinstance(target, EmailAddress):
        return f"an address of {described(target.user)}"
    return str(target)


def forget(user: User) -> None:
    """Name a person no more, whose account ends: what was decided stays, by a number that is nobody's any more.

    The database lets nothing else of the record be changed, and this only here.
    """
    about_them = Q(target_type="user", target_id=str(user.pk))
    theirs = AuditEntry.objects.filter(Q(user_id=user.pk) | about_them)
    names = {user.name, user.email, user.username, *theirs.filter(user_id=user.pk).values_list("by", flat=True)}
    names |= set(theirs.filter(about_them).values_list("target", flat=True))
    nobody = f"user {user.pk}"
    pattern = pattern_of(names - {nobody})
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL leaderboard.forgets_a_person = 'yes'")
        for entry in AuditEntry.objects.filter(Q(user_id=user.pk) | about_them | _mentions(user, names)):
            _forget_in(entry, user, pattern, nobody)
        cursor.execute("SET LOCAL leaderboard.forgets_a_person = 'no'")


def _mentions(user: User, names: set[str]) -> Q:
    """Entries about something else of this person: a membership, an address, a team that was handed over."""
    found = Q(before__user_id=user.pk) | Q(after__user_id=user.pk)
    for name in names - {""}:
        found |= Q(target_type="emailaddress", target=f"an address of {name}")
        found |= Q(target_type="membership", target__startswith=f"{name} in ")
        found |= Q(before__captain=name) | Q(after__captain=name) | Q(before__member=name)
    return found


def _forget_in(entry: AuditEntry, user: User, pattern: re.Pattern[str], nobody: str) -> None:
    about_them = (entry.target_type, entry.target_id) == ("user", str(user.pk))
    if entry.user_id == user.pk:
        entry.by = nobody
    entry.target = nobody if about_them else pattern.sub(nobody, entry.target)[:200]
    entry.why = pattern.sub(nobody, entry.why)
    for field in ("before", "after"):
        state = getattr(entry, field)
        private = set(state) & _OF_A_PERSON if about_them else set()
        setattr(entry, field, _without(state, pattern, nobody) | dict.fromkeys(private, NOT_RECORDED))
    entry.save(update_fields=["by", "target", "why", "before", "after"])


def _without(value: Any, pattern: re.Pattern[str], nobody: str) -> Any:
    """What JSON holds, with the person's names replaced wherever they stand."""
    if isinstance(value, dict):
        return {key: _without(one, pattern, nobody) for key, one in value.items()}
    if isinstance(value, list):
        return [_without(one, pattern, nobody) for one in value]
    return pattern.sub(nobody, value) if isinstance(value, str) else value


_OF_A_PERSON = frozenset({"name", "first_name", "last_name", "affiliation", "country", "orcid"})


def _storable(state: State) -> dict[str, Any]:
    """The state as JSON holds it: instants and decimals as text."""
    stored: dict[str, Any] = json.loads(DjangoJSONEncoder().encode(dict(state)))
    return stored
