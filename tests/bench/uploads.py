"""What pages and GPU hosts notice of many uploads: 100 that send a byte every two seconds, and 80 honest ones.

The site runs twice on the same rows, as real processes: with one pool of threads for everything, as it was, and as it
is shipped. Meanwhile people read pages, /healthz is asked, and a GPU host keeps its batches and reports on them, each
of which has to be answered. Printed are, for each: the times of pages (seconds without an answer count in full), what
was lost, and what became of the uploads; and the shipped site's times without any upload, which say how busy the
machine is. Fails where the shipped site does not keep its promises.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.asking import MOST_PAGE_SECONDS, PAGES, Times, ask, read_pages
from tests.bench.database import scratch_database
from tests.realsite import browser_headers, form_body, request_head, running_site

SLOW_EVERY_SECONDS = 2.0
HONEST_PIECES = 20


@dataclass
class Found:
    """What was seen in one arrangement."""

    pages: Times = field(default_factory=Times)
    quiet: Times = field(default_factory=Times)
    health: Counter[str] = field(default_factory=Counter)
    host: Counter[str] = field(default_factory=Counter)
    slow: Counter[str] = field(default_factory=Counter)
    honest: Counter[str] = field(default_factory=Counter)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench uploads", description=__doc__)
    parser.add_argument("--slow", type=int, default=100)
    parser.add_argument("--honest", type=int, default=80)
    parser.add_argument("--seconds", type=float, default=20, help="how long each arrangement is measured")
    parser.add_argument("--megabytes", type=float, default=4, help="of an honest upload, sent within half of that time")
    parser.add_argument("--only-shipped", action="store_true", help="leave out the one pool")
    options = parser.parse_args()
    arrangements = {"as shipped": True} if options.only_shipped else {"one pool": False, "as shipped": True}
    with tempfile.TemporaryDirectory(prefix="rexg-b-") as folder, scratch_database(Path(folder)):
        from tests.bench import uploads_scene

        people = uploads_scene.make_people((options.slow + options.honest) // 4 * 2 + 2)
        found = {}
        for name, split in arrangements.items():
            scene = uploads_scene.make(name.split()[-1], people, batches=8)
            found[name] = _measured(Path(folder) / scene.token, scene, split, options)
    _print(found)
    sys.exit(0 if _keeps_promises(found["as shipped"], options) else 1)


def _measured(folder: Path, scene: Any, split: bool, options: argparse.Namespace) -> Found:
    with running_site(folder, os.environ, split=split) as site:
        crowd = _Crowd(site.port, scene, options)
        if split:
            asyncio.run(crowd.read_quietly())
        return asyncio.run(crowd.act())


class _Crowd:
    """Everybody who asks something of the site, for a while."""

    def __init__(self, port: int, scene: Any, options: argparse.Namespace) -> None:
        self._port, self._scene, self._options = port, scene, options
        self._found = Found()

    async def read_quietly(self) -> None:
        """Measure pages while nothing else happens."""
        self._until = time.monotonic() + self._options.seconds / 3
        await self._read_pages(self._found.quiet)

    async def act(self) -> Found:
        """Let all of them begin, and measure until the time is over."""
        orders = [order for order in await asyncio.gather(*map(self._claim, self._scene.batches)) if order]
        self._until = time.monotonic() + self._options.seconds
        slow = [asyncio.create_task(self._slow(number)) for number in range(self._options.slow)]
        await asyncio.sleep(1)  # they hold what they can get before anybody else comes
        honest = [self._honest(self._options.slow + number) for number in range(self._options.honest)]
        readers = self._read_pages(self._found.pages)
        await asyncio.gather(*honest, readers, self._ask_health(), *(self._hold_batch(order) for order in orders))
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        return self._found

    # --- who asks ---

    async def _read_pages(self, times: Times) -> None:
        await asyncio.gather(*(read_pages(self._port, path, times, until=self._is_over) for path in PAGES))

    def _is_over(self) -> bool:
        return time.monotonic() > self._until

    async def _ask_health(self) -> None:
        while time.monotonic() < self._until:
            answer = await ask(self._port, "GET", "/healthz")
            self._found.health["answered" if answer.status == 200 else "not answered"] += 1
            await asyncio.sleep(0.5)

    async def _claim(self, batch: str) -> dict[str, Any] | None:
        status, said = await self._as_host(f"batches/{batch}/claim", {"key": str(uuid.uuid4()), "slot": "slot0"})
        return json.loads(said) if status == 200 else None

    async def _hold_batch(self, order: dict[str, Any]) -> None:
        """Heartbeats, then the report."""
        path = f"batches/{order['batch']}"
        while time.monotonic() < self._until - 2:
            status, _ = await self._as_host(f"{path}/heartbeat", {"fence": order["fence"], "done": 0})
            self._found.host["heartbeats" if status == 200 else "heartbeats lost"] += 1
            await asyncio.sleep(1)
        line = {"status": "failed", "reason": "crashed", "seconds": 1.0, "output": None}
        cases = [{**line, "name": order["cases"][0]["name"]}]
        container = {"exit_code": 1, "oom_killed": False, "seconds": 1.0, "warnings": []}
        said = {"fence": order["fence"], "cases": cases, "container": container, "fault": None, "log": ""}
        status, _ = await self._as_host(f"{path}/report", said)
        self._found.host["reports" if status == 200 else "reports lost"] += 1

    async def _slow(self, number: int) -> None:
        with suppress(OSError):
            status = await self._upload(number, bytes(10**6), self._a_byte_at_a_time)
            self._found.slow[f"ended by {status}"] += 1

    async def _honest(self, number: int) -> None:
        image = self._scene.image(int(self._options.megabytes * 1e6))
        status = 0
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._options.seconds):
                status = await self._upload(number, image, self._piece_by_piece)
        self._found.honest["accepted" if status == 302 else f"answered {status}" if status else "not accepted"] += 1

    # --- how ---

    async def _upload(
        self, number: int, image: bytes, send: Callable[[asyncio.StreamWriter, bytes], Coroutine[Any, Any, None]]
    ) -> int:
        body = b"".join(form_body(image))
        headers = browser_headers(self._scene.sessions[number // 2], len(body))
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(request_head("POST", self._scene.path, headers))
            sending = asyncio.create_task(send(writer, body))
            try:
                return int((await reader.readline()).split()[1])
            finally:
                sending.cancel()
        finally:
            writer.close()

    async def _a_byte_at_a_time(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        for at in range(len(body)):
            writer.write(body[at : at + 1])
            await asyncio.sleep(SLOW_EVERY_SECONDS)

    async def _piece_by_piece(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        size = len(body) // HONEST_PIECES + 1
        for start in range(0, len(body), size):
            writer.write(body[start : start + size])
            await writer.drain()
            await asyncio.sleep(self._options.seconds / 2 / HONEST_PIECES)

    async def _as_host(self, path: str, said: object) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._scene.token}", "Content-Type": "application/json"}
        answer = await ask(self._port, "POST", f"/worker/v1/{path}", json.dumps(said).encode(), headers)
        return answer.status, answer.content


def _print(found: dict[str, Found]) -> None:
    print(f"\n{'':12}{'p50 ms':>8}{'p95 ms':>8}{'max ms':>8}{'lost':>6}   what became of everything else")
    print(f"{'no uploads':12}{found['as shipped'].quiet}{0:6}")
    for name, one in found.items():
        rest = "; ".join(f"{kind}: {_counts(getattr(one, kind))}" for kind in ("health", "host", "honest", "slow"))
        print(f"{name:12}{one.pages}{one.pages.lost:6}   {rest}")


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counter.items())) or "none ended"


def _keeps_promises(found: Found, options: argparse.Namespace) -> bool:
    kept = {
        "pages within 200 ms (p95)": found.pages.within(0.95) < MOST_PAGE_SECONDS and not found.pages.lost,
        "/healthz answers": not found.health["not answered"],
        "no host's report is lost": found.host["reports"] > 0 and not found.host["reports lost"],
        "no heartbeat is lost": not found.host["heartbeats lost"],
        "honest uploads are accepted": found.honest["accepted"] == options.honest,
    }
    for promise, is_kept in kept.items():
        print(f"  {'kept' if is_kept else 'NOT KEPT':9}{promise}")
    return all(kept.values())
