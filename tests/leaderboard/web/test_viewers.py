"""A viewer asks every address in every way, signed in and by a token with every scope: nothing is changed by it.

The addresses are those of `tests.bench.addresses`, which are all there are, those of the administration included. What
is their own may change: sessions, and what belongs to their account. Where one door refuses whatever a viewer sends,
an address is read, sent something, and asked by one more method, the next address by another. Where nobody reads a
token, a program sends something once.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import TestCase
from django.views import defaults

from leaderboard import urls
from leaderboard.models import User
from leaderboard.people import tokens
from leaderboard.states import Role
from leaderboard.web.accounts.viewers import OPEN
from tests.bench import addresses, population
from tests.bench.addresses import ADDRESSES, Address
from tests.bench.measuring import Queries, Site
from tests.bench.plan import Size
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WITH_BODY = {"POST", "PUT", "PATCH", "DELETE"}
RARE = tuple(method for method in METHODS if method not in ("GET", "POST"))
READ_TOKENS = ("/api/", "/worker/", "/uploads/", "/data/", "/metrics")
TOKEN = tokens.compose("w" * 30)
WRITTEN = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM) "?(\w+)"?')
#: What asking writes, and holds nothing of anybody's.
OF_ASKING = {"sessions.Session", "leaderboard.Throttle"}
#: Links that act for whoever holds them, by their nature: they are known from a message, and from nowhere else.
LINKS = ("/pre-registration/", "/account/notices/stop/")
Rows = Mapping[Any, Mapping[str, Any]]


class Once:
    """The page of a refusal, which is made once: it is the same wherever a viewer is refused, and changes nothing."""

    def __init__(self, page: Callable[..., HttpResponse]) -> None:
        self._page = page
        self._made: HttpResponse | None = None

    def __call__(self, request: HttpRequest, exception: Exception) -> HttpResponse:
        if self._made is None:
            self._made = self._page(request, exception)
        return HttpResponse(self._made.content, status=self._made.status_code)


@pytest.fixture(scope="module")
def changed(django_db_setup, django_db_blocker, module_store) -> dict[str, set[str]]:
    """The tables in which each request changed what is not the viewer's."""
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch, transaction.atomic():
        patch.setattr(urls, "handler403", Once(defaults.permission_denied), raising=False)
        patch.setattr(urls, "handler404", Once(defaults.page_not_found), raising=False)
        axes = dict.fromkeys(("teams", "runs", "cases", "phases", "members", "hosts", "findings", "reruns"), 3)
        population.fill(Size(**axes, busy=2, slots=1, batch_size=1, kinds=2, distinct=1))
        found = _ask_all(addresses.watched())
        transaction.set_rollback(True)
    return found


def _ask_all(watched: dict[str, Any]) -> dict[str, set[str]]:
    viewer = cast.person("Vera", is_staff=True, role=Role.VIEWER)
    addresses.give_token(viewer.pk, TOKEN)
    before = {model._meta.label: _rows(model) for model in apps.get_models(include_auto_created=True)}
    site, known = Site(), set()
    found: dict[str, set[str]] = {}
    for number, address in enumerate(one for one in ADDRESSES if not one.path.startswith(LINKS)):
        for method, by_token in _ways(address, number):
            sent = _sent(address, method, by_token, watched)
            if (same := f"{by_token} {sent}") not in known:  # who else asks it makes no difference here
                name = f"{method} {address.path}{' by token' if by_token else ''} {address.body is not None}"
                found.setdefault(name, set()).update(_ask(site, viewer, sent, by_token, before))
            known.add(same)
    return found


def _ways(address: Address, number: int) -> Iterator[tuple[str, bool]]:
    """By which methods a viewer asks, and whether by a token."""
    few = ("GET", "POST", RARE[number % len(RARE)])
    for method in METHODS if address.path.startswith(OPEN) else few:
        yield method, False
    for method in METHODS if address.path.startswith(READ_TOKENS) else ("POST",):
        yield method, True


def _sent(address: Address, method: str, by_token: bool, watched: dict[str, Any]) -> dict[str, Any]:
    """What is asked, as `Client.generic` takes it."""
    sent = {**address.request(watched), "method": method}
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
    return sent


def _ask(site: Site, viewer: User, sent: dict[str, Any], by_token: bool, before: Mapping[str, Rows]) -> set[str]:
    """Ask, see what was changed, and undo it."""
    client, queries = site.client(None if by_token else viewer.pk), Queries()
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
    paths = {address.path for address in ADDRESSES if not address.path.startswith(LINKS)}
    asked = [(*name.split()[:2], " by token" in name) for name in changed]
    for way in (("GET", False), ("POST", False), ("POST", True)):
        assert {path for method, path, by_token in asked if (method, by_token) == way} == paths
    for method in METHODS:
        assert sum(one == method for one, *_ in asked) > 100
    for prefix in (*OPEN, *READ_TOKENS):
        assert {method for method, path, _ in asked if path.startswith(prefix)} == set(METHODS)
    assert {name: sorted(tables) for name, tables in changed.items() if tables} == {}
