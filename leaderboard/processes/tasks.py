"""What control workers do for a message. Each task is a step of leaderboard/journey/pipeline.py, safe to repeat."""

import uuid
from typing import Any

from celery import shared_task, signals

from leaderboard.core import process_heartbeat
from leaderboard.journey import pipeline

_worker_name = "worker"


@signals.celeryd_init.connect
def _remember_name(sender: str, **_: Any) -> None:
    """In the worker's first process: `control@machine`, which the processes that it forks inherit."""
    global _worker_name
    _worker_name = sender


@signals.worker_process_init.connect
def _show_life(**_: Any) -> None:
    """In each process that does the work; the first one must not open the database, it would be forked with it."""
    process_heartbeat.beat_in_background(_worker_name)


@shared_task(name="leaderboard.validate_image")
def validate_image(submission_id: str) -> None:
    """Check a submission's image."""
    pipeline.validate_image(int(submission_id))


@shared_task(name="leaderboard.score_batch")
def score_batch(batch_id: str) -> None:
    """Score the masks of a reported batch."""
    pipeline.score_batch(uuid.UUID(batch_id))


@shared_task(name="leaderboard.look_at_run")
def look_at_run(run_id: str) -> None:
    """Look at the masks of a scored run."""
    pipeline.look_at_run(int(run_id))
