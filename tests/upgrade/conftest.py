"""Recorded databases under the present code: one for pages and commands, and one on which a real server goes on."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.mail_server import mail_server
from tests.upgrade.databases import Database, new_name
from tests.upgrade.recording import Recording, recordings
from tests.upgrade.release import REPOSITORY, Processes, Server, remove_from_engine
from tests.upgrade.upgraded import Upgraded, using
from tests.upgrade.world import SETTINGS, World


def pytest_configure(config: pytest.Config) -> None:
    """What needs the server shares it: several test processes would each start their own."""
    config.addinivalue_line("markers", "xdist_group(name): these tests run in the same process")


@pytest.fixture(scope="session", params=recordings(), ids=lambda recording: recording.name)
def recording(request: pytest.FixtureRequest) -> Recording:
    """Each commit that was recorded."""
    found: Recording = request.param
    return found


@dataclass(frozen=True)
class Migrated:
    """The recorded database, moved to an instant and migrated then: to be copied by who needs one."""

    recording: Recording
    database: Database
    at: datetime

    def upgraded(self, stack: ExitStack, folder: Path) -> Upgraded:
        """A copy, moved on to now, until `stack` is closed, and the files that its rows need."""
        database = self.database.copy(new_name())
        stack.callback(database.remove)
        now = database.move_to_now(self.at)
        self.recording.unpack_files(folder)
        return Upgraded(self.recording, database, now - self.recording.recorded_at, folder)


@pytest.fixture(scope="session")
def migrated(recording: Recording, django_db_blocker: Any) -> Iterator[Migrated]:
    """It is migrated once."""
    database = Database(os.environ["DATABASE_URL"], new_name()).create()
    try:
        database.load(recording.dump)
        now = database.move_to_now(recording.recorded_at)
        with using(database, django_db_blocker):
            call_command("migrate", interactive=False, verbosity=0)
        yield Migrated(recording, database, now)
    finally:
        database.remove()


@pytest.fixture(scope="module")
def upgraded(migrated: Migrated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    """An upgraded database for a module."""
    with ExitStack() as stack:
        yield migrated.upgraded(stack, tmp_path_factory.mktemp("upgraded"))


@pytest.fixture
def site(upgraded: Upgraded, store: Path, settings: Any, django_db_blocker: Any) -> Iterator[Upgraded]:
    """The present code, in this process, on that database."""
    settings.STORE_DIR = upgraded.store
    settings.FILE_UPLOAD_TEMP_DIR = upgraded.store / "incoming"
    with using(upgraded.database, django_db_blocker):
        yield upgraded


@pytest.fixture(scope="package")
def ended(migrated: Migrated, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Iterator[World]:
    """The present server on another one, when everything that was under way has ended."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("world")
        upgraded = migrated.upgraded(stack, folder)
        processes = Processes(REPOSITORY, folder)
        mails = stack.enter_context(mail_server(folder / "mails"))
        server = Server(processes, upgraded.database, upgraded.store, os.environ, SETTINGS | mails.environment)
        stack.callback(remove_from_engine, server)
        stack.enter_context(processes)
        old = stack.enter_context(Processes(migrated.recording.unpack_host(folder / "old"), folder))
        world = World(server, folder, mails, upgraded, old, django_db_blocker)
        world.go_on_until_the_end()
        yield world


@pytest.fixture
def old_host(ended: World) -> World:
    """The same, with a host of the recorded commit, and nothing to do."""
    return ended
