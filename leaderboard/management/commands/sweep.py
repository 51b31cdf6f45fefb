"""manage.py sweep: look after everything that is unfinished, for ever."""

import logging
import math
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError
from django.db import close_old_connections

from leaderboard.core import outbox
from leaderboard.operations import retention
from leaderboard.processes import sweeper

logger = logging.getLogger(__name__)
TIDY_SECONDS = 600


class Command(BaseCommand):
    """The sweeper's process."""

    help = "Derive what should be happening from the database, and put it right, every few seconds."
    requires_system_checks: list[str] = []  # as `migrate` has checked: they would load every page and the whole API

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--once for a single look."""
        parser.add_argument("--once", action="store_true", help="look once and end")

    def handle(self, *args: Any, **options: Any) -> None:
        """Sweep until the process is stopped; a database that is away for a while is waited for."""
        tidy_at, looked_at = 0.0, -math.inf
        if not options["once"]:
            outbox.send_in_background()
        while True:
            if not options["once"]:
                sweeper.note_standstill(since=looked_at)  # it has just begun, or the whole machine stood still
            looked_at = time.monotonic()
            try:
                sweeper.sweep()
                if time.monotonic() > tidy_at:
                    retention.tidy()
                    tidy_at = time.monotonic() + TIDY_SECONDS
            except DatabaseError as error:
                if options["once"]:
                    raise
                sweeper.note_outage()
                logger.warning("the database is away, trying again: %s", error)
            close_old_connections()
            if options["once"]:
                outbox.send_due()
                return
            time.sleep(settings.SWEEP_SECONDS)
