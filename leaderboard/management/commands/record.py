"""manage.py record: the record of decisions verified, searched, exported."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from leaderboard.core import record_search, verification
from leaderboard.core.audit import Actor
from leaderboard.core.record_search import Search
from leaderboard.core.refusal import Refused
from leaderboard.core.text import printable
from leaderboard.models import AuditEntry

FILTERS = {
    "person": "who decided: a number, or a part of the name",
    "action": "what was done",
    "thing": "on what: “run 361”, “phase”, or a part of its name",
    "words": "words that stand anywhere in it",
    "since": "from this day on (UTC), like 2026-11-28",
    "until": "to the end of this day (UTC)",
}


class Command(BaseCommand):
    """Verify, search, export. Ends with 1 if the record is not whole."""

    help = "The record of decisions: verify that nothing was changed or taken out, search it, export it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do, and with which entries."""
        actions = parser.add_subparsers(dest="action_name", required=True)
        verify = actions.add_parser("verify", help="read it from end to end, and say what is wrong with it")
        search = actions.add_parser("search", help="show entries, the latest first")
        export = actions.add_parser("export", help="write entries to the output, as CSV or JSON; this is recorded")
        search.add_argument("--limit", type=int, default=50, help="so many at most (50)")
        for one in (search, export):
            for name, words in FILTERS.items():
                one.add_argument(f"--{name}", default="", help=words)
        for one in (verify, search, export):
            one.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        try:
            getattr(self, f"_{options['action_name']}")(options)
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal

    def _verify(self, options: dict[str, Any]) -> None:
        found = verification.verify_all()
        if options["json"]:
            told = {"entries": found.entries, "digest": found.digest, "problems": found.problems}
            self.stdout.write(json.dumps(told, indent=2))
        elif not found.problems:
            self.stdout.write(f"The chain is unbroken: {found.entries} entries. The last one's digest: {found.digest}")
        if found.problems:
            raise CommandError("The record is not whole. " + " ".join(found.problems))

    def _search(self, options: dict[str, Any]) -> None:
        found = list(Search.of(options).entries()[: max(0, options["limit"])])
        if options["json"]:
            self.stdout.write(json.dumps([record_search.as_json(one) for one in found], indent=2, ensure_ascii=False))
            return
        for one in found:
            self.stdout.write("\n".join(map(printable, _lines(one))))

    def _export(self, options: dict[str, Any]) -> None:
        form = "json" if options["json"] else "csv"
        for text in record_search.export(Search.of(options), by=Actor.command_line(), form=form):
            self.stdout.write(text, ending="")


def _lines(entry: AuditEntry) -> list[str]:
    number = entry.number or "not chained yet"
    why = [f"    why: {entry.why}"] if entry.why else []
    states = [
        f"    {name}: {json.dumps(state, ensure_ascii=False)}"
        for name, state in (("before", entry.before), ("after", entry.after))
        if state
    ]
    return [f"{number}  {entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry}", *states, *why]
