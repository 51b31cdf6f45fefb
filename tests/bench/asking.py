"""Requests to a running site, many at once, and how long pages took."""

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.realsite import request_head

PATIENCE_SECONDS = 5.0
PAGES = ("/", "/leaderboard/", "/guidelines/", "/rules/", "/account/login/")
MOST_PAGE_SECONDS = 0.2


class Answer(NamedTuple):
    """Status (0: there was none in time), headers by their names in small letters, and content."""

    status: int
    headers: dict[str, str]
    content: bytes


async def ask(
    port: int,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    patience: float = PATIENCE_SECONDS,
) -> Answer:
    """One request on a connection of its own."""
    head = {"Connection": "close", "Content-Length": str(len(body)), **(headers or {})}
    with suppress(OSError, TimeoutError, IndexError, ValueError):
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request_head(method, path, head) + body)
                return parse(await reader.read())
            finally:
                writer.close()
    return Answer(0, {}, b"")


def parse(said: bytes) -> Answer:
    """What a server said until it hung up. Raises IndexError or ValueError when that is no answer."""
    head, _, content = said.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    named = (line.partition(":") for line in lines)
    return Answer(int(first.split()[1]), {name.strip().lower(): value.strip() for name, _, value in named}, content)


@dataclass
class Times:
    """How long each page took, in seconds; one without an answer counts in full, and is lost."""

    seconds: list[float] = field(default_factory=list)
    lost: int = 0

    def within(self, share: float) -> float:
        """How long this share of the pages took at most."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]

    def __str__(self) -> str:
        """Median, 95 % and longest, in milliseconds, in columns of eight."""
        return "".join(
            f"{1000 * one:8.0f}" for one in (statistics.median(self.seconds), self.within(0.95), max(self.seconds))
        )


async def read_pages(port: int, path: str, times: Times, *, until: Callable[[], bool]) -> None:
    """Read a page four times in a second, as people do together, until that is over."""
    while not until():
        began = time.monotonic()
        answer = await ask(port, "GET", path)
        times.seconds.append(time.monotonic() - began)
        times.lost += answer.status not in (200, 302)
        await asyncio.sleep(0.25)
