"""The connection that a thread works with."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import OperationalError, connection
from django.db.models import Model, QuerySet

TRY_AGAIN_SECONDS = 1.0
_WRITES = re.compile(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)"?', re.IGNORECASE)

Row = TypeVar("Row", bound=Model)


def the_one(rows: QuerySet[Row]) -> Row | None:
    """The one row that there is, or None. `first` would order it, which takes Django long where rows are wide."""
    return next(iter(rows.order_by()[:1]), None)


def let_go() -> None:
    """Give the connection back to the pool, before a wait for somebody slow: there are more threads than connections.

    The next question takes one again. Inside a transaction nothing happens.
    """
    if not connection.in_atomic_block:
        connection.close()


def take_hold(*, for_seconds: float) -> None:
    """Have a connection, waiting for as long while others have all, or the database is away.

    Before what would be lost otherwise, an upload of hours say: others are told to come again. Raises OperationalError.
    """
    end = time.monotonic() + for_seconds
    while True:
        try:
            connection.ensure_connection()
        except OperationalError:  # the pool's time-out among them
            if time.monotonic() > end:
                raise
            time.sleep(TRY_AGAIN_SECONDS)
        else:
            return


@contextmanager
def noting_writes() -> Iterator[set[str]]:
    """The tables into which is written meanwhile, on this connection."""
    tables: set[str] = set()

    def note(run: Callable[..., Any], sql: str, *told: Any) -> Any:
        if found := _WRITES.match(sql):
            tables.add(found[1])
        return run(sql, *told)

    with connection.execute_wrapper(note):
        yield tables
