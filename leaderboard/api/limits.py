"""How many requests a token may make: so many in each minute. Counted in the broker, as what may be lost.

A broker that is away, or was flushed, holds nobody up.
"""

import time
from contextlib import suppress
from dataclasses import dataclass

import redis
from django.conf import settings

from leaderboard.core import events
from leaderboard.models import ApiToken

WINDOW_SECONDS = 60


@dataclass(frozen=True)
class Count:
    """What is left of a token's requests in the present minute, which ends in `seconds`; below 0: one too many."""

    left: int
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """As answers say it (RateLimit header fields for HTTP, draft 9 and later)."""
        limit = settings.API_REQUESTS_PER_MINUTE
        return {
            "RateLimit-Policy": f'"token";q={limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"token";r={max(0, self.left)};t={self.seconds}',
        }


def count(token: ApiToken) -> Count | None:
    """Count a request; None if nobody can."""
    minute, passed = divmod(int(time.time()), WINDOW_SECONDS)
    key = f"{settings.INSTANCE}:api:{token.pk}:{minute}"
    with suppress(redis.RedisError):
        pipe = events.connection().pipeline()
        pipe.incr(key)
        pipe.expire(key, 2 * WINDOW_SECONDS)
        made = int(pipe.execute()[0])
        return Count(settings.API_REQUESTS_PER_MINUTE - made, WINDOW_SECONDS - passed)
    return None
