"""manage.py act NAME TARGET...: what organisers do, as at the desk, with its record."""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import printable
from leaderboard.desk.acting import Act, Outcome, Value, act_on, check_values
from leaderboard.desk.acts import ACTS


class Command(BaseCommand):
    """Everything that the desk's pages do. Ends with 1 if any of it was refused."""

    help = "Do what organisers do, on one thing or on many: “act disqualify-run 361 --why '...'”."

    def add_arguments(self, parser: CommandParser) -> None:
        """The act, on what, why, and what else it asks for."""
        acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
        for act in ACTS.values():
            of_act = acts.add_parser(act.name, help=f"{act.label} ({act.kind.plural}): {act.says}".replace("%", "%%"))
            self._add(of_act, act)

    def _add(self, parser: argparse.ArgumentParser, act: Act) -> None:
        key = "number" if act.kind.key == "pk" else act.kind.key
        parser.add_argument("targets", nargs="+", metavar=act.kind.name.upper(), help=f"its {key}")
        for value in act.values:
            flag = f"--{value.name.replace('_', '-')}"
            told: dict[str, Any] = {"required": value.is_required, "default": "", "help": value.help or value.label}
            parser.add_argument(flag, dest=f"value_{value.name}", choices=_known(value), **told)
        parser.add_argument("--why", default="", required=act.needs_reason, help="kept in the record")
        parser.add_argument("--dry-run", action="store_true", help="say what would come of it, and change nothing")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say what came of it."""
        act = ACTS[options["act"]]
        written = {value.name: options[f"value_{value.name}"] or "" for value in act.values}
        try:
            rows = [act.kind.find(key) for key in options["targets"]]
            values = check_values(act, written)
            by, why = Actor.command_line(), options["why"]
            outcomes = act_on(act, rows, values, by=by, why=why, dry_run=options["dry_run"])
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        shown = act.shows_once if not options["dry_run"] else ""
        self.stdout.write(_as_json(act, outcomes, options["dry_run"]) if options["json"] else _as_text(outcomes, shown))
        if act.delivers and not options["dry_run"] and not options["json"]:
            for one in outcomes:
                self.stdout.write(json.dumps(one.found, indent=2, default=str))
        if any(one.refused for one in outcomes):
            raise CommandError("Some of it was refused." if len(outcomes) > 1 else "It was refused.")


def _known(value: Value) -> list[str] | None:
    """What can be chosen, as the help says it; of rows that people make, the database is asked when it is chosen."""
    return [*value.choices] if isinstance(value.choices, dict) and value.choices else None


def _as_json(act: Act, outcomes: list[Outcome], is_dry_run: bool) -> str:
    told: dict[str, Any] = {
        "act": act.name,
        "dry_run": is_dry_run,
        "outcomes": [one.as_json() for one in outcomes],
    }
    if act.shows_once and not is_dry_run:
        told["shown_once"] = [one.found for one in outcomes]
    if act.delivers and not is_dry_run:
        told["delivered"] = [one.found for one in outcomes]
    return json.dumps(told, indent=2, default=str)


def _as_text(outcomes: list[Outcome], shows_once: str) -> str:
    lines = []
    for one in outcomes:
        lines.append(f"{one.name}: {one.refused or ('' if one.entries else 'nothing changes')}".rstrip(": "))
        for change in one.changes:
            lines.append(f"  {change.action}: {change.target}")
            lines += [f"    {name}: {before} -> {after}" for name, before, after in change.fields]
        if shows_once and one.found:
            lines += [f"  {shows_once}", f"  {one.found}"]
    return "\n".join(printable(line) for line in lines)
