"""A recorded database under the present code: a copy for pages and commands, and one on which a real server goes on."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

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


@pytest.fixture(scope="session")
def template(recording: Recording, django_db_blocker: Any) -> Iterator[tuple[Database, timedelta]]:
    """The recorded database, upgraded, to be copied and never used; and by how much it was moved in time."""
    database = Database(os.environ["DATABASE_URL"], new_name()).create()
    try:
        database.load(recording.dump)
        now = database.move_to_now(recording.recorded_at)
        with using(database, django_db_blocker):
            call_command("migrate", interactive=False, verbosity=0)
        yield database, now - recording.recorded_at
    finally:
        database.remove()


def copied(stack: ExitStack, recording: Recording, template: tuple[Database, timedelta], folder: Path) -> Upgraded:
    """A copy of the upgraded database, until `stack` is closed, and the files that its rows need."""
    database = template[0].copy()
    stack.callback(database.remove)
    recording.unpack_files(folder)
    return Upgraded(recording, database, template[1], folder)


@pytest.fixture(scope="module")
def upgraded(
    recording: Recording, template: tuple[Database, timedelta], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgraded]:
    """A copy of it for a module."""
    with ExitStack() as stack:
        yield copied(stack, recording, template, tmp_path_factory.mktemp("upgraded"))


@pytest.fixture
def site(upgraded: Upgraded, store: Path, settings: Any, django_db_blocker: Any) -> Iterator[Upgraded]:
    """The present code, in this process, on that copy."""
    settings.STORE_DIR = upgraded.store
    settings.FILE_UPLOAD_TEMP_DIR = upgraded.store / "incoming"
    with using(upgraded.database, django_db_blocker):
        yield upgraded


@pytest.fixture(scope="session")
def ended(
    recording: Recording,
    template: tuple[Database, timedelta],
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: Any,
) -> Iterator[World]:
    """The present server on another copy, when everything that was under way has ended."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("world")
        upgraded = copied(stack, recording, template, folder)
        processes = Processes(REPOSITORY, folder)
        server = Server(processes, upgraded.database, upgraded.store, os.environ, SETTINGS)
        stack.callback(remove_from_engine, server)
        stack.enter_context(processes)
        old = stack.enter_context(Processes(recording.unpack_host(folder / "old"), folder))
        world = World(upgraded, server, old, django_db_blocker)
        world.go_on_until_the_end()
        yield world


@pytest.fixture
def old_host(ended: World) -> World:
    """The same, with a host of the recorded commit, and nothing to do."""
    return ended
