"""Messages to the workers. One carries an id, is sent after the commit, and may be lost: the sweeper sends it again."""

import logging
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from containers.protocol import task_queue as host_queue
from leaderboard.celery import app

logger = logging.getLogger(__name__)
PAUSE_SECONDS = 5.0
RESCORING_WORKERS = 8  # at most, whatever waits
_away_until = 0.0


def enqueue(task: str, key: object, queue: str) -> None:
    """Send `task` for `key` to `queue` once the present transaction has committed."""
    transaction.on_commit(lambda: _send(task, str(key), queue))


def _send(task: str, key: str, queue: str) -> None:
    """Send it, unless the broker was found away a moment ago: nobody should wait for it again and again."""
    global _away_until
    if time.monotonic() < _away_until:
        return
    try:
        app.send_task(task, [key], queue=queue, retry=False)
    except (OperationalError, RedisError, OSError) as error:
        _away_until = time.monotonic() + PAUSE_SECONDS
        logger.warning("the broker is away, %s(%s) waits for the sweeper: %s", task, key, error)


def enqueue_image_check(submission_id: int) -> None:
    """Have a control worker check a submission's image."""
    enqueue("leaderboard.validate_image", submission_id, "control")


def enqueue_scoring(batch_id: object) -> None:
    """Have a control worker score a reported batch."""
    enqueue("leaderboard.score_batch", batch_id, "scoring")


def enqueue_look(run_id: int) -> None:
    """Have a control worker look at the masks of a scored run."""
    enqueue("leaderboard.look_at_run", run_id, "scoring")


def enqueue_board(phase_id: int) -> None:
    """Have a scoring worker make what is due of a phase's boards."""
    enqueue("leaderboard.make_board", phase_id, "scoring")


def enqueue_rescoring(workers: int = RESCORING_WORKERS) -> None:
    """Have so many scoring workers score runs anew, when no mask of a live run waits."""
    for _ in range(workers):
        enqueue("leaderboard.rescore", "", "scoring")


def enqueue_mail(mail_id: int) -> None:
    """Have a control worker send what the outbox holds."""
    enqueue("leaderboard.send_mail", mail_id, "control")


def enqueue_copying(case_set_id: object) -> None:
    """Have a control worker copy the files of a case set to where they are handed out."""
    enqueue("leaderboard.copy_public_files", case_set_id, "control")


def enqueue_case_pictures() -> None:
    """Have a control worker draw cases that are public."""
    enqueue("leaderboard.draw_cases", "", "control")


def enqueue_case_files() -> None:
    """Have a control worker remove files of cases that no set has."""
    enqueue("leaderboard.tidy_case_files", "", "control")


def enqueue_batch(batch_id: object) -> None:
    """Tell the GPU hosts that a batch waits."""
    enqueue(host_queue.TASK, batch_id, host_queue.QUEUE_NAME)


def unanswered_since(at: datetime) -> datetime:
    """A message that was sent before this instant, and that nobody followed, counts as lost at the instant `at`."""
    return at - timedelta(seconds=settings.NOTIFY_AGAIN_SECONDS)
