"""The cast of the pages' tests: Alice captains a team, Bob is in it, Charlie is a rival, Olga organises."""

from types import SimpleNamespace

import pytest
from django.test import Client

from tests.leaderboard import cast


@pytest.fixture
def people(db) -> SimpleNamespace:
    """Four people, two teams, and a browser for each person."""
    alice, bob, charlie = (cast.person(name) for name in ("Alice", "Bob", "Charlie"))
    olga = cast.person("Olga", is_staff=True)
    found = SimpleNamespace(alice=alice, bob=bob, charlie=charlie, olga=olga)
    found.team, found.rivals = cast.team_of(alice, bob, name="Alice and Bob"), cast.team_of(charlie, name="Rivals")
    found.browser = {}
    for person in (alice, bob, charlie, olga):
        found.browser[person.name] = Client()
        found.browser[person.name].force_login(person)
    return found
