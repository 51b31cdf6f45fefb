"""manage.py phase list|show|new|copy|change|drop: the phases, with the rules and previews of the desk."""

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from leaderboard.challenge import changing, phase_templates, phases
from leaderboard.challenge.policies import GROUPS, POLICIES, unset
from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import printable, storable
from leaderboard.desk.kinds import PHASE
from leaderboard.desk.phases import Preview, line_of, preview
from leaderboard.models import CaseSet, Phase
from leaderboard.web.guidelines import limits_that_differ


class Command(BaseCommand):
    """With --dry-run nothing is changed. Ends with 1 if it was refused."""

    help = "List, show, make, copy, change and drop phases: “phase change test --set case_seconds='90 s' --why '...'”."

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do, with which phase."""
        doing = parser.add_subparsers(dest="doing", required=True, metavar="WHAT")
        self._add(doing, "list", "all phases, with what is not set")
        self._add(doing, "show", "every policy of a phase, as --set takes it", "slug")
        new = self._add(doing, "new", "make a draft of a template", "slug")
        new.add_argument("--template", required=True, choices=[*phase_templates.TEMPLATES])
        new.add_argument("--cases", required=True, help="the name of a case set")
        copy = self._add(doing, "copy", "make a draft with the policies of another phase", "source", "slug")
        for one in (new, copy):
            one.add_argument("--name", required=True)
        change = self._add(doing, "change", "change policies; --dry-run says what it would do", "slug")
        for one in (new, copy, change):
            help_text = "a policy and its value, as “show” writes it; may be given again"
            one.add_argument("--set", dest="values", action="append", default=[], metavar="FIELD=VALUE", help=help_text)
        drop = self._add(doing, "drop", "delete a draft in which nobody has anything", "slug")
        for one in (new, copy, change, drop):
            one.add_argument("--why", default="", help="kept in the record; a change needs it")
            one.add_argument("--dry-run", action="store_true", help="say what would come of it, and change nothing")

    def _add(self, doing: Any, name: str, help_text: str, *keys: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = doing.add_parser(name, help=help_text)
        for key in keys:
            made.add_argument(key)
        made.add_argument("--json", action="store_true")
        return made

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say what came of it."""
        try:
            with transaction.atomic():
                said = _DOING[options["doing"]](options)
                transaction.set_rollback(bool(options.get("dry_run")))
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        as_json, as_text = said
        self.stdout.write(json.dumps(as_json, indent=2, default=str) if options["json"] else printable_lines(as_text))


Said = tuple[Any, Sequence[str]]


def printable_lines(lines: Sequence[str]) -> str:
    """Lines as a terminal may get them."""
    return "\n".join(printable(line) for line in lines)


def _phase(slug: str) -> Phase:
    PHASE.find(slug)
    return Phase.objects.select_related("case_set__mends", "try_outs_on").get(slug=slug)


def _list(_options: Mapping[str, Any]) -> Said:
    now = clock.now()
    found = Phase.objects.select_related("case_set__mends").order_by("opens_at", "pk")
    told = [{"slug": one.slug, "line": line_of(one, now), "not_set": unset(one)} for one in found]
    return told, [f"{one['slug']}: {one['line']}{_not_set(one['not_set'])}" for one in told]


def _not_set(missing: Any) -> str:
    return f" Not set: {', '.join(missing)}." if missing else ""


def _show(options: Mapping[str, Any]) -> Said:
    phase = _phase(options["slug"])
    values = {name: policy.write(phase) for name, policy in POLICIES.items()}
    lines = [line_of(phase, clock.now())]
    for title, policies in GROUPS.items():
        lines += [
            "",
            f"{title}:",
            *(f"  {one.name}={values[one.name]}   ({one.label}. {one.means})" for one in policies),
        ]
    return {"slug": phase.slug, "policies": values, "not_set": unset(phase)}, lines


def _new(options: Mapping[str, Any]) -> Said:
    cases = CaseSet.objects.filter(name=options["cases"]).first()
    if cases is None:
        raise Refused(f"There is no case set “{options['cases'][:60]}”.")
    template = phase_templates.TEMPLATES[options["template"]]
    made = phase_templates.make(template, **_named(options), cases=cases)
    return _made(made, options)


def _copy(options: Mapping[str, Any]) -> Said:
    return _made(phase_templates.copy(_phase(options["source"]), **_named(options)), options)


def _named(options: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: storable(options[name]) for name in ("slug", "name", "why")}
    return {**told, "by": Actor.command_line()}


def _made(phase: Phase, options: Mapping[str, Any]) -> Said:
    if written := _values(options):
        why = options["why"] or "as it was made"
        changing.change(phase, written, by=Actor.command_line(), why=why)
    return _show({"slug": phase.slug})


def _change(options: Mapping[str, Any]) -> Said:
    phase, written = _phase(options["slug"]), _values(options)
    found = preview(phase, written, by=Actor.command_line())
    if found.problems:
        raise Refused(" ".join(found.problems.values()))
    if not options["dry_run"]:
        changing.change(phase, written, by=Actor.command_line(), why=storable(options["why"]))
    told = {"dry_run": options["dry_run"], **found.as_json()}
    told["guidelines"] = limits_that_differ(found.before, found.after)
    return told, [*_lines(found)]


def _values(options: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for one in options["values"]:
        name, equals, value = one.partition("=")
        if not equals:
            raise Refused(f"Write FIELD=VALUE: “{one[:60]}” has no “=”.")
        if name in POLICIES and POLICIES[name].is_by_act:
            raise Refused(f"“{POLICIES[name].label}” is changed by an act of its own: see “manage.py act”.")
        found[name] = storable(value)
    return found


def _lines(found: Preview) -> list[str]:
    lines = [f"{one.label}: {one.before} -> {one.after}" for one in found.changes] or ["Nothing changes."]
    lines += [f"Warning: {one}" for one in found.warnings]
    for one in found.touched:
        teams = f" ({', '.join(one.teams)})" if one.teams else ""
        lines.append(f"{one.what}: {one.number}; {one.means}{teams}")
    lines += [f"{one.track}, as {one.reader}: {one.moved} ranks move" for one in found.boards]
    return lines


def _drop(options: Mapping[str, Any]) -> Said:
    phase = _phase(options["slug"])
    name = phase.name
    phases.drop_phase(phase, by=Actor.command_line(), why=storable(options["why"]))
    return {"dropped": options["slug"], "dry_run": options["dry_run"]}, [f"Dropped: {name}."]


_DOING = {"list": _list, "show": _show, "new": _new, "copy": _copy, "change": _change, "drop": _drop}
