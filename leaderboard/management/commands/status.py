"""manage.py status: what stands on every page, and how the server is."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from leaderboard.challenge import site_lines
from leaderboard.core import clock
from leaderboard.core.text import instant, printable
from leaderboard.operations import health


class Command(BaseCommand):
    """Lines are put up with “announce --line”, and taken down with “act cancel-announcement”."""

    help = "What stands on every page of the site, and what is wrong by the checks of the health page."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--json."""
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say it."""
        at = clock.now()
        lines, found = site_lines.standing(at), health.snapshot(at)
        troubles = [check for check in found.checks if check.level]
        if options["json"]:
            told = {
                "at": at,
                "is_disturbed": any(line.is_disturbance for line in lines),
                "lines": [line._asdict() for line in lines],
                "checks": [{"name": one.name, "level": one.word.lower(), "says": one.says} for one in troubles],
            }
            self.stdout.write(json.dumps(told, indent=2, default=str))
            return
        for line in lines:
            until = f" until {instant(line.until)}" if line.until else ""
            self.stdout.write(printable(f"{line.text} (since {instant(line.since)}{until})"))
        if not lines:
            self.stdout.write("No line stands on the pages.")
        for check in troubles:
            self.stdout.write(printable(f"{check.word}: {check.title}: {check.says}"))
        if not troubles:
            self.stdout.write("Every check is well.")
