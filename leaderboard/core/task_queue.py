"""Calling workers. A ring carries an id, is sent after the commit, and may be lost: the sweeper rings again."""

import logging
import time

from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from leaderboard.celery import app

logger = logging.getLogger(__name__)
PAUSE_SECONDS = 5.0
_away_until = 0.0


def ring(task: str, key: object, queue: str) -> None:
    """Send `task` for `key` to `queue` once the present transaction has committed."""
    transaction.on_commit(lambda: _ring(task, str(key), queue))


def _ring(task: str, key: str, queue: str) -> None:
    """Send it, unless the broker was found away a moment ago: nobody should wait for it again and again."""
    global _away_until
    if time.monotonic() < _away_until:
        return
    try:
        app.send_task(task, [key], queue=queue, retry=False)
    except (OperationalError, RedisError, OSError) as error:
        _away_until = time.monotonic() + PAUSE_SECONDS
        logger.warning("the broker is away, %s(%s) waits for the sweeper: %s", task, key, error)


def ring_for_image(submission_id: int) -> None:
    """Call a control worker to check a submission's image."""
    ring("leaderboard.validate_image", submission_id, "control")


def ring_for_scores(batch_id: object) -> None:
    """Call a control worker to score a reported batch."""
    ring("leaderboard.score_batch", batch_id, "scoring")


def ring_for_batch(batch_id: object) -> None:
    """Call the GPU hosts: a batch waits."""
    ring("containers.run_batch", batch_id, "sandbox")
