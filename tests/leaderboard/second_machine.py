"""Another machine for the server: a database and a store of its own, used through real commands."""

import io
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings

from tests import databases

REPOSITORY = Path(__file__).resolve().parents[2]
SECRET_KEY = "another machine's secret"


class Said(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Machine:
    """A database, empty or the clone of `template`, and an empty store in `folder`."""

    def __init__(self, folder: Path, template: str = "") -> None:
        self.store = folder / "second-store"
        self._database = f"restored_{uuid.uuid4().hex[:8]}"
        self._session: psycopg.Connection[Any] | None = None
        databases.at_server(f'CREATE DATABASE "{self._database}"' + (f' TEMPLATE "{template}"' if template else ""))

    @property
    def database_url(self) -> str:
        """Its DATABASE_URL."""
        ours = connection.settings_dict
        return f"postgres://{ours['USER']}:{ours['PASSWORD']}@{ours['HOST']}:{ours['PORT']}/{self._database}"

    def manage(self, *arguments: Any, **options: Any) -> Said:
        """Carry out a command there, in this process."""
        out, err = io.StringIO(), io.StringIO()
        with self._in_place_of_ours():
            try:
                call_command(*arguments, stdout=out, stderr=err, **options)
            except CommandError as error:
                return Said(error.returncode, out.getvalue(), f"{err.getvalue()}CommandError: {error}\n")
        return Said(0, out.getvalue(), err.getvalue())

    def manage_in_a_process(self, *arguments: str) -> Said:
        """Carry out a command there as an operator does."""
        environment = {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "STORE_DIR": str(self.store),
            "SECRET_KEY": SECRET_KEY,
        }
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def ask(self, query: str) -> list[tuple[object, ...]]:
        """Rows of its database."""
        if self._session is None:  # one for all: who waits for something asks again and again
            self._session = psycopg.connect(self.database_url, autocommit=True, prepare_threshold=None)
        answer = self._session.execute(query.encode())
        return list(answer.fetchall()) if answer.description else []

    def remove(self) -> None:
        """Drop its database."""
        if self._session is not None:
            self._session.close()
        databases.at_server(f'DROP DATABASE "{self._database}" WITH (FORCE)')

    @contextmanager
    def _in_place_of_ours(self) -> Iterator[None]:
        ours = connection.settings_dict["NAME"]
        databases.use(self._database)
        try:
            with override_settings(
                STORE_DIR=self.store, FILE_UPLOAD_TEMP_DIR=self.store / "incoming", SECRET_KEY=SECRET_KEY
            ):
                yield
        finally:
            databases.use(ours)
