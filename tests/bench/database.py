"""A database of a benchmark's own, on the PostgreSQL that DATABASE_URL names."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg


@contextmanager
def scratch_database(folder: Path, *, keep: bool = False) -> Iterator[str]:
    """A migrated database and a store in `folder`, with Django set up on them; dropped at the end unless `keep`."""
    whole = urlsplit(os.environ["DATABASE_URL"])
    name = f"bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        use_database(name, folder)
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield name
    finally:
        if not keep:
            with psycopg.connect(urlunsplit(whole), autocommit=True) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def use_database(name: str, folder: Path) -> None:
    """Set Django up on the database `name` of the same PostgreSQL, with a store in `folder`."""
    os.environ["DATABASE_URL"] = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))
    os.environ["STORE_DIR"] = str(folder / "store")
    os.environ["DJANGO_SETTINGS_MODULE"] = "leaderboard.settings"
    import django

    django.setup()
