"""What it costs to read the Dice of every case of many runs: as arrays, and from the results of their cases.

A database is made for it, or one that `./dev bench pages --keep` left is read. Printed are CPU seconds, of this process
and of the database's, which answers one question at a time: medians of some rounds, the first of which does not count.

    arrays           leaderboard.scores.arrays.case_dice
    whole arrays     every number of every finding
    results          case_dice again, of runs without an array: every result is read and taken apart here
    their Dice       the database takes one number out of every result: no less would do without arrays
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench.database import scratch_database, use_database

SIZES = (10, 100, 500)
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench scores", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--runs", type=int, nargs="+", default=SIZES)
    parser.add_argument("--database", metavar="NAME", help="measure on a database that was kept")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rexg-bench-")))
        if options.database:
            use_database(options.database, folder)
        else:
            stack.enter_context(scratch_database(folder))
            _fill(max(options.runs), options.cases)
        _compare(options.runs, options.rounds)


def _fill(runs: int, cases: int) -> None:
    from django.db import connection

    from tests.bench import population
    from tests.bench.plan import Size

    population.fill(Size(teams=runs, runs=1, cases=cases, phases=1))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _compare(sizes: Sequence[int], rounds: int) -> None:
    from django.db import connection, transaction

    from leaderboard.models import RunScores
    from leaderboard.scores import arrays

    every = _runs()
    with connection.cursor() as cursor:
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute("SELECT pg_backend_pid()")
        [backend] = cursor.fetchone()
    ways: dict[str, Callable[[list[int]], Any]] = {
        "arrays": arrays.case_dice,
        "whole arrays": arrays.of_runs,
        "results": arrays.case_dice,
        "their Dice": _dice_of_results,
    }
    print(f"\nCPU seconds: of this process + of the database's\n{'runs':>6}", *(f"{way:>18}" for way in ways))
    for count in sizes:
        some, line = every[:count], f"{count:6}"
        for way, read in ways.items():
            with transaction.atomic():
                if way == "results":
                    RunScores.objects.filter(run__in=some).delete()
                ours, theirs = _median(read, some, rounds, backend)
                transaction.set_rollback(True)
            line += f"{ours:>10.3f} + {theirs:5.3f}".rjust(19)
        print(line, flush=True)


def _runs() -> list[int]:
    """Scored runs on the same cases."""
    from leaderboard.models import Run
    from leaderboard.states import RunState

    scored = Run.objects.filter(state=RunState.SCORED)
    alike = scored.filter(submission__phase__case_set=scored.order_by("pk")[0].submission.phase.case_set_id)
    return list(alike.order_by("pk").values_list("pk", flat=True))


def _dice_of_results(runs: list[int]) -> Any:
    import numpy as np
    from django.db.models.fields.json import KeyTransform

    from leaderboard.models import RunCase

    rows = RunCase.objects.filter(run__in=runs).order_by("run", "case__name")
    return np.array(rows.values_list(KeyTransform("dice", "result"), flat=True), float).reshape(len(runs), -1)


def _median(read: Callable[[list[int]], Any], runs: list[int], rounds: int, backend: int) -> tuple[float, float]:
    found = []
    for _ in range(1 + rounds):
        began, theirs = time.process_time(), _cpu_of(backend)
        read(runs)
        found.append((time.process_time() - began, _cpu_of(backend) - theirs))
    ours, others = zip(*found[1:], strict=True)
    return statistics.median(ours), statistics.median(others)


def _cpu_of(process: int) -> float:
    """CPU seconds of a process of this machine; 0 of one that is elsewhere."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS
