"""manage.py capacity: whether all teams' runs will fit until the deadline."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from leaderboard.core import clock
from leaderboard.core.text import instant
from leaderboard.operations.capacity import Capacity, capacity_at


class Command(BaseCommand):
    """GPU hours that are foreseen until the deadline, and those that there are."""

    help = "Say whether all teams' runs will fit until the deadline of the open phase that closes first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--phase, --json."""
        parser.add_argument("--phase", default="", help="the slug of another open phase")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        found = capacity_at(clock.now(), options["phase"])
        if found is None:
            raise CommandError("No such phase is open that takes images.")
        self.stdout.write(json.dumps(found.as_json(), indent=2, default=str) if options["json"] else _in_words(found))


def _in_words(found: Capacity) -> str:
    head = (
        f"{found.phase.name}, until {instant(found.phase.closes_at)}: {found.teams} teams, {found.gpus} GPUs or slots."
    )
    if found.foreseen is None:
        return f"{head}\nNo run like it was seen yet: nothing can be foreseen."
    of = found.foreseen
    return (
        f"{head}\n{of.verdict}: {of.hours:.0f} GPU hours foreseen ({of.low:.0f} to {of.high:.0f}), {of.there:.0f} "
        f"there; the last runs would start {found.last_runs_start}."
    )
