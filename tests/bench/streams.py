"""Many people who follow runs live at once: what the process of the streams takes, and how soon they are told.

The site runs as it is shipped, with so many streams open, several for each run. Meanwhile pages are read, and again and
again something happens to one of the runs. Printed are memory and CPU of the streams' process, the time from an event
to the last of its readers, and the times of pages without and with it all. Fails where a reader is not told, a stream
breaks, or pages are slow.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.bench.asking import MOST_PAGE_SECONDS, PAGES, Times, read_pages
from tests.bench.database import scratch_database
from tests.bench.processes import cpu_seconds, family, peak_bytes
from tests.realsite import RealSite, request_head, running_site

EVENT_SECONDS = 1.5
TOLD_WITHIN_SECONDS = 15.0


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="./dev bench streams", description=__doc__)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--teams", type=int, default=50, help="with a run each, which all of their streams follow")
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rexg-b-") as folder, scratch_database(Path(folder)):
        from tests.bench import streams_scene

        scene = streams_scene.make(options.teams, options.streams)
        limit = {"STREAMS_PER_PERSON": str(options.streams)}
        with running_site(Path(folder) / "site", {**os.environ, **limit}) as site:
            crowd = _Crowd(site, scene, options)
            asyncio.run(crowd.act())
    sys.exit(0 if crowd.report() else 1)


class _Crowd:
    """Who follows, who reads, and what happens meanwhile."""

    def __init__(self, site: RealSite, scene: Any, options: argparse.Namespace) -> None:
        self._site, self._scene, self._options = site, scene, options
        self._processes = family(site.processes["streams"].pid)
        self._told: dict[int, list[float]] = {}
        self._firsts, self._ended = 0, Counter[str]()
        self.quiet, self.busy, self.delays = Times(), Times(), list[float]()
        self._missed = 0
        self._before = self._after = 0
        self._cpu = 0.0
        self._log = ""

    async def act(self) -> None:
        """Pages alone; then with everybody who follows."""
        await self._read(self.quiet, self._options.seconds / 3)
        self._before = sum(map(peak_bytes, self._processes))
        streams = [asyncio.create_task(self._follow(number)) for number in range(self._options.streams)]
        while self._firsts < self._options.streams and not self._ended:
            await asyncio.sleep(0.1)
        busy = sum(map(cpu_seconds, self._processes))
        await asyncio.gather(self._read(self.busy, self._options.seconds), self._happen())
        self._cpu = sum(map(cpu_seconds, self._processes)) - busy
        self._after = sum(map(peak_bytes, self._processes))
        self._log = self._site.log("streams")
        for one in streams:
            one.cancel()
        await asyncio.gather(*streams, return_exceptions=True)

    async def _read(self, times: Times, seconds: float) -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(
            *(read_pages(self._site.port, path, times, until=lambda: time.monotonic() > until) for path in PAGES)
        )

    async def _follow(self, number: int) -> None:
        run, session = self._scene.readers[number]
        reader, writer = await asyncio.open_connection("127.0.0.1", self._site.port)
        try:
            writer.write(request_head("GET", f"/runs/{run}/events/", {"Cookie": f"rexg_session={session}"}))
            is_first, status = True, (await reader.readline()).decode().strip()
            while line := await reader.readline():
                if line.startswith(b"data: ") and "seen" in json.loads(line.removeprefix(b"data: ")):
                    self._firsts += is_first
                    if not is_first:
                        self._told.setdefault(run, []).append(time.monotonic())
                    is_first = False
            self._ended[status] += 1
        finally:
            writer.close()

    async def _happen(self) -> None:
        """Something happens to one run after the other; each of its readers is to be told."""
        until = time.monotonic() + self._options.seconds
        for run in self._scene.runs:
            if time.monotonic() > until:
                return
            began = time.monotonic()
            await asyncio.to_thread(self._scene.change, run)
            readers = sum(one == run for one, _ in self._scene.readers)
            while len(self._since(run, began)) < readers and time.monotonic() - began < TOLD_WITHIN_SECONDS:
                await asyncio.sleep(0.02)
            told = self._since(run, began)
            self._missed += readers - len(told)
            self.delays += [at - began for at in told]
            await asyncio.sleep(max(0.0, began + EVENT_SECONDS - time.monotonic()))

    def _since(self, run: int, began: float) -> list[float]:
        """When its readers were told since then: an estimate is new with every minute, too."""
        return [at for at in self._told.get(run, []) if at >= began]

    def report(self) -> bool:
        """Print it; whether all is as promised."""
        streams = self._options.streams
        print(f"\n{streams} streams of {len(self._scene.runs)} runs, ended early: {dict(self._ended)}")
        print(f"memory: {self._before >> 20} MiB without a stream, {self._after >> 20} MiB at most with all")
        print(f"CPU: {100 * self._cpu / self._options.seconds:.1f} % of a core")
        longest, median = max(self.delays, default=0.0), statistics.median(self.delays or [0.0])
        print(f"told: {len(self.delays)} times after {median:.2f} s (median), {longest:.2f} s (longest)")
        print(f"{'pages':12}{'p50 ms':>8}{'p95 ms':>8}{'max ms':>8}{'lost':>6}")
        for name, times in (("alone", self.quiet), ("with streams", self.busy)):
            print(f"{name:12}{times}{times.lost:6}")
        if self._ended:
            print(self._log[-3000:])
        kept = {
            "no stream ends": not self._ended,
            "everybody is told, each time": bool(self.delays) and not self._missed,
            "pages within 200 ms (p95)": self.busy.within(0.95) < MOST_PAGE_SECONDS and not self.busy.lost,
        }
        for promise, is_kept in kept.items():
            print(f"  {'kept' if is_kept else 'NOT KEPT':9}{promise}")
        return all(kept.values())


if __name__ == "__main__":
    main()
