"""The cast of the pages' tests: Alice captains a team, Bob is in it, Charlie is a rival, Olga organises."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client

from leaderboard.models import User
from tests.leaderboard import cast
from tests.realsite import RealSite, running_site

# Low, so that tests reach them, and wait seconds.
LIMITS = {"UPLOAD_SILENT_SECONDS": "3", "UPLOAD_PACE_SECONDS": "4", "UPLOADS_AT_ONCE": "4"}
LIMITS |= {"UPLOADS_PER_PERSON": "2", "UPLOADS_PER_TEAM": "3"}


class Browsers(dict[str, Client]):
    """By a person's name a browser in which they are signed in, from when it is first asked for."""

    def __init__(self, *people: User) -> None:
        super().__init__()
        self._people = {person.name: person for person in people}

    def __missing__(self, name: str) -> Client:
        self[name] = Client()
        self[name].force_login(self._people[name])
        return self[name]


@pytest.fixture
def people(db) -> SimpleNamespace:
    """Four people, two teams, and a browser for each person."""
    alice, bob, charlie = (cast.person(name) for name in ("Alice", "Bob", "Charlie"))
    olga = cast.person("Olga", is_staff=True)
    found = SimpleNamespace(alice=alice, bob=bob, charlie=charlie, olga=olga)
    found.team, found.rivals = cast.team_of(alice, bob, name="Alice and Bob"), cast.team_of(charlie, name="Rivals")
    found.browser = Browsers(alice, bob, charlie, olga)
    return found


@pytest.fixture(scope="session")
def site(django_db_setup) -> Iterator[RealSite]:
    """The site as real processes on the database of these tests, with a store of its own, for all that upload there.

    A file that asks for it belongs to the group `site`: its processes are started once.
    """
    folder = Path(tempfile.mkdtemp(prefix="rexg-t-"))  # short: the path of a socket has 107 characters at most
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{settings.DATABASES['default']['NAME']}").geturl()
    own = {"DATABASE_URL": database, "STORE_DIR": str(folder / "store")}
    try:
        with running_site(folder, {**os.environ, **LIMITS, **own}) as running:
            yield running
    finally:
        shutil.rmtree(folder)
