"""The cast of the pages' tests: Alice captains a team, Bob is in it, Charlie is a rival, Olga organises."""

from types import SimpleNamespace

import pytest
from django.db.models import Model
from django.test import Client

from leaderboard.models import User
from tests.leaderboard import cast


class Browsers(dict[str, Client]):
    """By a person's name a browser in which they are signed in, from when it is first asked for."""

    def __init__(self, *people: User) -> None:
        super().__init__()
        self._people = {person.name: person for person in people}

    def __missing__(self, name: str) -> Client:
        self[name] = cast.browser_of(self._people[name])
        return self[name]


def four_people() -> SimpleNamespace:
    """Four people, two teams, and a browser for each person."""
    alice, bob, charlie = (cast.person(name) for name in ("Alice", "Bob", "Charlie"))
    olga = cast.person("Olga", is_staff=True, role="organiser")
    found = SimpleNamespace(alice=alice, bob=bob, charlie=charlie, olga=olga)
    found.team, found.rivals = cast.team_of(alice, bob, name="Alice and Bob"), cast.team_of(charlie, name="Rivals")
    found.browser = Browsers(alice, bob, charlie, olga)
    return found


def of_now(people: SimpleNamespace) -> SimpleNamespace:
    """They for one test, of a module that made them once: as they are in the database, and nobody has signed in yet."""
    rows = {name: row for name, row in vars(people).items() if isinstance(row, Model)}
    found = SimpleNamespace(**{name: type(row)._default_manager.get(pk=row.pk) for name, row in rows.items()})
    found.browser = Browsers(found.alice, found.bob, found.charlie, found.olga)
    return found


@pytest.fixture
def people(db) -> SimpleNamespace:
    """They, for a test alone."""
    return four_people()
