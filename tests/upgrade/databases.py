"""Databases beside the one of the tests: made, filled from a dump, moved in time, asked, dropped."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

# To the present: as if what was recorded had happened just before this instant.
SHIFT = """
DO $$
DECLARE moved record; guarded boolean;
BEGIN
    FOR moved IN
        SELECT table_name, data_type,
               string_agg(format(CASE data_type WHEN 'date' THEN '%1$I = %1$I + {days}'
                                 ELSE '%1$I = %1$I + interval ''{seconds} seconds''' END, column_name), ', ') AS changes
        FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
        WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
          AND data_type IN ('timestamp with time zone', 'date')
        GROUP BY table_name, data_type
    LOOP
        guarded := EXISTS (SELECT FROM pg_trigger WHERE NOT tgisinternal  -- the record of decisions is append-only
                           AND tgrelid = format('public.%I', moved.table_name)::regclass);
        IF guarded THEN EXECUTE format('ALTER TABLE public.%I DISABLE TRIGGER USER', moved.table_name); END IF;
        EXECUTE format('UPDATE public.%I SET %s', moved.table_name, moved.changes);
        IF guarded THEN EXECUTE format('ALTER TABLE public.%I ENABLE TRIGGER USER', moved.table_name); END IF;
    END LOOP;
END $$
"""

# Whatever a migration can make, whatever the order of a table's columns.
SCHEMA = """
SELECT concat_ws(' ', table_name, column_name, udt_name, character_maximum_length, is_nullable, column_default,
                 is_identity, generation_expression) FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'
UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT concat_ws(' ', app, name) FROM django_migrations
"""


class Database:
    """A database of the server at `address` (postgres://user:password@host:port/any)."""

    def __init__(self, address: str, name: str) -> None:
        self._address = address
        self.name = name
        self._session: psycopg.Connection[Any] | None = None

    @property
    def url(self) -> str:
        """Its DATABASE_URL."""
        return urlsplit(self._address)._replace(path=f"/{self.name}").geturl()

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        """A session, each statement a transaction of its own."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            yield connection

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query; none of a statement that has none.

        One session for all: to begin one costs more than to ask, and who waits for something asks again and again.
        """
        if self._session is None:
            self._session = psycopg.connect(self.url, autocommit=True, prepare_threshold=None)
        answer = self._session.execute(query.encode(), values or None)
        return list(answer.fetchall()) if answer.description else []

    def leave(self) -> None:
        """End that session; the next question begins another."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def value(self, query: str, *values: object) -> Any:
        """The one value of a query; None without a row."""
        rows = self.ask(query, *values)
        return rows[0][0] if rows else None

    def schema(self) -> set[str]:
        """Its columns, constraints, indexes, triggers and functions, and which migrations it has."""
        return {line for (line,) in self.ask(SCHEMA)}

    def load(self, dump: str) -> None:
        """Fill it from a dump that holds statements only."""
        with self.connected() as connection:
            connection.execute(dump.encode())

    def move_to_now(self, recorded_at: datetime) -> datetime:
        """Move every instant, so that what was written at `recorded_at` is written now; that instant."""
        now: datetime = self.value("SELECT clock_timestamp()")
        moved = {"seconds": (now - recorded_at).total_seconds(), "days": (now.date() - recorded_at.date()).days}
        self.load(SHIFT.format(**moved))
        return now

    def remove(self) -> None:
        """Drop it, with whoever is connected."""
        self.leave()
        self._at_server("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)

    def create(self) -> "Database":
        """Make it, empty."""
        self._at_server("CREATE DATABASE {}", self.name)
        return self

    def copy(self, name: str) -> "Database":
        """Make another one that holds the same. Nobody may be connected to this one."""
        self.leave()
        self._at_server("CREATE DATABASE {} TEMPLATE {}", name, self.name)
        return Database(self._address, name)

    def _at_server(self, statement: LiteralString, *names: str) -> None:
        address = urlsplit(self._address)._replace(path="/postgres").geturl()
        with psycopg.connect(address, autocommit=True) as server:
            server.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def new_name() -> str:
    """A name that no other process has."""
    return f"upgrade_{uuid.uuid4().hex[:12]}"
