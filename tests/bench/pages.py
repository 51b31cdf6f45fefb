"""What each address of the site costs on a database as a whole challenge leaves it.

A database is made for it (`tests.bench.population`), every address is asked some times inside one process, and a table
tells for each: questions to the database, CPU time of the process and time in all (medians, in milliseconds), bytes.
With `--against COMMIT` the code of that commit answers the same requests on the same database, and stands beside it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.bench.database import scratch_database, use_database

CLONE = Path(__file__).resolve().parents[2]
MEASURING = CLONE / "tests/bench/measuring.py"
HEAD = f"{'queries':>8}{'CPU ms':>9}{'all ms':>9}{'bytes':>11}"


class Cost(NamedTuple):
    """What an answer cost; seconds."""

    status: int
    queries: int
    cpu: float
    wall: float
    size: int

    def cells(self) -> str:
        """As a part of a line."""
        return f"{self.queries:>8}{1000 * self.cpu:>9.1f}{1000 * self.wall:>9.1f}{self.size:>11,}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench pages", description=__doc__)
    parser.add_argument("--teams", type=int, default=500)
    parser.add_argument("--runs", type=int, default=20, help="submissions of a team")
    parser.add_argument("--cases", type=int, default=300, help="cases of a run")
    parser.add_argument("--rounds", type=int, default=5, help="measured requests for each address")
    parser.add_argument("--only", default="", help="addresses whose name holds this")
    parser.add_argument("--against", metavar="COMMIT", help="measure this commit's code beside it")
    parser.add_argument("--keep", action="store_true", help="leave the database, and say its name")
    parser.add_argument("--database", metavar="NAME", help="measure on a database that was kept")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rexg-bench-")))
        if options.database:
            use_database(options.database, folder)
        else:
            name = stack.enter_context(scratch_database(folder, keep=options.keep))
            _fill(options)
            if options.keep:
                print(f"kept: --database {name}")
        _compare(folder, options)


def _fill(options: argparse.Namespace) -> None:
    from django.db import connection

    from tests.bench import population
    from tests.bench.plan import Size

    began = time.monotonic()
    population.fill(Size(options.teams, options.runs, cases=options.cases), trusted=_is_superuser())
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT pg_size_pretty(pg_database_size(current_database()))")
        [size] = cursor.fetchone()
    seconds = time.monotonic() - began
    print(f"{options.teams} teams x {options.runs} runs x {options.cases} cases: {size}, made in {seconds:.0f} s")


def _is_superuser() -> bool:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('is_superuser') = 'on'")
        return bool(cursor.fetchone()[0])


def _compare(folder: Path, options: argparse.Namespace) -> None:
    requests = [one for one in _requests() if options.only in one["name"]]
    with ExitStack() as stack:
        sites = [stack.enter_context(_Site(CLONE, options.rounds))]
        if options.against:
            _check_out(options.against, folder / "other")
            sites.append(stack.enter_context(_Site(folder / "other", options.rounds)))
            print(f"\n{'this commit':>{len(HEAD)}}{options.against[:30]:>{len(HEAD)}}")
        print(HEAD * len(sites))
        for request in requests:
            costs = [site.cost(request) for site in sites]  # in turn: neither finds the database's memory warmer
            wrong = [f"  answered {one.status}" for one in costs if one.status != request["status"]]
            print("".join([*(one.cells() for one in costs), "  ", request["name"], *wrong]), flush=True)


class _Site:
    """The site of the code in a folder, answering in a process of its own."""

    def __init__(self, code: Path, rounds: int) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-P", str(MEASURING), str(rounds)],
            cwd=code,
            env={**os.environ, "PYTHONPATH": str(code)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.communicate()

    def cost(self, request: dict[str, Any]) -> Cost:
        """What a request costs there."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(request) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit(f"the measurement ended at {request['name']}")
        return Cost(**json.loads(line))


def _requests() -> list[dict[str, Any]]:
    """Every address, and the commands, as `measuring` reads them. What they name is put into its place first."""
    from leaderboard.core import blobs
    from tests.bench import addresses

    blobs.prepare()
    watched = addresses.watched()
    asked = [one for one in addresses.ADDRESSES if not one.state]
    requests = [{"name": one.name, "status": one.status, **one.request(watched)} for one in asked]
    commands = [{"name": one.name, "status": 0, "command": one.line.format_map(watched)} for one in addresses.COMMANDS]
    return [*requests, *commands]


def _check_out(commit: str, folder: Path) -> None:
    """The files of a commit of this clone."""
    folder.mkdir()
    archive = subprocess.run(["git", "-C", str(CLONE), "archive", commit], check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
