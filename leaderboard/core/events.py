"""Live events over the broker: something about a submission changed.

A page asks with the number that it has seen and is answered in a millisecond, from Redis alone, when there is nothing
new; a terminal that waits subscribes. Losing an event, or all of Redis, costs freshness and nothing else: a reader
falls back to the database.
"""

import contextlib
import logging
import time
from functools import cache

import redis
from django.conf import settings
from django.db import transaction

logger = logging.getLogger(__name__)
KEEP_SECONDS = 86_400


@cache
def connection() -> redis.Redis:
    """The process's connection pool to the broker."""
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2, decode_responses=True)


def _key(submission_id: int) -> str:
    return f"{settings.INSTANCE}:live:{submission_id}"


def announce(submission_id: int) -> None:
    """Tell whoever watches that the submission changed, once the present transaction has committed."""
    transaction.on_commit(lambda: _announce(submission_id))


def _announce(submission_id: int) -> None:
    try:
        pipe = connection().pipeline()
        pipe.incr(_key(submission_id))
        pipe.expire(_key(submission_id), KEEP_SECONDS)
        pipe.publish(f"{settings.INSTANCE}:live", str(submission_id))
        pipe.execute()
    except redis.RedisError as error:
        logger.warning("no live event for submission %s: %s", submission_id, error)


def version(submission_id: int) -> str | None:
    """A token that changes whenever the submission does; None when the broker cannot say."""
    with contextlib.suppress(redis.RedisError):
        return str(connection().get(_key(submission_id)) or "0")
    return None


def wait(seconds: float) -> None:
    """Sleep until any submission changes, or for at most `seconds`."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(redis.RedisError), connection().pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(f"{settings.INSTANCE}:live")
        while (left := deadline - time.monotonic()) > 0:
            if listener.get_message(timeout=min(left, 1.0)):
                return
    time.sleep(max(0.0, deadline - time.monotonic()))  # the broker is away: then simply sleep
