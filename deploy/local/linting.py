"""The static checks of `./dev lint`, by name, and what `./dev format` puts right."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from deploy.local import LocalError

Command = Sequence[str]
CHECKED = ("manage.py", "leaderboard", "evaluation", "containers", "deploy", "tests")
NEED_DATABASE = frozenset({"migrations"})


def checks(clone: Path, cache: Path) -> dict[str, list[Command]]:
    """The commands of each check, to be run in the clone; one of them that fails fails the check."""
    module = [sys.executable, "-m"]
    imports = "from importlinter.cli import lint_imports_command as c; c()"
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
        "migrations": [[sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"]],
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


def environment(cache: Path) -> dict[str, str]:
    """What keeps the clone clean and Django's settings content; none of the addresses is called."""
    return {
        "RUFF_CACHE_DIR": str(cache / "ruff"),
        "MYPY_CACHE_DIR": str(cache / "mypy"),
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }


def _djangofmt() -> str:
    """It has no module, only a program beside Python."""
    return str(Path(sys.executable).with_name("djangofmt"))
