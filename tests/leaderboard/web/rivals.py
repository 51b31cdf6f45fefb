"""What is neither a rival's nor public, in all tables: what it says, and whether a request changed any of it.

Rows of a table that nobody listed here are taken for somebody else's. So a new table is watched from its first day.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from allauth.usersessions.models import UserSession
from django.apps import apps
from django.db.models import Field, Model, Q
from django.utils.html import escape

from leaderboard.core import clock
from leaderboard.models import (
    ApiAnswer,
    ApiToken,
    Attempt,
    AuditEntry,
    BoardRow,
    Case,
    Draft,
    Finding,
    Handover,
    Invitation,
    ListedRun,
    OutgoingMail,
    ResumableUpload,
    Submission,
    Team,
    TeamApproval,
    User,
)

#: For everybody to read, or without a word of anybody's.
PUBLIC = {
    *("leaderboard.Phase", "leaderboard.CaseSet", "leaderboard.DataTerms", "leaderboard.Registration"),
    *("leaderboard.NewsItem", "leaderboard.FaqSection", "leaderboard.Question", "leaderboard.ChallengeDate"),
    *("leaderboard.BoardVersion", "leaderboard.ReferenceRow", "leaderboard.Maintenance"),
    *("leaderboard.SiteLine", "leaderboard.BoardVersion", "leaderboard.ReferenceRow"),
    *("auth.Permission", "contenttypes.ContentType"),
    "sessions.Session",  # asking writes the asker's own
    "leaderboard.Throttle",  # counts tries, under hashes
}
#: What a board shows of a team and of its counting run.
ON_BOARDS = {
    Team: ("name", "slug", "affiliation"),
    BoardRow: ("basis", "name", "shown", "opened"),
    ListedRun: ("key", "name", "shown"),
    Submission: ("algorithm", "method", "external_data", "paper_url", "code_url"),
}
#: Names of files that the guidelines of an import give, so that pages say them as well.
USUAL_NAMES = {"dataset.json"}
SHORTEST = 8  # a shorter text says little, and stands in pages by chance
WRITTEN = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM) "(\w+)"')

Key = tuple[type[Model], Any]


class Text(NamedTuple):
    """A text that a rival must not read: where it stands in the database, and whether boards show it."""

    column: str
    on_boards: bool


class Rivals:
    """Everything that there is beside one person and their team, as it was when this was made."""

    def __init__(self, person: User) -> None:
        self.person = person
        self.models = [model for model in apps.get_models(include_auto_created=True) if model._meta.label not in PUBLIC]
        self._tables = {model._meta.db_table: model for model in self.models}
        team = person.membership.team
        self.own: set[Key] = {(Team, team.pk), *((User, one.user_id) for one in team.memberships.all())}
        self._before = {model: _rows(model) for model in self.models}
        self._seen: dict[str, frozenset[str]] = {}
        self._follow_own()

    def _follow_own(self) -> None:
        """What hangs on the person's own rows is theirs as well."""
        known = 0
        while known < len(self.own):
            known = len(self.own)
            for model, rows in self._before.items():
                self.own |= {(model, key) for key, row in rows.items() if self._is_own(model, row)}

    def _is_own(self, model: type[Model], row: Mapping[str, Any]) -> bool:
        if model is OutgoingMail:
            return bool(row["to"] == self.person.email)
        if model is AuditEntry:
            return bool(row["user_id"] == self.person.pk)
        if model is Case:
            return row["case_set_id"] in _public_sets()
        if model is Finding:
            return (Case, row["case_id"]) in self.own
        return any(target in self.own for target in _targets(model, row))

    # --- what it says -------------------------------------------------------------------------------------------------

    @cached_property
    def texts(self) -> dict[str, Text]:
        """Every text of others, but for what the person's own and public rows say as well."""
        common = {text for model, rows in self._common() for row in rows for _, text in _texts(model, row)}
        found: dict[str, Text] = {}
        for model, rows in self._before.items():
            for key, row in rows.items():
                if (model, key) in self.own:
                    continue
                for field, text in _texts(model, row):
                    if text not in common:
                        on_boards = field.name in ON_BOARDS.get(model, ()) or found.get(text, Text("", False)).on_boards
                        found[text] = Text(f"{model._meta.label}.{field.name}", on_boards)
        return found

    def _common(self) -> Iterator[tuple[type[Model], list[Mapping[str, Any]]]]:
        for model, rows in self._before.items():
            yield model, [row for key, row in rows.items() if (model, key) in self.own]
        for model in map(apps.get_model, PUBLIC):
            yield model, list(_rows(model).values())

    def read_in(self, said: str, *, but: str, board: bool = False) -> set[str]:
        """In which columns of others stands what is said here, `but` for what the reader said."""
        return {
            self.texts[word].column
            for word in self._words_in(said)
            if word not in but and not (board and self.texts[word].on_boards)
        }

    def _words_in(self, said: str) -> frozenset[str]:
        """Line by line, as most lines are those of all pages; what has several lines is looked for in the whole."""
        one_line, longer = self._spellings
        lines = set(said.split("\n"))
        for line in lines - self._seen.keys():
            self._seen[line] = _standing_in(line, one_line)
        return _standing_in(said, longer).union(*(self._seen[line] for line in lines))

    @cached_property
    def _spellings(self) -> tuple[dict[str, str], dict[str, str]]:
        """Each text by how it may be written: those of one line, and the others."""
        every = {escape(text): text for text in self.texts} | {text: text for text in self.texts}
        one_line = {written: text for written, text in every.items() if "\n" not in written}
        return one_line, {written: text for written, text in every.items() if written not in one_line}

    # --- what was changed ---------------------------------------------------------------------------------------------

    def changed_by(self, queries: list[str]) -> set[str]:
        """The tables in which these queries changed a row of others, or added one to something of theirs."""
        tables = {name for sql in queries for name in WRITTEN.findall(sql)}
        return {
            model._meta.label
            for model in filter(None, map(self._tables.get, tables))
            if self._has_changed(model, _rows(model))
        }

    def _has_changed(self, model: type[Model], after: dict[Any, dict[str, Any]]) -> bool:
        before = self._before[model]
        if any(after.get(key) != row for key, row in before.items() if (model, key) not in self.own):
            return True
        added = [row for key, row in after.items() if key not in before]
        return any(self._is_others(target) for row in added for target in _targets(model, row))

    def _is_others(self, target: Key) -> bool:
        model, key = target
        return target not in self.own and key in self._before.get(model, {})

    def written_to(self) -> Iterator[OutgoingMail]:
        """Messages that were not there before."""
        yield from OutgoingMail.objects.exclude(pk__in=self._before[OutgoingMail])


def _standing_in(said: str, spellings: Mapping[str, str]) -> frozenset[str]:
    return frozenset(text for written, text in spellings.items() if written in said)


def _public_sets() -> set[int]:
    model = apps.get_model("leaderboard.Phase")
    return set(model.objects.filter(cases_are_public=True).values_list("case_set_id", flat=True))


def _rows(model: type[Model]) -> dict[Any, dict[str, Any]]:
    return {row[model._meta.pk.attname]: row for row in model._default_manager.values()}


def _targets(model: type[Model], row: Mapping[str, Any]) -> Iterator[Key]:
    """What a row refers to."""
    for field in model._meta.concrete_fields:
        if field.related_model and row[field.attname] is not None:
            yield field.related_model, row[field.attname]


def _texts(model: type[Model], row: Mapping[str, Any]) -> Iterator[tuple["Field[Any, Any]", str]]:
    for field in model._meta.concrete_fields:
        if not field.is_relation and not field.choices:
            texts = (text for text in _leaves(row[field.attname]) if text not in USUAL_NAMES)
            yield from ((field, text) for text in texts if len(text) >= SHORTEST)


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, UUID):
        yield str(value)
    elif isinstance(value, dict):
        yield from (text for each in value.values() for text in _leaves(each))
    elif isinstance(value, list | tuple):
        yield from (text for each in value for text in _leaves(each))


# --- something to find ------------------------------------------------------------------------------------------------

PRIVATE: dict[type[Model], tuple[str, ...]] = {
    Submission: ("algorithm", "method", "external_data", "note", "upload_name", "weights_name", "pdf_name", "reason"),
    Attempt: ("log", "detail"),
    ResumableUpload: ("name", "fingerprint"),
    ApiToken: ("name",),
    OutgoingMail: ("subject",),
    TeamApproval: ("reason",),
    User: ("username", "name", "affiliation"),
}


def write_private_words(person: User) -> None:
    """Give every row that is not this person's words of its own where only its owners should read any."""
    team = person.membership.team_id
    own: dict[type[Model], Q] = {
        Submission: Q(team=team),
        Attempt: Q(batch__run__submission__team=team),
        ResumableUpload: Q(draft__team=team),
        ApiToken: Q(user=person),
        OutgoingMail: Q(to=person.email),
        TeamApproval: Q(team=team),
        User: Q(pk=person.pk),
    }
    for model, names in PRIVATE.items():
        rows = list(model._default_manager.exclude(own[model]))
        for row in rows:
            for name in names:
                setattr(row, name, f"private-{name}-{model.__name__}-{row.pk}"[:40])
        model._default_manager.bulk_update(rows, names)
    for draft in Draft.objects.exclude(team=team):
        Draft.objects.filter(pk=draft.pk).update(words={"algorithm": "private-words", "method": "private-draft-method"})


def begin_what_is_private(captain: User, member: User) -> None:
    """What the population has none of: a session, an answer that is kept for repeats, an offered captaincy."""
    now = clock.now()
    UserSession.objects.create(
        user=captain, session_key="private-session-key", ip="203.0.113.77", user_agent="private-agent", data={}
    )
    token = ApiToken.objects.filter(user=captain).earliest("pk")
    ApiAnswer.objects.create(token=token, key="a-repeat", fingerprint="f" * 64, status=200, content="private", at=now)
    Handover.objects.create(team=captain.membership.team, offered_by=captain, to=member, offered_at=now)
    assert Invitation.objects.filter(team=captain.membership.team).exists()
