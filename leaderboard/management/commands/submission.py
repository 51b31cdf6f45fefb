"""manage.py submission ID: everything about a submission, for an organiser."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from leaderboard.board.disclosure import Reader, Viewer
from leaderboard.core import clock
from leaderboard.core.text import printable
from leaderboard.models import Submission
from leaderboard.progress.organiser_view import everything


class Command(BaseCommand):
    """An organiser's view of one submission."""

    help = "Show a submission: its state, history, and each case with status, reason, seconds and scores."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """ID, --json."""
        parser.add_argument("id", type=int)
        parser.add_argument("--json", action="store_true", help="print everything as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        rows = Submission.objects.select_related("team", "phase", "cases_of", "image", "weights")
        rows = rows.defer("method", "external_data", "image__config")
        submission = rows.filter(pk=options["id"]).first()
        if submission is None:
            raise CommandError(f"There is no submission {options['id']}.")
        found = everything(submission, Viewer(Reader.ORGANISER, clock.now()).of_submission(submission))
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
            return
        for line in _lines(str(submission), str(submission.phase), found):
            self.stdout.write(printable(line))


def _lines(name: str, phase: str, found: dict[str, Any]) -> Iterator[str]:
    yield f"{name} in the {phase}: {found['state']} {found['reason']}"
    for run in found["runs"]:
        yield f"run {run['number']}: {run['state']} {run['reason']}"
        for case in run["cases"]:
            dice = "" if case["dice"] is None else f"Dice {case['dice']:.3f}"
            yield f"  {case['name']:<24} {case['status']:<10} {dice} {case['reason']}"
