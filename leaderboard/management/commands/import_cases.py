"""manage.py import_cases: load a case set from the official files."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.validators import slug_re

from leaderboard.challenge.casesets.problems import FEW, WARNINGS, Remark, grouped, in_groups
from leaderboard.challenge.import_story import Delivery, Result, carry_out
from leaderboard.core.audit import Actor
from leaderboard.core.text import printable
from leaderboard.models import CaseSet

_WARNING_KEYS = {group.key: group.title for group in WARNINGS}


def _accepted(text: str) -> frozenset[str]:
    keys = frozenset(key.strip() for key in text.split(",") if key.strip())
    if unknown := sorted(keys - _WARNING_KEYS.keys()):
        raise ArgumentTypeError(f"no such warning: {', '.join(unknown)}. There are: {', '.join(_WARNING_KEYS)}")
    return keys


class Command(BaseCommand):
    """Checks everything first, reports every problem, imports all or nothing; can be repeated."""

    help = (
        "Load a case set from the official files: dataset JSON, CT volumes, reference masks. Everything is checked "
        "before anything is stored. An import that was killed goes on where it was: run the same command again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """NAME and where the files are."""
        parser.add_argument("name", help="name of the case set, for example test-300")
        parser.add_argument("--dataset-json", required=True, type=Path)
        parser.add_argument("--split", required=True, help="the split's name in the dataset JSON")
        parser.add_argument("--images", required=True, type=Path, help="folder of the CT volumes")
        parser.add_argument("--masks", required=True, type=Path, help="folder of the reference masks")
        parser.add_argument("--mends", help="a case set of the same volumes whose references or categories were wrong")
        parser.add_argument(
            "--unranked", action="store_true", help="findings may lack categories: no phase ranks by it"
        )
        known = "; ".join(f"{key}: {title}" for key, title in _WARNING_KEYS.items())
        parser.add_argument(
            "--accept-warnings",
            type=_accepted,
            default=frozenset(),
            metavar="KEY,KEY",
            help=f"warnings that are no mistakes, named after you read them ({known})",
        )
        parser.add_argument("--dry-run", action="store_true", help="check everything, store nothing")
        parser.add_argument("--all", action="store_true", help="show every warning, not the first ones of each kind")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, then import."""
        if not slug_re.fullmatch(options["name"]) or len(options["name"]) > 60:
            raise CommandError("The name of a case set has letters, digits, “-” and “_”, and 60 of them at most.")
        delivery = Delivery(
            name=options["name"],
            dataset_json=options["dataset_json"],
            split=options["split"],
            images=options["images"],
            masks=options["masks"],
            accepted=options["accept_warnings"],
            is_ranked=not options["unranked"],
            mends=self._mended(options["mends"]),
        )
        told = None if options["json"] else self._progress
        result = carry_out(delivery, by=Actor.command_line(), dry_run=options["dry_run"], told=told)
        if options["json"]:
            self.stdout.write(json.dumps(result.as_json(), indent=2, ensure_ascii=False))
        else:
            self._tell(result, most=None if options["all"] else FEW)
        if result.outcome == "refused":
            raise CommandError("Nothing was imported." if options["json"] else _refusal(result))

    def _mended(self, name: str | None) -> CaseSet | None:
        mends = CaseSet.objects.filter(name=name).first() if name else None
        if name and mends is None:
            known = ", ".join(CaseSet.objects.values_list("name", flat=True))
            raise CommandError(f"There is no case set {name}. Known: {known or 'none yet'}")
        return mends

    def _progress(self, step: str, done: int, total: int) -> None:
        what = {"checking": "steps checked", "storing": "cases stored"}[step]
        self.stderr.write(f"\r{done} of {total} {what}", ending="\n" if done == total else "")

    def _tell(self, result: Result, *, most: int | None) -> None:
        for word, some in (("note", result.notes), ("warning", result.warnings)):
            if some:
                self.stderr.write(_lines(f"{word}s:", some, most))
        if result.outcome == "checked":
            self.stdout.write(f"{result.name}: {result.cases} cases are fit to be imported; nothing was stored")
        if result.case_set:
            word = "imported" if result.is_new else "was there already, unchanged"
            digest = result.case_set.digest[:19]
            self.stdout.write(f"{result.name}: {result.case_set.cases.count()} cases {word} ({digest})")


def _lines(head: str, remarks: Any, most: int | None) -> str:
    return "\n".join(printable(line) for line in (head, *in_groups(remarks, most=most).splitlines()))


def _refusal(result: Result) -> str:
    """Why nothing was imported: all of it."""
    if result.refused:
        return result.refused
    problems: list[Remark] = list(result.problems)
    kinds = len(grouped(problems))
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
    head = f"The case set has {count}{f' of {kinds} kinds' if kinds > 1 else ''}; nothing was imported."
    return _lines(head, problems, None)
