"""manage.py backup FOLDER: database and files, while everything goes on."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from leaderboard.operations import backup


class Command(BaseCommand):
    """Makes a backup."""

    help = "Back up the database and the stores into FOLDER; only new files are copied. Holds reference masks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """FOLDER, --keep."""
        parser.add_argument("folder", type=Path)
        parser.add_argument("--keep", type=int, help="remove all but the newest so many backups in FOLDER")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit code 1 when there is no backup, and also when there is one of which files are missing."""
        if options["keep"] is not None and options["keep"] < 1:
            raise CommandError("--keep is at least 1.")
        try:
            made = backup.make(options["folder"], keep=options["keep"])
        except (backup.BackupError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{made.folder}: {made.files} files, {made.copied_bytes} bytes copied")
        if made.missing:
            lost = "\n".join(made.missing)
            raise CommandError(f"The backup is whole, but the store itself has lost {len(made.missing)} files:\n{lost}")
