"""Django's cache in the broker, which may be away: then nothing is kept, and nobody waits or is turned away for that.

allauth counts in it what it limits by itself. What has to hold whatever becomes of the broker is in the database
(`leaderboard.people.throttle`).
"""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)
Kept = TypeVar("Kept")


class _Client(RedisCacheClient):
    """Answers as an empty cache does while the broker is away."""

    def add(self, *args: Any) -> bool:
        return _or(True, super().add, *args)

    def get(self, key: Any, default: Any) -> Any:
        return _or(default, super().get, key, default)

    def set(self, *args: Any) -> None:
        _or(None, super().set, *args)

    def delete(self, *args: Any) -> bool:
        return _or(False, super().delete, *args)


class BrokerCache(RedisCache):
    """Named in the settings."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = _Client


def _or(otherwise: Kept, ask: Callable[..., Kept], *args: Any) -> Kept:
    try:
        return ask(*args)
    except RedisError as error:
        logger.warning("nothing is cached, the broker is away: %s", error)
        return otherwise
