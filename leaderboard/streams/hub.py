"""Events of the broker, dealt out to those in this process who wait for one: one subscription for all."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterator

from redis.asyncio import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)
AGAIN_SECONDS = 2.0


class Hub:
    """Who waits for news of which submission. Used in one event loop."""

    def __init__(self, url: str, channel: str) -> None:
        self._url, self._channel = url, channel
        self._waiting: defaultdict[int, set[asyncio.Event]] = defaultdict(set)
        self._listening: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def waiting(self, submission_id: int) -> Iterator[asyncio.Event]:
        """An event that is set whenever something about the submission changes."""
        if self._listening is None or self._listening.done():
            self._listening = asyncio.get_running_loop().create_task(self._listen())
        news = asyncio.Event()
        self._waiting[submission_id].add(news)
        try:
            yield news
        finally:
            self._waiting[submission_id].discard(news)
            if not self._waiting[submission_id]:
                del self._waiting[submission_id]

    async def _listen(self) -> None:
        """For ever. After a time without the broker everybody looks: what was said meanwhile is lost."""
        while True:
            try:
                async with Redis.from_url(self._url, decode_responses=True) as broker, broker.pubsub() as listener:
                    await listener.subscribe(self._channel)
                    for waiting in [*self._waiting.values()]:
                        _tell(waiting)
                    async for message in listener.listen():
                        if message["type"] == "message" and str(message["data"]).isdecimal():
                            _tell(self._waiting.get(int(message["data"]), set()))
            except (RedisError, OSError) as error:
                logger.warning("no live events: %s", error)
            await asyncio.sleep(AGAIN_SECONDS)


def _tell(waiting: set[asyncio.Event]) -> None:
    for news in waiting:
        news.set()
