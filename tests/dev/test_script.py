"""The script `dev` itself: what it does before there is a Python of its own."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.dev.conftest import REPOSITORY


def run(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    base = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment}
    return subprocess.run([str(script), *arguments], env=base, cwd="/", capture_output=True, text=True, check=False)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone under a 0700 folder, with what the script needs."""
    clone = tmp_path / "private home" / "clone"
    (clone / "deploy").mkdir(parents=True)
    clone.parent.chmod(0o700)
    shutil.copy(REPOSITORY / "dev", clone)
    for part in ("local", "requirements", "__init__.py"):
        source = REPOSITORY / "deploy" / part
        shutil.copytree(source, clone / "deploy" / part) if source.is_dir() else shutil.copy(source, clone / "deploy")
    return clone


def state_of(clone: Path, home: Path) -> Path:
    return home / hashlib.sha256(str(clone).encode()).hexdigest()[:8]


def pretend_installed(clone: Path, home: Path) -> Path:
    """A state folder whose virtual environment is current; its Python prints what it was called with."""
    state = state_of(clone, home)
    python = state / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.11.2 || echo "called: $* in $REX_DEV_STATE"\n')
    python.chmod(0o755)
    digest = hashlib.sha256((clone / "deploy/requirements/dev.txt").read_bytes()).hexdigest()
    (state / "venv.stamp").write_text(f"{digest}  - Python 3.11.2\n")
    return state


def test_help_needs_nothing_and_names_every_command(clone: Path, home: Path) -> None:
    from deploy.local.commands import COMMANDS

    told = run(clone / "dev", "help", REX_STATE_HOME=str(home))
    assert told.returncode == 0
    for command in COMMANDS.keys() - {"supervise"}:
        assert command in told.stdout
    assert list(home.iterdir()) == []


def test_a_current_environment_is_used_as_it_is(clone: Path, home: Path) -> None:
    state = pretend_installed(clone, home)
    told = run(clone / "dev", "status", "x y", REX_STATE_HOME=str(home))
    assert told.stdout == f"called: -P -m deploy.local status x y in {state}\n"


def test_a_link_to_the_script_means_the_same_clone(clone: Path, home: Path, tmp_path: Path) -> None:
    state = pretend_installed(clone, home)
    (tmp_path / "link").symlink_to(clone / "dev")
    assert str(state) in run(tmp_path / "link", "status", REX_STATE_HOME=str(home)).stdout


@pytest.mark.parametrize("change", ["requirements", "python"])
def test_a_change_of_requirements_or_python_sets_up_anew(clone: Path, home: Path, change: str) -> None:
    state = pretend_installed(clone, home)
    if change == "requirements":
        with (clone / "deploy/requirements/dev.txt").open("a") as file:
            file.write("# changed\n")
    else:
        (state / "venv.stamp").write_text((state / "venv.stamp").read_text().replace("3.11.2", "3.11.1"))
    told = run(clone / "dev", "status", REX_STATE_HOME=str(home), REX_PYTHON="/nonexistent")
    assert told.returncode == 1
    assert "Setting up" in told.stderr


def test_without_python_one_line_says_what_to_do(clone: Path, home: Path) -> None:
    told = run(clone / "dev", "up", REX_STATE_HOME=str(home), REX_PYTHON="/nonexistent")
    assert told.returncode == 1
    assert "REX_PYTHON=/nonexistent" in told.stderr.splitlines()[-1]


def test_a_state_folder_that_cannot_be_made_is_told(clone: Path) -> None:
    told = run(clone / "dev", "up", REX_STATE_HOME="/proc/nowhere")
    assert told.returncode == 1
    assert "REX_STATE_HOME" in told.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="others than root keep their state at home")
def test_roots_state_is_not_in_a_folder_of_the_units(clone: Path) -> None:
    """systemd gives /var/lib/rexg to the server's user and closes it to all others."""
    state = state_of(clone, Path("/var/lib/rexg-dev"))
    units = " ".join(unit.read_text() for unit in (REPOSITORY / "deploy" / "systemd").iterdir())
    try:
        told = run(clone / "dev", "status", REX_PYTHON="/nonexistent")
        assert "REX_PYTHON=/nonexistent" in told.stderr
        assert state.is_dir()
        assert state.parent.name not in re.findall(r"/var/lib/([\w-]+)", units)
    finally:
        shutil.rmtree(state, ignore_errors=True)
