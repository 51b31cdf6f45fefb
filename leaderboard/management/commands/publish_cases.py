"""manage.py publish_cases PHASE: publish numbers of single hidden cases, after the reveal."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from leaderboard.challenge import published_cases
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import storable
from leaderboard.models import Phase


class Command(BaseCommand):
    """A decision that is recorded, and that nobody can take back. With --dry-run nothing is decided."""

    help = (
        "Publish the numbers of each hidden case of a phase, under numbers in place of names, once the full result is "
        "revealed and nothing more can be handed in on its cases; with --findings also those of each finding, with "
        "its category and size. Who has the sentences of a case may tell it by the categories of its findings. There "
        "is no way back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """PHASE, --reason, --findings, --dry-run, --json."""
        parser.add_argument("phase", help="its slug")
        parser.add_argument("--reason", required=True, help="kept in the record")
        parser.add_argument("--findings", action="store_true", help="also the numbers of each finding")
        parser.add_argument("--dry-run", action="store_true", help="say whether it can be done, and do nothing")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Publish, or say what would be."""
        phase = Phase.objects.select_related("case_set").filter(slug=options["phase"]).first()
        if phase is None:
            known = ", ".join(Phase.objects.values_list("slug", flat=True))
            raise CommandError(f"There is no phase {options['phase']}. Known: {known or 'none yet'}")
        try:
            with transaction.atomic():
                told = {"findings": options["findings"], "why": storable(options["reason"])}
                published_cases.publish(phase, by=Actor.command_line(), **told)
                transaction.set_rollback(options["dry_run"])
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        said = _said(phase, dry_run=options["dry_run"])
        self.stdout.write(json.dumps(said, indent=2) if options["json"] else _line(said))


def _said(phase: Phase, *, dry_run: bool) -> dict[str, Any]:
    return {
        "phase": phase.slug,
        "dry_run": dry_run,
        "cases": phase.case_set.cases.count(),
        "cases_published_at": phase.cases_published_at and phase.cases_published_at.isoformat(),
        "findings_published_at": phase.findings_published_at and phase.findings_published_at.isoformat(),
    }


def _line(said: dict[str, Any]) -> str:
    of = "cases and of their findings" if said["findings_published_at"] else "cases"
    verb = "would be published" if said["dry_run"] else "are published"
    return f"{said['phase']}: the numbers of its {said['cases']} {of} {verb}, under numbers in place of names."
