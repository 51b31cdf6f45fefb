"""manage.py import_reference: published results and baselines as reference rows of a phase's boards."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from leaderboard.challenge import reference_rows
from leaderboard.challenge.reference_rows import Changes, ReferenceProblems, Tables
from leaderboard.core.audit import Actor
from leaderboard.core.text import printable, storable
from leaderboard.models import Phase


class Command(BaseCommand):
    """Checks everything first, names the row and the field of each problem, imports all or nothing; can be repeated."""

    help = (
        "Show results from elsewhere on the boards of a phase, apart and without a rank: the tables of FILE, or "
        "published ones that come with the server. A table is then what the file says."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """FILE, --published, --phase, --dry-run, --json, --why, --schema."""
        parser.add_argument("file", nargs="?", help="JSON in UTF-8: {name of a table: table}")
        parser.add_argument("--published", action="append", default=[], choices=sorted(reference_rows.published()))
        parser.add_argument("--phase", help="its slug")
        parser.add_argument("--dry-run", action="store_true", help="say what it would do, and do nothing")
        parser.add_argument("--json", action="store_true")
        parser.add_argument("--why", default="", help="kept in the record")
        parser.add_argument("--schema", action="store_true", help="print the JSON Schema of a file")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, then import."""
        if options["schema"]:
            self.stdout.write(json.dumps(reference_rows.schema(), indent=2))
            return
        tables, phase = _tables(options), _phase(options["phase"])
        told = {"by": Actor.command_line(), "why": storable(options["why"]), "dry_run": options["dry_run"]}
        with transaction.atomic():
            done = {name: reference_rows.import_table(phase, name, table, **told) for name, table in tables.items()}
        if options["json"]:
            self.stdout.write(json.dumps({name: asdict(changes) for name, changes in done.items()}, indent=2))
            return
        for name, changes in done.items():
            self.stdout.write(_line(name, changes, dry_run=options["dry_run"]))


def _tables(options: dict[str, Any]) -> Tables:
    if bool(options["file"]) == bool(options["published"]):
        raise CommandError("Name a file, or published tables with --published: one of the two.")
    if options["published"]:
        known = reference_rows.published()
        return {name: known[name] for name in options["published"]}
    try:
        return reference_rows.read_tables(Path(options["file"]).read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise CommandError(f"{options['file']} cannot be read: {error}") from error
    except ReferenceProblems as problems:
        raise CommandError(str(problems)) from problems


def _phase(slug: str | None) -> Phase:
    phase = Phase.objects.filter(slug=slug).first()
    if phase is None:
        known = ", ".join(Phase.objects.values_list("slug", flat=True))
        asked = f"There is no phase {slug}." if slug else "Name the phase with --phase."
        raise CommandError(f"{asked} Known: {known or 'none yet'}")
    return phase


def _line(name: str, changes: Changes, *, dry_run: bool) -> str:
    words = [f"{len(rows)} {word}" for word, rows in asdict(changes).items() if rows]
    named = [*changes.added, *changes.changed, *changes.removed]
    of = f" ({printable('; '.join(named))})" if named else ""
    return f"{name}: {'would be ' if dry_run else ''}{', '.join(words)}{of}"
