"""manage.py make_cases: write a synthetic case set in the challenge's own file format."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from leaderboard.demo.synthesis import generate


class Command(BaseCommand):
    """Synthetic chest CTs with lesions of the 14 categories, and sentences that say where they really are."""

    help = "Write a synthetic case set: dataset.json, images/, masks/. Deterministic by seed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where, how many, how large."""
        parser.add_argument("folder", type=Path)
        parser.add_argument("--cases", type=int, default=8)
        parser.add_argument("--shape", type=int, nargs=3, default=[96, 96, 48], metavar=("H", "W", "D"))
        parser.add_argument(
            "--spacing", type=float, nargs=3, default=[3.6, 3.6, 6.5], metavar=("H", "W", "D"), help="mm"
        )
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--split", default="test")
        parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)

    def handle(self, *args: Any, **options: Any) -> None:
        """Generate."""
        try:
            generate(
                options["folder"],
                cases=options["cases"],
                shape=tuple(options["shape"]),
                spacing_mm=tuple(options["spacing"]),
                seed=options["seed"],
                split=options["split"],
                workers=options["workers"],
                progress=lambda done, total: self.stderr.write(f"\r{done} of {total} cases", ending=""),
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stderr.write("")
