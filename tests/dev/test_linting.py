"""The checks of templates find what they are for, with the project's own settings and the pinned tools."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local import LocalError, linting
from tests.dev.conftest import REPOSITORY

GOOD = """{% extends "base.html" %}
{% block main %}
  <p>
    Words.
  </p>
{% endblock main %}
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with one template, which is as it should be."""
    for name in ("pyproject.toml", ".djlint_rules.yaml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "page.html").write_text(GOOD)
    return tmp_path


def run(clone: Path, commands: list[linting.Command]) -> list[int]:
    return [subprocess.run(command, cwd=clone, capture_output=True, check=False).returncode for command in commands]


def templates(clone: Path) -> list[int]:
    """The exit codes of the checks of templates."""
    return run(clone, linting.checks(clone, clone / "cache")["templates"])


def test_a_template_that_is_as_it_should_be_passes(clone: Path) -> None:
    assert templates(clone) == [0, 0, 0]


@pytest.mark.parametrize(
    ("wrong", "failing"),
    [
        (GOOD.replace("    Words", "Words"), 0),
        (GOOD.replace("endblock main", "endblock"), 1),
        (GOOD.replace("Words", "<img src='x.png'>"), 2),
        (GOOD.replace("Words", "x" * 121), 2),
    ],
    ids=["indentation", "a block's end without its name", "an image without words", "a long line"],
)
def test_a_template_that_is_not_fails_the_check(clone: Path, wrong: str, failing: int) -> None:
    (clone / "templates" / "page.html").write_text(wrong)
    assert templates(clone)[failing] != 0


def test_the_formatter_puts_right_what_it_can(clone: Path) -> None:
    page = clone / "templates" / "page.html"
    page.write_text(GOOD.replace("    Words", "Words").replace("endblock main", "endblock"))
    assert run(clone, linting.formatters()[2:]) == [0, 0]
    assert page.read_text() == GOOD


def test_checks_are_chosen_by_name(clone: Path) -> None:
    known = linting.checks(clone, clone / "cache")
    assert list(linting.chosen(known, ())) == list(known)
    assert list(linting.chosen(known, ["types", "style"])) == ["style", "types"]
    with pytest.raises(LocalError, match="no check 'tpyes': choose from style, format"):
        linting.chosen(known, ["tpyes"])
