"""A recorded database under the present code."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any, cast

from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.postgresql.base import DatabaseWrapper

from leaderboard.board.disclosure import NO_WIDTH
from tests.upgrade.databases import Database
from tests.upgrade.recording import Recording, moved


@dataclass(frozen=True)
class Upgraded:
    """A recorded database, moved in time to the present and migrated to the present schema."""

    recording: Recording
    database: Database
    moved_by: timedelta
    folder: Path  # store/, hosts/, messages.json

    @property
    def store(self) -> Path:
        """The server's files."""
        return self.folder / "store"

    @property
    def messages(self) -> dict[str, list[str]]:
        """What the old server had sent, and nobody had received, by queue."""
        found: dict[str, list[str]] = json.loads((self.folder / "messages.json").read_text())
        return found

    def now(self, told: Any) -> Any:
        """What was recorded, with its instants as they are here."""
        return moved(told, self.moved_by)


@contextmanager
def using(database: Database, blocker: Any) -> Iterator[None]:
    """Let Django's own connection, in this process, lead to another database."""
    before = connection.settings_dict["NAME"]
    with blocker.unblock():
        _lead_to(database.name)
        try:
            yield
        finally:
            _lead_to(before)


def _lead_to(name: str) -> None:
    ours = cast(DatabaseWrapper, connections[DEFAULT_DB_ALIAS])
    ours.close()
    ours.close_pool()
    ours.settings_dict["NAME"] = name
    ContentType.objects.clear_cache()


def told(command: str, *arguments: str) -> Any:
    """What a command of manage.py says, as JSON."""
    out = StringIO()
    call_command(command, *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def sorted_attempts(submission: dict[str, Any]) -> dict[str, Any]:
    """The same, with the attempts in one order: of two with the same fence the command tells either first."""
    runs = [
        {**run, "attempts": sorted(run["attempts"], key=lambda one: (one["batch"], one["fence"]))}
        for run in submission["runs"]
    ]
    return {**submission, "runs": runs}


def without_news(now: Any, before: Any) -> Any:
    """What is told now, without fields that the old code did not tell, at any depth."""
    if isinstance(now, dict) and isinstance(before, dict):
        return {name: without_news(now[name], before[name]) for name in before if name in now}
    if now is None and isinstance(before, list) and len(before) == 2 and before[1] - before[0] < NO_WIDTH:
        return before  # it told of an interval where nothing is known of how certain a number is
    if isinstance(now, list) and isinstance(before, list) and len(now) == len(before):
        return [without_news(one, other) for one, other in zip(now, before, strict=True)]
    return now
