"""What the masks of a scored run on public cases look like: asked for when it is scored, and looked at in its turn."""

import logging

from django.db import transaction
from django.db.models import F

from leaderboard.core import clock, events, locks, task_queue
from leaderboard.journey.selectors import awaiting_a_look
from leaderboard.models import Run
from leaderboard.scores import hints

logger = logging.getLogger(__name__)


def ask_for_hints(run: Run) -> None:
    """Have the masks of a scored run looked at; the sweeper asks again while nobody did."""
    with transaction.atomic():
        Run.objects.filter(pk=run.pk).update(hints_asked_at=clock.now())
        task_queue.enqueue_look(run.pk)


def ask_for_the_next() -> None:
    """Have the next run looked at. What was looked at in vain waits longer: the sweeper asks again."""
    if waiting := awaiting_a_look().filter(hints_tries=0).first():
        task_queue.enqueue_look(waiting.pk)


def look_at_run(run_id: int, pause: hints.Pause = lambda _rest: None) -> None:
    """Say what the masks of a run on public cases look like, unless that was given up.

    A look is counted before it begins: it may kill its worker.
    """
    with locks.working_on("hints", run_id) as mine:
        run = awaiting_a_look().select_related("submission__phase").filter(pk=run_id).first()
        if not mine or run is None:
            return
        this = Run.objects.filter(pk=run_id)
        this.update(hints_tries=F("hints_tries") + 1, hints_asked_at=clock.now())
        try:
            this.update(hints=hints.look(run, pause))
        except Exception:
            # Bad masks give no answer; what arrives here is a reference, a disk, a process or a mistake of ours.
            logger.exception("the masks of run %s could not be looked at (try %s)", run_id, run.hints_tries + 1)
        events.announce(run.submission_id)
