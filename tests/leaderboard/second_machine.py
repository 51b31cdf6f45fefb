"""Another machine for the server: a database and a store of its own, used through real commands."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
from django.db import connection

REPOSITORY = Path(__file__).resolve().parents[2]


class Machine:
    """An empty database and an empty store in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "second-store"
        self._database = f"restored_{uuid.uuid4().hex[:8]}"
        self._at_server(f'CREATE DATABASE "{self._database}"')

    @property
    def database_url(self) -> str:
        """Its DATABASE_URL."""
        ours = connection.settings_dict
        return f"postgres://{ours['USER']}:{ours['PASSWORD']}@{ours['HOST']}:{ours['PORT']}/{self._database}"

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of manage.py there."""
        environment = {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "STORE_DIR": str(self.store),
            "SECRET_KEY": "another machine's secret",
        }
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    def ask(self, query: str) -> list[tuple[object, ...]]:
        """Rows of its database."""
        with psycopg.connect(self.database_url.replace("postgres://", "postgresql://"), autocommit=True) as there:
            answer = there.execute(query)
            return list(answer.fetchall()) if answer.description else []

    def remove(self) -> None:
        """Drop its database."""
        self._at_server(f'DROP DATABASE "{self._database}" WITH (FORCE)')

    def _at_server(self, statement: str) -> None:
        ours = connection.settings_dict
        where = {"host": ours["HOST"], "port": ours["PORT"], "user": ours["USER"], "password": ours["PASSWORD"]}
        with psycopg.connect(**where, dbname="postgres", autocommit=True) as server:
            server.execute(statement)
