"""manage.py show_half NAME: how even the halves of a case set are, and from the reveal on which cases they have."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from leaderboard.board.disclosure import Reader, Viewer
from leaderboard.board.half import ShownHalf
from leaderboard.core import clock
from leaderboard.models import CaseSet


class Command(BaseCommand):
    """The public half, as organisers may see it. Fails if the rows are not what was committed to."""

    help = "Show how even the halves of a case set are; from the reveal on also the secret, and which cases they have."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """NAME, --json."""
        parser.add_argument("name", help="name of the case set, for example test-300")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        case_set = CaseSet.objects.filter(name=options["name"]).first()
        if case_set is None:
            known = ", ".join(CaseSet.objects.order_by("name").values_list("name", flat=True))
            raise CommandError(f"There is no case set {options['name']}. Known: {known or 'none yet'}")
        shown = ShownHalf.of(Viewer(Reader.ORGANISER, clock.now()).of_half(case_set))
        self.stdout.write(json.dumps(shown.as_json(), indent=2) if options["json"] else "\n".join(_lines(shown)))
        if shown.holds is False:
            raise CommandError("The half is not the one that was drawn and committed to when the set was imported.")


def _lines(shown: ShownHalf) -> Iterator[str]:
    yield f"{shown.case_set}: {shown.public} cases public before the reveal, {shown.withheld} withheld"
    yield f"commitment: {shown.commitment or 'none, the set was imported before there were any'}"
    yield f"{'':<32} {'public':>8} {'withheld':>8}"
    for line in shown.balance:
        yield f"{line.label:<32} {line.public:>8} {line.withheld:>8}"
    if shown.secret:
        yield f"secret: {shown.secret}"
    for case in shown.cases:
        yield f"{case.side:<8} {case.name} {case.tag}".rstrip()
