"""Asks a site's addresses and says what each answer cost: a program of its own, so that it can ask an older site too.

It knows nothing of the code that it measures but Django's settings. Its argument is the number of rounds; on its
standard input are the requests, a line of JSON each; on its standard output, a line for each, what it cost.
"""

import json
import os
import shlex
import statistics
import sys
import time
from collections.abc import Mapping
from http.cookies import SimpleCookie
from io import StringIO
from typing import Any

WARM_UP = 1
NO_QUESTION = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")


class Queries:
    """Notes what is asked. (Savepoints are the measurement's own: they stand for whole transactions.)"""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Mapping[str, Any]) -> Any:
        """What connection.execute_wrapper calls."""
        if not sql.startswith(NO_QUESTION):
            self.asked.append(sql)
        return execute(sql, params, many, context)


class Site:
    """The site, served inside this process to people each of whom signs in once."""

    def __init__(self) -> None:
        from django.test import Client

        self._handler = Client().handler
        self._cookies: dict[int | None, str] = {None: ""}

    def client(self, who: int | None) -> Any:
        """A browser of the person with this key, or of nobody, with no more cookies than those of signing in."""
        from django.contrib.auth import get_user_model
        from django.test import Client

        client = Client()
        client.handler = self._handler
        if who is not None and who not in self._cookies:
            client.force_login(get_user_model().objects.get(pk=who))
            self._cookies[who] = client.cookies.output(header="", sep=";")
        client.cookies = SimpleCookie(self._cookies[who])
        return client


def measure(site: Site, request: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Queries, bytes, and the medians of seconds and of this process's CPU seconds; what was changed is undone."""
    from django.db import connection, transaction

    walls, cpus = [], []
    for number in range(WARM_UP + rounds):
        act = _action(site, request)
        queries = Queries()
        with transaction.atomic():
            with connection.execute_wrapper(queries):
                began, busy = time.perf_counter(), time.thread_time()
                status, size = act()
                wall, cpu = time.perf_counter() - began, time.thread_time() - busy
            transaction.set_rollback(True)
        if number >= WARM_UP:
            walls.append(wall)
            cpus.append(cpu)
    costs = {"wall": statistics.median(walls), "cpu": statistics.median(cpus), "queries": len(queries.asked)}
    return {"status": status, "size": size, **costs}


def _action(site: Site, request: dict[str, Any]) -> Any:
    """What to time; it returns status and bytes of the answer."""
    if "command" in request:
        return lambda: _run(request["command"])
    sent = {name: value for name, value in request.items() if name not in {"name", "who", "status"}}
    client = site.client(request["who"])

    def ask() -> tuple[int, int]:
        response = client.generic(**sent)
        content = b"".join(response.streaming_content) if response.streaming else response.content
        return response.status_code, len(content)

    return ask


def _run(line: str) -> tuple[int, int]:
    from django.core.management import call_command

    out = StringIO()
    call_command(*shlex.split(line), stdout=out)
    return 0, len(out.getvalue())


def main() -> None:
    """Measure what standard input asks for."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
    import django
    from django.conf import settings

    django.setup()
    settings.ALLOWED_HOSTS.append("testserver")
    site = Site()
    for line in sys.stdin:
        print(json.dumps(measure(site, json.loads(line), int(sys.argv[1]))), flush=True)


if __name__ == "__main__":
    main()
