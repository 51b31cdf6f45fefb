"""The static checks of `./dev lint`, by name, and what `./dev format` puts right. They need no service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from deploy.local import LocalError

Command = Sequence[str]
CHECKED = ("manage.py", "leaderboard", "evaluation", "containers", "deploy", "tests")
# `manage.py makemigrations --check`, silent about the database that it cannot ask what was applied there.
MIGRATIONS = """import logging, django; logging.disable(); django.setup()
from django.core.management import call_command; call_command("makemigrations", check_changes=True, dry_run=True)"""
# What Django's settings want to be told; none of the addresses is called.
NOWHERE = {
    "DATABASE_URL": "postgres://127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "SECRET_KEY": "none",
    "STORE_DIR": "/nonexistent",
}


def checks(clone: Path, cache: Path) -> dict[str, list[Command]]:
    """The commands of each check, to be run in the clone; one of them that fails fails the check."""
    module = [sys.executable, "-m"]
    imports = "from importlinter.cli import lint_imports_command as c; c()"
    unheard = "ignore:Got an error checking a consistent migration history"
    return {
        "style": [[*module, "ruff", "check", "."]],
        "format": [[*module, "ruff", "format", "--check", "."]],
        "templates": [
            [_djangofmt(), "--check", "templates"],
            [_djangofmt(), "check", "--output-format", "concise", "templates"],
            [*module, "djlint", "--lint", "--quiet", "templates"],
        ],
        "types": [[*module, "mypy", *(name for name in CHECKED if (clone / name).exists())]],
        "imports": [[sys.executable, "-c", imports, "--cache-dir", str(cache / "imports")]],
        "migrations": [[sys.executable, "-W", unheard, "-c", MIGRATIONS]],
    }


def formatters() -> list[Command]:
    """What brings code and templates into the form that `checks` asks for."""
    ruff = [sys.executable, "-m", "ruff"]
    return [
        [*ruff, "check", "--fix", "--exit-zero", "--quiet", "."],
        [*ruff, "format", "."],
        [_djangofmt(), "check", "--fix", "--output-format", "concise", "templates"],
        [_djangofmt(), "templates"],
    ]


def chosen(known: Mapping[str, list[Command]], names: Collection[str]) -> dict[str, list[Command]]:
    """The checks that were asked for by name; all of them where none was."""
    if unknown := [name for name in names if name not in known]:
        raise LocalError(f"there is no check {unknown[0]!r}: choose from {', '.join(known)}.")
    return {name: commands for name, commands in known.items() if not names or name in names}


def run(commands: Sequence[Command], *, clone: Path, environment: Mapping[str, str]) -> tuple[bool, str]:
    """Run a check's commands in the clone: whether it passed, and what they printed."""
    passed, output = True, ""
    for command in commands:
        done = subprocess.run(
            command,
            cwd=clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        passed, output = passed and done.returncode == 0, output + done.stdout
    return passed, output


def environment(cache: Path) -> dict[str, str]:
    """What keeps the clone clean and Django's settings content."""
    return {
        **NOWHERE,
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
        "RUFF_CACHE_DIR": str(cache / "ruff"),
        "MYPY_CACHE_DIR": str(cache / "mypy"),
    }


def _djangofmt() -> str:
    """It has no module, only a program beside Python."""
    return str(Path(sys.executable).with_name("djangofmt"))
