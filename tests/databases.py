"""The tests' databases: migrated once a run, cloned by who needs one, and emptied in a moment."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.test import TransactionTestCase

TEMPLATE = f"template_of_tests_{settings.DATABASES['default']['NAME']}"
# Rows that migrations make, and Django after them. No test changes them.
KEPT = {"django_migrations", "django_content_type", "auth_permission"}
LARGE_BYTES = 1 << 20  # a table of which so much is dead rows makes queries slow


def make_template(folder: Path) -> None:
    """Migrate the database TEMPLATE, unless another process of this run has. `folder` is all processes' own."""
    with (folder / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "template.made").exists():
            _migrate()
            (folder / "template.made").touch()


def _migrate() -> None:
    """Make and migrate TEMPLATE."""
    ours = connection.settings_dict
    before = ours["NAME"], ours["TEST"]["NAME"]
    use(ours["NAME"])
    ours["TEST"]["NAME"] = TEMPLATE
    try:
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    finally:
        use(before[0])
        ours["TEST"]["NAME"] = before[1]


def use(name: str) -> None:
    """From now on Django's connections are to this database."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's has it
    connection.settings_dict["NAME"] = settings.DATABASES["default"]["NAME"] = name


def at_server(statement: str) -> None:
    """Carry out a statement about databases, from outside of them."""
    ours = connection.settings_dict
    where = {"host": ours["HOST"], "port": ours["PORT"], "user": ours["USER"], "password": ours["PASSWORD"]}
    with psycopg.connect(**where, dbname="postgres", autocommit=True) as server:
        server.execute(statement.encode())


def drop(name: str, _verbosity: int = 0) -> None:
    """Drop a database, whoever may still be connected to it: a thread or a process that has not ended yet."""
    at_server(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def kept() -> Iterator[None]:
    """What tests commit stays until the end, for those that share it; then the tables are emptied."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _case: None)
        try:
            yield
        finally:
            empty_tables()


def written() -> int:
    """How many rows the present transaction has written so far, also those that it took back."""
    columns = " + ".join(f"pg_stat_get_xact_tuples_{done}(oid)" for done in ("inserted", "updated", "deleted"))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT sum({columns}) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        return int(cursor.fetchone()[0])


def empty_tables(_case: TransactionTestCase | None = None) -> None:
    """Delete what a test committed. Django's own way truncates all tables and makes rows anew: a fifth of a second."""
    names = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - KEPT
    every = ", ".join(connection.ops.quote_name(name) for name in sorted(names))
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal AND tgtype & 8 > 0")
        guarded = names & {table for (table,) in cursor.fetchall()}  # against deleting, not against truncating
        cursor.execute("SELECT max(pg_relation_size(oid)) FROM pg_class WHERE relname = ANY(%s)", [list(names)])
        if cursor.fetchone()[0] > LARGE_BYTES:
            cursor.execute(f"TRUNCATE {every}")
            return
        clear = [f'DELETE FROM "{name}"' for name in sorted(names - guarded)]
        clear += [f'TRUNCATE "{name}"' for name in sorted(guarded)]
        cursor.execute(
            "BEGIN; SET CONSTRAINTS ALL DEFERRED; "
            f"LOCK TABLE {every} IN SHARE ROW EXCLUSIVE MODE; "  # waits for who still writes
            f"{'; '.join(clear)}; COMMIT"
        )
