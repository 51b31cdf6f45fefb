"""manage.py runs: search all runs, as at the desk."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from leaderboard.core.text import printable
from leaderboard.desk.run_search import STANDINGS, STATES, Search
from leaderboard.desk.run_table import Line, lines_of, with_what_is_listed
from leaderboard.models import Submission
from leaderboard.states import SubmissionKind

LIMIT = 50
_CHOICES = {
    "state": [*STATES],
    "standing": [*STANDINGS],
    "kind": [*SubmissionKind.values],
    "entry": [*Submission.Entry.values],
    "track": [*Submission.Track.values],
}


class Command(BaseCommand):
    """The runs that fit a search, the newest first."""

    help = "Search all runs by everything that is known of them; the state is that of the run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Each part of a search, --limit, --json."""
        for name in Search.__dataclass_fields__:
            parser.add_argument(f"--{name}", default="", choices=_CHOICES.get(name))
        parser.add_argument("--limit", type=int, default=LIMIT, help=f"how many at most ({LIMIT}); 0 for all")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print them."""
        asked = Search.of({name: options[name] or "" for name in Search.__dataclass_fields__})
        rows = with_what_is_listed(asked.rows())
        lines = lines_of(rows[: options["limit"]] if options["limit"] > 0 else rows)
        if options["json"]:
            self.stdout.write(json.dumps([line.as_dict() for line in lines], indent=2))
            return
        for line in lines:
            self.stdout.write(printable(_as_text(line)))


def _as_text(line: Line) -> str:
    one = line.submission
    dice = "" if line.dice is None else f"Dice {line.dice:.3f}"
    return (
        f"{one.pk:>7}  {line.word:<24} {line.code:<16} {one.algorithm} of {one.team}, {one.phase.name} {dice}".rstrip()
    )
