"""Boards and the home page at 10 to 10,000 runs: what they cost, how long visitors wait, how soon a version is there.

For each volume a database is made (`tests.bench.population`). Printed are, of pages as a visitor without a cookie sees
them,

    queries, CPU      questions to the database, and CPU time in one process (median), to make it: once a minute
    p50, p95          how long an answer takes over HTTP, from gunicorn as it is shipped, one request after the other
    304               the same (p95) for who has the page, and asks whether it changed
    file              the same (p95) of a static file of as many bytes from the same processes, asked in turn

all in milliseconds; and the seconds from a scored run to the version of the board that lists it, with how sure its
order is, by the task of the scoring workers: in a process that begins anew, and for the runs that follow (median).

Fails where home or a board asks more questions than at the volume before, takes MOST_CPU_MS or more, grows in CPU time
by MOST_GROWTH or more at ten times the volume (once a page of rows is full: before, it grows by rows), or has a p95 of
MOST_TIMES that of the file or more; and where a version takes MOST_SECONDS or more.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

CLONE = Path(__file__).resolve().parents[2]
VOLUMES = (10, 100, 1000, 10_000)
HELD_TO = ("home", "board", "hidden board")
MOST_CPU_MS = 30.0
MOST_GROWTH = 1.2
MOST_TIMES = 3.0
MOST_SECONDS = 5.0
HEAD = f"{'runs':>7}{'queries':>9}{'CPU':>8}{'p50':>8}{'p95':>8}{'304':>8}{'file':>8}{'bytes':>10}  page"


@dataclass(frozen=True)
class Cost:
    """What a page costs, in milliseconds; `size` in bytes."""

    queries: int
    cpu: float
    p50: float
    p95: float
    again: float
    file: float
    size: int

    def line(self, runs: int, name: str) -> str:
        """As a line of the table."""
        numbers = "".join(f"{one:8.1f}" for one in (self.cpu, self.p50, self.p95, self.again, self.file))
        return f"{runs:>7,}{self.queries:>9}{numbers}{self.size:>10,}  {name}"


@dataclass(frozen=True)
class Volume:
    """What was measured with so many runs: costs by the names of pages, seconds until a version was there."""

    runs: int
    costs: dict[str, Cost]
    anew: float
    then: float

    @classmethod
    def of(cls, said: dict[str, Any]) -> Self:
        """As `board_volume` says it."""
        return cls(said["runs"], {name: Cost(**cost) for name, cost in said["costs"].items()}, **said["version"])

    def lines(self) -> Iterator[str]:
        """As lines of the table."""
        for name, cost in self.costs.items():
            yield cost.line(self.runs, name)
        yield f"{self.runs:>7,}{self.anew:>9.2f} s a version, in a process that begins anew; {self.then:.2f} s then"


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(
        prog="./dev bench board", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, nargs="+", default=VOLUMES, help="volumes, the smallest first")
    parser.add_argument("--cases", type=int, default=300, help="cases of a run")
    parser.add_argument("--rounds", type=int, default=9, help="measured answers in one process")
    parser.add_argument("--requests", type=int, default=200, help="measured requests over HTTP, of each kind")
    options = parser.parse_args()
    print(HEAD, flush=True)
    found = []
    for runs in options.runs:
        found.append(_measured(runs, options))
        print(*found[-1].lines(), sep="\n", flush=True)
    broken = [*_broken(found)]
    print("\n" + ("\n".join(broken) or "All of it holds."))
    sys.exit(1 if broken else 0)


def _measured(runs: int, options: argparse.Namespace) -> Volume:
    """One volume, in a process of its own: there Django has one database as long as it lives."""
    numbers = map(str, (runs, options.cases, options.rounds, options.requests))
    command = [sys.executable, "-P", "-m", "tests.bench.board_volume", *numbers]
    child = subprocess.run(command, cwd=CLONE, stdout=subprocess.PIPE, text=True, check=True)
    return Volume.of(json.loads(child.stdout.splitlines()[-1]))


def _broken(found: Sequence[Volume]) -> Iterator[str]:
    """What does not hold, in words."""
    for volume in found:
        for name in HELD_TO:
            cost = volume.costs[name]
            if cost.cpu >= MOST_CPU_MS:
                yield f"{name} at {volume.runs:,} runs: {cost.cpu:.1f} ms of CPU"
            if cost.p95 >= MOST_TIMES * cost.file:
                yield f"{name} at {volume.runs:,} runs: p95 {cost.p95 / cost.file:.1f} times that of a file"
        if max(volume.anew, volume.then) >= MOST_SECONDS:
            yield f"a version at {volume.runs:,} runs: {volume.anew:.1f} s anew, {volume.then:.1f} s then"
    for before, after in pairwise(found):
        for name in HELD_TO:
            few, many = before.costs[name], after.costs[name]
            if many.queries > few.queries:
                yield f"{name} from {before.runs:,} to {after.runs:,} runs: {few.queries}, then {many.queries} queries"
            is_as_long = many.size < MOST_GROWTH * few.size
            if is_as_long and many.cpu >= MOST_GROWTH * few.cpu:
                yield f"{name} from {before.runs:,} to {after.runs:,} runs: {many.cpu / few.cpu - 1:.0%} more CPU"


if __name__ == "__main__":
    main()
