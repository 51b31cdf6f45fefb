"""Calling workers. A ring carries an id, is sent after the commit, and may be lost: the sweeper rings again."""

import logging

from django.db import transaction
from kombu.exceptions import OperationalError

from leaderboard.celery import app

logger = logging.getLogger(__name__)


def ring(task: str, key: object, queue: str) -> None:
    """Send `task` for `key` to `queue` once the present transaction has committed."""
    transaction.on_commit(lambda: _ring(task, str(key), queue))


def _ring(task: str, key: str, queue: str) -> None:
    try:
        app.send_task(task, [key], queue=queue, retry=False)
    except OperationalError as error:
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
