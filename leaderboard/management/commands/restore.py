"""manage.py restore FOLDER: a backup, on a machine with an empty database and an empty store."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from leaderboard.operations import backup


class Command(BaseCommand):
    """Restores a backup."""

    help = "Restore the newest backup in FOLDER to an empty database and store. Start the server's processes after it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """FOLDER, --name."""
        parser.add_argument("folder", type=Path)
        parser.add_argument("--name", help="an older one: the name of its folder in FOLDER")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what could not be brought back because it was lost before the backup."""
        try:
            missing = backup.restore(options["folder"], options["name"])
        except (backup.BackupError, OSError) as error:
            raise CommandError(str(error)) from error
        for line in missing:
            self.stderr.write(f"lost before the backup: {line}")
        self.stdout.write("Restored. Start the server; runs that were under way go on.")
