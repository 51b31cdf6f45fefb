"""What a batch costs besides its cases: a child forked by a fork server, beside an interpreter started for it.

Both score the same small case in turns, the first turn uncounted. Printed are the median seconds until the batch's
first result and until its process has ended, and the processor time of all processes that take part, as a mean (the
kernel counts it in hundredths of a second).
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evaluation import Job
from evaluation.isolation.fork_server import ForkServer
from evaluation.isolation.scorer import IsolatedScorer
from tests.evaluation import builders

SHAPE = (2, 32, 32, 32)


class Turn(NamedTuple):
    """One batch, in seconds."""

    first_result: float
    whole: float
    processor: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench batches", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rexg-bench-") as folder, ForkServer() as server:
        server.start()
        job = a_small_job(Path(folder))
        forked, fresh = [], []
        for _ in range(options.rounds + 1):
            forked.append(with_a_forked_child(server, job))
            fresh.append(with_a_fresh_interpreter(job))
    print(f"\nmedians of {options.rounds} batches of one small case, in milliseconds (processor time: means)")
    print(f"  {'':20}{'first result':>14}{'whole batch':>14}{'processor':>14}")
    show("fresh interpreter", fresh[1:])
    show("forked child", forked[1:])


def show(title: str, turns: list[Turn]) -> None:
    """One line of the table."""
    first, whole = (statistics.median(column) for column in ([t.first_result for t in turns], [t.whole for t in turns]))
    processor = statistics.fmean(turn.processor for turn in turns)
    print(f"  {title:20}{1000 * first:14.0f}{1000 * whole:14.0f}{1000 * processor:14.0f}")


def a_small_job(folder: Path) -> Job:
    """A case that takes a few milliseconds."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, :10, :10, :10] = 1
    paths = [builders.mask_file(folder / name, mask) for name in ("reference.nii.gz", "prediction.nii.gz")]
    return Job(builders.a_case(SHAPE, ["1a", "2a"], (1.0, 1.0, 2.5)), *paths)


def with_a_forked_child(server: ForkServer, job: Job) -> Turn:
    """A batch in a child of a server that serves others, too."""
    before = processor_seconds_of(server.pid)
    first, whole = score(server, job)
    return Turn(first, whole, processor_seconds_of(server.pid) - before)


def with_a_fresh_interpreter(job: Job) -> Turn:
    """A batch with a server of its own, which is a new interpreter with all its imports."""
    before, began = processor_seconds_of_the_ended(), time.perf_counter()
    with ForkServer() as server:
        first, _ = score(server, job)
    return Turn(first, time.perf_counter() - began, processor_seconds_of_the_ended() - before)


def score(server: ForkServer, job: Job) -> tuple[float, float]:
    """Seconds until the first result and until the end of a batch."""
    began = time.perf_counter()
    with IsolatedScorer(fork_server=server) as scorer:
        if scorer.assess(job).result["dice"] != 1.0:
            raise SystemExit("the result is wrong")
        first = time.perf_counter() - began
    return first, time.perf_counter() - began


def processor_seconds_of(pid: int | None) -> float:
    """Of a process and of those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def processor_seconds_of_the_ended() -> float:
    """Of all children of this process that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
