"""Who is at work on what: PostgreSQL advisory locks, which vanish with the process that holds them."""

import zlib
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import connection

Key = TypeVar("Key", bound=Hashable)


@contextmanager
def working_on(kind: str, key: object) -> Iterator[bool]:
    """Whether this process is now the only one at work on `key`. A killed worker's lock is free at once."""
    number = _number(kind, key)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine and connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [number])


def at_work(kind: str, keys: Iterable[Key]) -> set[Key]:
    """Those of the keys at which some process is at work."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT classid::bigint << 32 | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 "
            "AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        held = {number for (number,) in cursor.fetchall()}
    return {key for key in keys if _number(kind, key) in held}


@contextmanager
def held(kind: str) -> Iterator[None]:
    """Wait until nobody is at work on the things of this kind, then keep everybody from it.

    Raises OperationalError in the end when the session, and the lock with it, was lost meanwhile.
    """
    number = _number(kind, "")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [number])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [number])


def one_at_a_time(kind: str) -> None:
    """Let transactions of this kind follow each other. Call inside a transaction; released when it ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_number(kind, "")])


def try_one_at_a_time(kind: str) -> bool:
    """Whether this transaction is now the only one of this kind; until it ends. It never waits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_number(kind, "")])
        return bool(cursor.fetchone()[0])


def _number(kind: str, key: object) -> int:
    return zlib.crc32(kind.encode()) << 31 | zlib.crc32(str(key).encode()) >> 1
