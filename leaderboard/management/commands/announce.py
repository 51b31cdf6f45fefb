"""manage.py announce: tell people something by mail."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import storable
from leaderboard.models import Announcement, Phase
from leaderboard.notices import announcing


class Command(BaseCommand):
    """Shows what would be sent to how many; sends it when told so."""

    help = "Tell everybody, or the teams of a phase, something by mail. Without --send it is only shown."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--subject, --file, --phase, --send, --why."""
        parser.add_argument("--subject", required=True)
        parser.add_argument("--file", required=True, help="plain text in UTF-8; “-” reads what is piped in")
        parser.add_argument("--phase", help="its slug: only to the teams that handed in to it")
        parser.add_argument("--send", action="store_true")
        parser.add_argument("--why", default="", help="kept in the record")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show, or send."""
        announcement = self._read(options)
        count = len(announcing.recipients_of(announcement))
        self.stdout.write(announcing.preview_of(announcement))
        if not options["send"]:
            self.stdout.write(f"(It would go to {count} people. Add --send to send it.)")
            return
        announcement.save()
        try:
            told = announcing.send(announcement, by=Actor.command_line(), why=storable(options["why"]))
        except Refused as refusal:
            announcement.delete()
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"(It is on its way to {told} people.)")

    def _read(self, options: dict[str, Any]) -> Announcement:
        file = options["file"]
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        announcement = Announcement(subject=storable(options["subject"]), body=storable(text))
        if options["phase"]:
            announcement.phase = Phase.objects.filter(slug=options["phase"]).first()
            announcement.audience = Announcement.Audience.TEAMS
            if announcement.phase is None:
                known = ", ".join(Phase.objects.values_list("slug", flat=True))
                raise CommandError(f"There is no phase {options['phase']}. Known: {known or 'none yet'}")
        try:
            announcement.full_clean()
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        return announcement
