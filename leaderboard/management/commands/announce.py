"""manage.py announce: tell people something by mail, or by a line on every page."""

import sys
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import read_instant, storable
from leaderboard.models import Announcement, Phase, Team
from leaderboard.notices import announcing


class Command(BaseCommand):
    """Shows what would be sent to how many; sends it when told so."""

    help = "Tell everybody, or the teams of a phase, something by mail. Without --send it is only shown."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What, to whom, where, when, and why."""
        parser.add_argument("--subject", required=True)
        parser.add_argument("--file", help="plain text in UTF-8; “-” reads what is piped in")
        parser.add_argument("--phase", help="its slug: only to the teams that handed in to it")
        parser.add_argument("--team", help="its slug: only to the members of this team")
        parser.add_argument("--affected-from", help="only to teams whose runs we interrupted since this instant (UTC)")
        parser.add_argument("--affected-until", help="and before this one")
        parser.add_argument(
            "--line", action="store_true", help="the subject stands on every page; without --file: only"
        )
        parser.add_argument("--level", choices=Announcement.Level.values, default="idle", help="the line’s look")
        parser.add_argument("--until", help="until when (UTC) the line stands; else until it is cancelled")
        parser.add_argument("--at", default="", help="send it at this instant (UTC), and not at once")
        parser.add_argument("--send", action="store_true")
        parser.add_argument("--why", default="", help="kept in the record")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show, or send."""
        announcement = self._read(options)
        at = _instant(options["at"])
        count = len(announcing.recipients_of(announcement))
        if announcement.by_mail:
            self.stdout.write(announcing.preview_of(announcement))
        if announcement.on_site:
            self.stdout.write(f"On every page: {announcement.subject}")
        if not options["send"]:
            self.stdout.write(f"(It would go to {count} people. Add --send to send it.)")
            return
        announcement.save()
        try:
            told = announcing.announce(announcement, by=Actor.command_line(), why=storable(options["why"]), at=at)
        except Refused as refusal:
            announcement.delete()
            raise CommandError(str(refusal)) from refusal
        on_its_way = f"It is on its way to {told} people." if told is not None else "It is sent when its time has come."
        self.stdout.write(f"({on_its_way} Its number: {announcement.pk}.)")

    def _read(self, options: dict[str, Any]) -> Announcement:
        announcement = Announcement(
            subject=storable(options["subject"]),
            body=_text(options),
            by_mail=options["file"] is not None,
            on_site=options["line"],
            level=options["level"],
            shown_until=_instant(options["until"]),
            affected_from=_instant(options["affected_from"]),
            affected_until=_instant(options["affected_until"]),
        )
        if options["phase"]:
            announcement.phase = Phase.objects.filter(slug=options["phase"]).first()
            announcement.audience = Announcement.Audience.TEAMS
            if announcement.phase is None:
                known = ", ".join(Phase.objects.values_list("slug", flat=True))
                raise CommandError(f"There is no phase {options['phase']}. Known: {known or 'none yet'}")
        if options["team"]:
            announcement.team = Team.objects.filter(slug=options["team"]).first()
            announcement.audience = Announcement.Audience.TEAM
        if announcement.affected_from:
            announcement.audience = Announcement.Audience.AFFECTED
        try:
            announcement.full_clean()
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        return announcement


def _text(options: dict[str, Any]) -> str:
    """What it says; of a line alone, that line."""
    file = options["file"]
    if file is None:
        if not options["line"]:
            raise CommandError("Give a text (--file), or have a line on every page (--line), or both.")
        return str(storable(options["subject"]))
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from error
    return str(storable(text))


def _instant(text: str | None) -> datetime | None:
    try:
        return read_instant(text) if text else None
    except Refused as refusal:
        raise CommandError(str(refusal)) from refusal
