"""manage.py import_cases: load a case set from the official files."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from leaderboard.challenge import importing
from leaderboard.challenge.casesets.official import CaseSetProblems, read_case_set
from leaderboard.core.audit import Actor
from leaderboard.models import CaseSet


class Command(BaseCommand):
    """Checks everything first, reports every problem, imports all or nothing; can be repeated."""

    help = "Load a case set from the official files: dataset JSON, CT volumes, reference masks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """NAME and where the files are."""
        parser.add_argument("name", help="name of the case set, for example test-300")
        parser.add_argument("--dataset-json", required=True, type=Path)
        parser.add_argument("--split", required=True, help="the split's name in the dataset JSON")
        parser.add_argument("--images", required=True, type=Path, help="folder of the CT volumes")
        parser.add_argument("--masks", required=True, type=Path, help="folder of the reference masks")
        parser.add_argument("--mends", help="a case set of the same volumes whose references or categories were wrong")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, then import."""
        mends = CaseSet.objects.filter(name=options["mends"]).first() if options["mends"] else None
        if options["mends"] and mends is None:
            known = ", ".join(CaseSet.objects.values_list("name", flat=True))
            raise CommandError(f"There is no case set {options['mends']}. Known: {known or 'none yet'}")
        try:
            checked = read_case_set(
                options["dataset_json"],
                split=options["split"],
                images_dir=options["images"],
                masks_dir=options["masks"],
                progress=self._progress("checked"),
            )
            for warning in checked.warnings:
                self.stderr.write(f"warning: {warning}")
            case_set, is_new = importing.import_case_set(
                options["name"], checked, by=Actor.command_line(), mends=mends, progress=self._progress("stored")
            )
        except (CaseSetProblems, importing.NameTaken) as error:
            raise CommandError(str(error)) from error
        word = "imported" if is_new else "was there already, unchanged"
        self.stdout.write(f"{case_set.name}: {case_set.cases.count()} cases {word} ({case_set.digest[:19]})")

    def _progress(self, word: str) -> Any:
        def say(done: int, total: int) -> None:
            self.stderr.write(f"\r{word} {done} of {total} cases", ending="\n" if done == total else "")

        return say
