"""What control and scoring workers do for a message: a step of leaderboard/journey/pipeline.py, safe to repeat.

A message is a knock at the door. It names what made somebody send it, for people who look into a queue; what is done is
what the rows say is next (leaderboard/journey/scheduling.py).
"""

import os
from collections.abc import Mapping
from typing import Any

from celery import shared_task, signals

from leaderboard.board import versions
from leaderboard.challenge import case_files, case_pictures, downloads
from leaderboard.core import locks, outbox, process_heartbeat, scratch, task_queue
from leaderboard.journey import pipeline
from leaderboard.rescoring import work

MAIL_SECONDS = 10.0  # of messages in a row: images wait for their checks; the sweeper's process sends the rest
COPY_SECONDS = 30.0  # of copying in a row, likewise
_worker_name = "worker"
_processes = 1


@signals.celeryd_init.connect
def _remember(sender: str, options: Mapping[str, Any], **_: Any) -> None:
    """In the worker's first process: `control@machine` and its number of processes, which those it forks inherit."""
    global _worker_name, _processes
    _worker_name, _processes = sender, options.get("concurrency") or os.cpu_count() or 1
    scratch.remove_abandoned()
    scratch.use_own_folder()


@signals.worker_process_init.connect
def _show_life(**_: Any) -> None:
    """In each process that does the work; the first one must not open the database, it would be forked with it."""
    process_heartbeat.beat_in_background(_worker_name)


@shared_task(name="leaderboard.validate_image")
def validate_image(_submission_id: str) -> None:
    """Check the image whose turn it is."""
    pipeline.check_next(processes=_processes)


@shared_task(name="leaderboard.score_batch")
def score_batch(_batch_id: str) -> None:
    """Score masks of the batch whose turn it is. Boards do not wait for the masks of others."""
    pipeline.score_next(processes=_processes)
    for phase in versions.overdue():
        versions.make(phase)


@shared_task(name="leaderboard.look_at_run")
def look_at_run(_run_id: str) -> None:
    """Look at the masks of the scored run whose turn it is."""
    pipeline.look_next(processes=_processes)


@shared_task(name="leaderboard.rescore")
def rescore(_key: str) -> None:
    """Score runs of a re-scoring anew for a while, after everything else that is to be scored."""
    pipeline.score_first(_processes)
    if work.work_next(processes=_processes):
        task_queue.enqueue_rescoring(1)


@shared_task(name="leaderboard.make_board")
def make_board(phase_id: str) -> None:
    """Make what is due of the boards of a phase."""
    if versions.make(int(phase_id)):
        process_heartbeat.beat(f"{process_heartbeat.BOARD}{phase_id}")


@shared_task(name="leaderboard.copy_public_files")
def copy_public_files(case_set_id: str) -> None:
    """Copy files that may be downloaded to where they are handed out; one worker at a time."""
    with locks.working_on(downloads.COPYING, "") as mine:
        goes_on = mine and downloads.copy_next(for_seconds=COPY_SECONDS)
    if goes_on:
        task_queue.enqueue_copying(case_set_id)


@shared_task(name="leaderboard.draw_cases")
def draw_cases(_key: str) -> None:
    """Draw public cases; one worker at a time."""
    with locks.working_on(case_pictures.DRAWING, "") as mine:
        goes_on = mine and case_pictures.draw_next(for_seconds=COPY_SECONDS)
    if goes_on:
        task_queue.enqueue_case_pictures()


@shared_task(name="leaderboard.tidy_case_files")
def tidy_case_files(_key: str) -> None:
    """Remove files of cases that no set has, reference masks among them."""
    case_files.tidy()


@shared_task(name="leaderboard.send_mail")
def send_mail(_mail_id: str) -> None:
    """Send the messages whose turn it is."""
    outbox.send_due(for_seconds=MAIL_SECONDS)
