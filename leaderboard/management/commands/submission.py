"""manage.py submission ID: everything about a submission, for an organiser."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from leaderboard.board import exports
from leaderboard.models import Submission


class Command(BaseCommand):
    """An organiser's view of one submission."""

    help = "Show a submission: its state, history, and each case with status, reason, seconds and scores."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """ID, --json."""
        parser.add_argument("id", type=int)
        parser.add_argument("--json", action="store_true", help="print everything as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        submission = Submission.objects.filter(pk=options["id"]).first()
        if submission is None:
            raise CommandError(f"There is no submission {options['id']}.")
        everything = exports.submission(submission)
        if options["json"]:
            self.stdout.write(json.dumps(everything, indent=2))
            return
        for line in _lines(str(submission), str(submission.phase), everything):
            self.stdout.write(exports.printable(line))


def _lines(name: str, phase: str, everything: dict[str, Any]) -> Iterator[str]:
    yield f"{name} in the {phase}: {everything['state']} {everything['reason']}"
    for run in everything["runs"]:
        yield f"run {run['number']}: {run['state']} {run['reason']}"
        for case in run["cases"]:
            dice = "" if case["dice"] is None else f"Dice {case['dice']:.3f}"
            yield f"  {case['name']:<24} {case['status']:<10} {dice} {case['reason']}"
