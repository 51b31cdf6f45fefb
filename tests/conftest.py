"""What every test may rely on: the real services that `./dev test` started, and a store of its own."""

import gc
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings as configured
from django.db import connection
from django.test import TransactionTestCase, override_settings

from leaderboard.board import reading, versions
from leaderboard.core import blobs, clock, minutes
from leaderboard.models import BoardVersion, Phase
from tests import databases
from tests.realsite import RealSite, running_site

OUTBOX = "leaderboard.core.outbox.EmailBackend"
RUNNING_SITE: list[RealSite] = []  # one or none
SITE_ENDS = ExitStack()
# Of the real site: low, so that tests reach them, and wait seconds.
LIMITS = {"UPLOAD_SILENT_SECONDS": "3", "UPLOAD_PACE_SECONDS": "4", "UPLOADS_AT_ONCE": "4"}
LIMITS |= {"UPLOADS_PER_PERSON": "2", "UPLOADS_PER_TEAM": "3"}


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """No content in a test's name: compressed a second later it is another, and all processes name tests alike."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_finish() -> None:
    """What was imported stays to the end: Python need not look through it again and again for what may go."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Who started all the processes, or is the only one, tidies up."""
    if not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        databases.drop(databases.TEMPLATE)


@pytest.fixture(scope="session")
def template_database(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str, django_test_environment: None, django_db_blocker
) -> str:
    """The name of a database that was only migrated, to be cloned."""
    ours = tmp_path_factory.getbasetemp()
    with django_db_blocker.unblock():
        databases.make_template(ours if worker_id == "master" else ours.parent)
    return databases.TEMPLATE


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, worker_id: str, request: pytest.FixtureRequest
) -> None:
    """Of several test processes each clones its database; one alone migrates it. At the end each drops its own."""
    connection.creation._destroy_test_db = databases.drop  # type: ignore[attr-defined]  # PostgreSQL's has it
    if worker_id != "master":
        connection.settings_dict["TEST"]["TEMPLATE"] = request.getfixturevalue("template_database")


@pytest.fixture(scope="session", autouse=True)
def quick_flush() -> Iterator[None]:
    """Empties the tables after a test that commits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", databases.empty_tables)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_answers_of_before() -> Iterator[None]:
    """Whatever a test changes within a minute is found anew: tests move instants into the past."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minutes, "MOST", 0)
        yield


@pytest.fixture(scope="session", autouse=True)
def settings_of_tests(django_test_environment: None) -> Iterator[None]:
    """What differs from a server's settings in all tests."""
    with override_settings(
        # Hashing a password well takes long on purpose; tests make dozens of people.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        # Messages go through the outbox, as everywhere; pytest's Django would send them past it, into its own.
        EMAIL_TRANSPORT=configured.EMAIL_BACKEND,
        EMAIL_BACKEND=OUTBOX,
        # A server lists its static files when it starts; here each test's client would, before its first request.
        WHITENOISE_AUTOREFRESH=True,
    ):
        yield


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each test's store lies: apart, since pytest lists all of its folders to find a new one's number."""
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(scope="module")
def module_store(stores: Path) -> Iterator[None]:
    """A private folder for every kind of file, for what a module's tests share."""
    folder = Path(tempfile.mkdtemp(dir=stores))
    with override_settings(STORE_DIR=folder, FILE_UPLOAD_TEMP_DIR=folder / "incoming"):
        blobs.prepare()
        yield


@pytest.fixture(autouse=True)
def store(settings, stores: Path) -> Path:
    """A private folder for every kind of file."""
    settings.STORE_DIR = Path(tempfile.mkdtemp(dir=stores))
    settings.FILE_UPLOAD_TEMP_DIR = settings.STORE_DIR / "incoming"
    blobs.prepare()
    return settings.STORE_DIR


@pytest.fixture(autouse=True)
def forgetful_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process remembers of an outage is forgotten, or it would hold for the tests that follow."""
    monkeypatch.setattr("leaderboard.core.outbox._away_until", 0.0)
    monkeypatch.setattr("leaderboard.core.task_queue._away_until", 0.0)
    monkeypatch.setattr("leaderboard.processes.sweeper._outage_at", -math.inf)
    monkeypatch.setattr("leaderboard.processes.sweeper._last_sweep", None)
    monkeypatch.setattr("leaderboard.processes.sweeper._arrays_looked_at", -math.inf)
    monkeypatch.setattr("leaderboard.processes.sweeper._rescoring_asked_at", -math.inf)


@pytest.fixture(autouse=True)
def boards_keep_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads a board finds what a worker, of which there is none here, would have made by then.

    It is looked for once in a minute for what was written: of a test that commits, each time.
    """
    known: dict[int, tuple[int, datetime]] = {}

    def latest(phase: Phase, track: str, _at: datetime) -> BoardVersion | None:
        now = clock.now()
        if not connection.in_atomic_block or known.get(phase.pk) != (databases.written(), minutes.minute_of(now)):
            versions.make(phase.pk)
            known[phase.pk] = databases.written(), minutes.minute_of(now)
        return versions.latest(phase, track, clock.now())

    monkeypatch.setattr(reading, "latest", latest)


@pytest.fixture(scope="session")
def site_ends(django_db_setup) -> Iterator[ExitStack]:
    """What ends the real site, at the latest before its database goes."""
    with SITE_ENDS:
        yield SITE_ENDS


@pytest.fixture
def site(site_ends, django_db_blocker) -> RealSite:
    """The site as real processes on the database of these tests, with a store of its own, for all that upload there.

    A file that asks for it belongs to the group `site`: its processes are started once, and end with the group.
    """
    if not RUNNING_SITE:
        RUNNING_SITE.append(site_ends.enter_context(_site(django_db_blocker)))
        site_ends.callback(RUNNING_SITE.clear)
    return RUNNING_SITE[0]


@contextmanager
def _site(django_db_blocker) -> Iterator[RealSite]:
    folder = Path(tempfile.mkdtemp(prefix="rexg-t-"))  # short: the path of a socket has 107 characters at most
    database = (
        urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{configured.DATABASES['default']['NAME']}").geturl()
    )
    own = {"DATABASE_URL": database, "STORE_DIR": str(folder / "store")}
    try:
        with running_site(folder, {**os.environ, **LIMITS, **own}) as running:
            yield running
    finally:
        shutil.rmtree(folder)
        with django_db_blocker.unblock():
            databases.empty_tables()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The site ends with its group: others would find its signs of life in their database."""
    if nextitem is not None and _group_of(nextitem) != _group_of(item):
        SITE_ENDS.close()


def _group_of(item: pytest.Item) -> object:
    marker = item.get_closest_marker("xdist_group")
    return marker and marker.args
