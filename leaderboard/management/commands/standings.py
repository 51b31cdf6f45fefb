"""manage.py standings: the ranked table of a phase."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from leaderboard.board import exports
from leaderboard.board.disclosure import Disclosure, Reader
from leaderboard.board.reading import read_board, unpublished_board
from leaderboard.core import clock
from leaderboard.models import Phase, Submission


class Command(BaseCommand):
    """The ranked table, as the public sees it."""

    help = "Print the ranked table of a phase, as the public sees it (--unrounded: as organisers do)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--phase, --track, --unrounded, --json."""
        parser.add_argument("--phase", required=True, help="the phase's slug")
        parser.add_argument("--track", default="main", choices=Submission.Track.values)
        parser.add_argument("--unrounded", action="store_true", help="exact numbers, for organisers")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        phases = Phase.objects.all() if options["unrounded"] else Phase.objects.published()
        phase = phases.filter(slug=options["phase"]).first()
        if phase is None:
            known = ", ".join(phases.values_list("slug", flat=True))
            raise CommandError(f"There is no phase {options['phase']}. Known: {known or 'none yet'}")
        at, track = clock.now(), options["track"]
        if options["unrounded"]:
            shown = unpublished_board(Disclosure(Reader.ORGANISER, phase, at), track)
        else:
            shown = read_board(phase, track, at)
        if options["json"]:
            self.stdout.write(json.dumps(exports.as_json(shown), indent=2))
        else:
            self.stdout.write(exports.as_table(shown))
