"""The sweeper: derives from the database what should be happening, and puts it right.

Everything it does is a step of the pipeline that would have happened anyway; it exists because messages get lost,
workers are killed, hosts go silent, and pauses end. Running it twice at once makes no difference.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from leaderboard import clock, doorbell, pipeline
from leaderboard.models import Batch, Run, Submission
from leaderboard.states import ACTIVE_RUN_STATES, BatchState, RunState, SubmissionState

logger = logging.getLogger(__name__)


def sweep() -> None:
    """Look once at everything that is unfinished."""
    at = clock.now()
    _ring_for_forgotten_images(at)
    _end_lost_leases(at)
    _ring_for_forgotten_scores(at)
    _end_pauses(at)
    _advance_runs()
    pipeline.fill_slots()


def _unanswered(at: datetime) -> datetime:
    return at - timedelta(seconds=settings.DOORBELL_SECONDS)


def _ring_for_forgotten_images(at: datetime) -> None:
    waiting = Submission.objects.filter(
        state__in=[SubmissionState.RECEIVED, SubmissionState.VALIDATING], rung_at__lt=_unanswered(at)
    )
    for submission in waiting:
        with transaction.atomic():
            Submission.objects.filter(pk=submission.pk).update(rung_at=at)
            doorbell.ring_for_image(submission.pk)


def _end_lost_leases(at: datetime) -> None:
    for batch_id in Batch.objects.filter(state=BatchState.LEASED, lease_until__lt=at).values_list("pk", flat=True):
        logger.warning("batch %s: its host went silent", batch_id)
        pipeline.lose_lease(batch_id)


def _ring_for_forgotten_scores(at: datetime) -> None:
    for batch in Batch.objects.filter(state=BatchState.REPORTED, rung_at__lt=_unanswered(at)):
        with transaction.atomic():
            Batch.objects.filter(pk=batch.pk).update(rung_at=at)
            doorbell.ring_for_scores(batch.pk)


def _end_pauses(at: datetime) -> None:
    for submission in Submission.objects.filter(state=SubmissionState.HALTED, retry_at__lt=at):
        pipeline.retry_image(submission)
    for run in Run.objects.filter(state=RunState.HALTED, retry_at__lt=at):
        pipeline.resume(run)


def _advance_runs() -> None:
    for run_id in Run.objects.filter(state__in=ACTIVE_RUN_STATES).values_list("pk", flat=True):
        pipeline.look_after(run_id)
