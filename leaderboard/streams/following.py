"""What one reader is told of a submission: that what is shown to them has changed."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from leaderboard.streams.hub import Hub

HEARTBEAT_SECONDS = 15.0  # so that nobody between us takes the line for dead, and who left is noticed
LOOK_AGAIN_SECONDS = 60.0  # whether the reader may still, and for what no event told
LEAST_SECONDS = 1.0  # between two looks
SPREAD_SECONDS = 5.0  # over which those who wait for the same minute look


@dataclass(frozen=True)
class Look:
    """What a reader is shown at an instant: its digest, the state in words, whether it is over, when to look again.

    `follows_events` is false where a page is as of the last full minute: then no event is heard in between.
    """

    at: datetime
    digest: str
    state: str
    is_over: bool
    follows_events: bool


async def follow(
    hub: Hub, submission_id: int, look: Callable[[], Awaitable[Look | None]]
) -> AsyncIterator[Look | None]:
    """What is new, each time it is; None now and then, while nothing is.

    Ends when the submission's journey is over, or it is not shown to the reader any more.
    """
    told = ""
    with hub.waiting(submission_id) as news:
        while (found := await look()) is not None:
            if found.digest != told:
                told = found.digest
                yield found
            if found.is_over:
                return
            async for _ in _quiet(news if found.follows_events else None, _pause(found)):
                yield None


def _pause(found: Look) -> float:
    if found.follows_events:
        return LOOK_AGAIN_SECONDS
    into = found.at.second + found.at.microsecond / 1e6
    return 60.0 - into + random.uniform(0.1, SPREAD_SECONDS)  # noqa: S311 - no secret


async def _quiet(news: asyncio.Event | None, seconds: float) -> AsyncIterator[None]:
    """Wait so long, or until there is news; says so every HEARTBEAT_SECONDS."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    await asyncio.sleep(LEAST_SECONDS)
    while (left := end - loop.time()) > 0:
        pause = min(left, HEARTBEAT_SECONDS)
        if news is None:
            await asyncio.sleep(pause)
        else:
            try:
                await asyncio.wait_for(news.wait(), pause)
            except TimeoutError:
                pass
            else:
                news.clear()
                return
        yield None
