"""Commands as `dev` calls them, on services that run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dev.conftest import REPOSITORY, Services, Start


def environment_of(root: Path) -> dict[str, str]:
    """What `dev` hands on, with what Python has compiled already: each process of a stack would compile it again."""
    names = ("PATH", "PYTHONPYCACHEPREFIX")
    inherited = {name: os.environ[name] for name in names if name in os.environ}
    return {**inherited, "PYTHONPATH": str(REPOSITORY), "REX_DEV_STATE": str(root)}


def dev(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "deploy.local", *arguments],
        env={**environment_of(root), **variables},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_down_stops_what_runs(start: Start) -> None:
    services = start("one")
    assert dev(services.state.root, "status").returncode == 0
    assert dev(services.state.root, "down").returncode == 0
    assert services.left == set()
    assert dev(services.state.root, "status").returncode == 3


def test_a_command_whose_words_nobody_reads_ends_without_a_traceback(start: Start) -> None:
    services = start("one")
    environment = environment_of(services.state.root)
    for command in ("status", "nonsense", "down"):
        reader, writer = os.pipe()
        os.close(reader)
        words = [sys.executable, "-P", "-m", "deploy.local", command]
        told = subprocess.run(words, env=environment, cwd="/", stdout=writer, stderr=subprocess.PIPE, check=False)
        os.close(writer)
        assert b"Traceback" not in told.stderr
        assert b"BrokenPipe" not in told.stderr
        assert (told.returncode == 141) == (command == "status")


def test_down_on_a_quiet_clone_says_so(home: Path) -> None:
    told = dev(home / "one", "down")
    assert (told.returncode, told.stderr) == (0, "Nothing of this clone is running.\n")


def test_reset_removes_this_clones_state_and_nothing_else(start: Start) -> None:
    one, other = start("one"), start("other")
    assert dev(one.state.root, "reset", "--yes").returncode == 0
    assert not one.state.root.exists()
    assert one.process.wait(5) == 0
    assert other.record["ready"]


def test_reset_asks_first(home: Path) -> None:
    told = dev(home / "one", "reset")
    assert told.returncode == 1
    assert "--yes" in told.stderr
    assert (home / "one").exists()


def test_up_beside_the_tests_of_the_same_clone_says_what_is_in_the_way(services: Services) -> None:
    told = dev(services.state.root, "up")
    assert told.returncode == 1
    assert told.stderr.startswith("dev: `./dev test` of this clone is running")
    assert len(told.stderr.splitlines()) == 1


def test_python_sees_the_running_services(services: Services) -> None:
    told = dev(services.state.root, "python", "-c", "import os; print(os.environ['DATABASE_URL'])")
    assert told.stdout.strip() == services.database


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["nonsense"], "unknown command"), (["up", "x"], "unknown argument"), (["bench"], "name a benchmark")],
)
def test_a_wrong_call_is_told_in_one_line(home: Path, arguments: list[str], complaint: str) -> None:
    told = dev(home / "one", *arguments)
    assert told.returncode in (1, 2)
    assert complaint in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_without_a_sign_of_the_engine_the_line_names_what_to_do(home: Path) -> None:
    environment = {**os.environ, "REX_DEV_STATE": str(home / "one"), "PYTHONPATH": str(REPOSITORY)}
    environment["DOCKER_HOST"] = f"unix://{home}/nobody.sock"
    told = subprocess.run(
        [sys.executable, "-P", "-m", "deploy.local", "up"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert "unset DOCKER_HOST" in told.stderr.splitlines()[-1]
