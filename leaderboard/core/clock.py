"""The one clock that decides: the database's. Web servers and workers may disagree about the time; rows may not."""

from datetime import datetime

from django.db import connection


def now() -> datetime:
    """The present instant (UTC, aware), by the database's clock, even inside a long transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row = cursor.fetchone()
    instant: datetime = row[0]
    return instant
