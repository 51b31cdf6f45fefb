"""What control workers do when the bell rings. Each task is a step of leaderboard/pipeline.py, safe to repeat."""

import uuid

from celery import shared_task

from leaderboard import pipeline


@shared_task(name="leaderboard.validate_image")
def validate_image(submission_id: str) -> None:
    """Check a submission's image."""
    pipeline.validate_image(int(submission_id))


@shared_task(name="leaderboard.score_batch")
def score_batch(batch_id: str) -> None:
    """Score the masks of a reported batch."""
    pipeline.score_batch(uuid.UUID(batch_id))
