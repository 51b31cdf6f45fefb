"""manage.py add_host NAME: give a GPU host a token."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.hosts import registry
from leaderboard.models import Host


class Command(BaseCommand):
    """Makes a host, or gives a known one a new token."""

    help = "Give a GPU host a token. The server keeps only its hash; the host reads it as REX_HOST_TOKEN."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """NAME, --token-file, --renew."""
        parser.add_argument("name", help="letters, digits, hyphens")
        parser.add_argument(
            "--token-file", type=Path, help="write the token to this file (mode 0600), not to the screen"
        )
        parser.add_argument("--renew", action="store_true", help="make a known host's old token useless")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print or write the token once; it cannot be read again."""
        name, file = options["name"], options["token_file"]
        known = Host.objects.filter(name=name).first()
        if known and not options["renew"] and _holds_token_of(known, file):
            return  # asked again for what is there already
        by = Actor.command_line()
        try:
            token = registry.renew_token(known, by=by) if known and options["renew"] else registry.add(name, by=by)
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        if file is None:
            self.stdout.write(token)
        else:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(token + "\n")


def _holds_token_of(host: Host, file: Path | None) -> bool:
    return bool(file and file.is_file() and registry.hash_token(file.read_text().strip()) == host.token_hash)
