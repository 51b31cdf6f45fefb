"""A viewer asks every address in every way, signed in and by a token with every scope: nothing is changed by it.

The addresses are those of `tests.bench.addresses`, which are all there are, those of the administration included. What
is their own may change: sessions, and what belongs to their account.
"""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.test import TestCase

from leaderboard.models import User
from leaderboard.people import tokens
from leaderboard.states import Role
from tests.bench import addresses, population
from tests.bench.addresses import ADDRESSES, Address
from tests.bench.measuring import Queries, Site
from tests.bench.plan import Size
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WITH_BODY = {"POST", "PUT", "PATCH", "DELETE"}
TOKEN = tokens.compose("w" * 30)
WRITTEN = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM) "?(\w+)"?')
#: What asking writes, and holds nothing of anybody's.
OF_ASKING = {"sessions.Session", "leaderboard.Throttle"}
#: Links that act for whoever holds them, by their nature: they are known from a message, and from nowhere else.
LINKS = ("/pre-registration/", "/account/notices/stop/")
Rows = Mapping[Any, Mapping[str, Any]]


@pytest.fixture(scope="module")
def changed(django_db_setup, django_db_blocker, module_store) -> dict[str, set[str]]:
    """The tables in which each request changed what is not the viewer's."""
    with django_db_blocker.unblock(), transaction.atomic():
        axes = dict.fromkeys(("teams", "runs", "cases", "phases", "members", "hosts", "findings", "reruns"), 3)
        population.fill(Size(**axes, busy=2, slots=1, batch_size=1, kinds=2, distinct=1))
        found = _ask_all(addresses.watched())
        transaction.set_rollback(True)
    return found


def _ask_all(watched: dict[str, Any]) -> dict[str, set[str]]:
    viewer = cast.person("Vera", is_staff=True, role=Role.VIEWER)
    addresses.give_token(viewer.pk, TOKEN)
    before = {model._meta.label: _rows(model) for model in apps.get_models(include_auto_created=True)}
    site, found = Site(), {}
    for address in ADDRESSES:
        if address.path.startswith(LINKS):
            continue
        for method in METHODS:
            for by_token in (False, True):
                name = f"{method} {address.path}{' by token' if by_token else ''} {address.body is not None}"
                found[name] = _ask(site, viewer, address, method, by_token, watched, before)
    return found


def _ask(
    site: Site,
    viewer: User,
    address: Address,
    method: str,
    by_token: bool,
    watched: dict[str, Any],
    before: Mapping[str, Rows],
) -> set[str]:
    """Ask, see what was changed, and undo it."""
    sent = address.request(watched)
    client, queries = site.client(None if by_token else viewer.pk), Queries()
    sent["method"] = method
    del sent["who"]
    theirs = {"Authorization": f"Bearer {TOKEN}"} if by_token else {}
    sent["headers"] = {name: value for name, value in sent["headers"].items() if name != "Authorization"} | theirs
    if method not in WITH_BODY:
        sent["data"] = ""
    elif not address.body:
        sent |= {
            "data": "post=yes&do=1&why=So&sure=on&confirmed=1",
            "content_type": "application/x-www-form-urlencoded",
        }
    with transaction.atomic():
        with connection.execute_wrapper(queries), TestCase.captureOnCommitCallbacks(execute=True):
            client.generic(**sent)
        changed = _changed_by(queries.asked, viewer, before)
        transaction.set_rollback(True)
    return changed


def _changed_by(asked: list[str], viewer: User, before: Mapping[str, Rows]) -> set[str]:
    tables = {name for sql in asked for name in WRITTEN.findall(sql)}
    models = [model for model in apps.get_models(include_auto_created=True) if model._meta.db_table in tables]
    changed = set()
    for model in models:
        label, after = model._meta.label, _rows(model)
        keys = [key for key in {*before[label], *after} if before[label].get(key) != after.get(key)]
        rows = [row for key in keys for row in (before[label].get(key), after.get(key)) if row]
        if label not in OF_ASKING and any(not _is_own(label, row, viewer) for row in rows):
            changed.add(label)
    return changed


def _is_own(label: str, row: Mapping[str, Any], viewer: User) -> bool:
    if label == "leaderboard.User":
        return bool(row["id"] == viewer.pk)
    if label == "leaderboard.OutgoingMail":
        return bool(row["to"] == viewer.email)
    if label == "leaderboard.AuditEntry":  # what they decided of their own account
        return bool(row["user_id"] == viewer.pk and row["target_type"] in ("user", "apitoken", "emailaddress"))
    return "user_id" in row and bool(row["user_id"] == viewer.pk)


def _rows(model: Any) -> Rows:
    return {row[model._meta.pk.attname]: row for row in model._default_manager.values()}


def test_a_viewer_changes_nothing_at_any_address_with_any_method(changed):
    assert len(changed) > 2 * len(METHODS) * 200
    assert {name: sorted(tables) for name, tables in changed.items() if tables} == {}
