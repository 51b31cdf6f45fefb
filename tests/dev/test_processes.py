"""The suite's processes: none disturbs another, each test is run by one, and few tests start none."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from tests import processes
from tests.dev.conftest import REPOSITORY

SERVICES = {"REDIS_URL": "redis://server:secret@127.0.0.1:16379/1", "REX_INSTANCE": "clone"}
PLAIN = Namespace(keyword="", markexpr="", lf=False, usepdb=False, capture="fd")


def environment_of(process: int) -> dict[str, str]:
    environment = dict(SERVICES)
    processes.own_services(environment, process)
    return environment


def test_no_two_processes_share_a_database_of_the_broker_an_instance_or_users() -> None:
    all_of_them = [environment_of(number) for number in range(processes.MOST_PROCESSES + 1)]
    for name in ("REDIS_URL", "REX_INSTANCE", "REX_SANDBOX_UID"):
        assert len({environment[name] for environment in all_of_them}) == len(all_of_them), name


def test_no_process_takes_the_stacks_own_database_of_the_broker() -> None:
    stack = SERVICES["REDIS_URL"].removesuffix("1") + "0"
    assert stack not in {environment_of(number)["REDIS_URL"] for number in range(100)}


def test_a_whole_suite_is_run_by_several_processes_and_a_few_files_by_one() -> None:
    folder = str(REPOSITORY / "tests")
    assert processes.wanted_processes(PLAIN, [folder]) >= 2
    assert processes.wanted_processes(PLAIN, [f"{folder}/dev/test_ports.py::test_ports_are_remembered"]) == 0
    assert processes.wanted_processes(PLAIN, [f"{folder}/journey"]) == 0


@pytest.mark.parametrize("option", [{"keyword": "ports"}, {"capture": "no"}, {"usepdb": True}, {"lf": True}])
def test_who_looks_for_something_gets_one_process(option: dict[str, object]) -> None:
    assert processes.wanted_processes(Namespace(**vars(PLAIN) | option), [str(REPOSITORY / "tests")]) == 0


def test_what_is_named_for_the_processes_exists() -> None:
    for name in (*processes.SINGLY, *processes.BEGIN_EARLY, *processes.TOGETHER):
        assert (REPOSITORY / name).exists(), name


def test_tests_that_start_services_are_one_unit_and_long_ones_a_unit_each() -> None:
    units = {processes.unit_of(f"tests/dev/{name}.py::test_x") for name in ("test_services", "test_stack")}
    assert len(units) == 1
    assert processes.unit_of("tests/evaluation/test_fuzzing.py::test_x[a::b]") == "tests/evaluation/test_fuzzing.py"
    first = processes.SINGLY[0]
    assert processes.unit_of(f"{first}::test_a") != processes.unit_of(f"{first}::test_b")


GROUPED = """
import os, pathlib, pytest

pytestmark = pytest.mark.xdist_group("shared")

def test_it():
    assert os.environ["PYTEST_XDIST_WORKER"]
    pathlib.Path(__file__).with_suffix(".process").write_text(str(os.getpid()))
"""


def test_what_is_marked_with_one_group_is_run_by_one_process(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"test_{number}.py").write_text(GROUPED)
    plugins = ("-p", "xdist.plugin", "-p", "tests.processes")
    command = [sys.executable, "-m", "pytest", *plugins, "-n2", "--dist=loadscope", f"--rootdir={tmp_path}", "."]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    by = [file.read_text() for file in tmp_path.glob("*.process")]
    assert (len(by), len(set(by))) == (4, 1)


def test_long_tests_begin_first() -> None:
    assert processes.order_of(f"{processes.SINGLY[0]}::test_x") < processes.order_of("tests/dev/test_x.py::test_x")
    assert processes.order_of("tests/dev/test_x.py::test_x") < processes.order_of("tests/browser/test_x.py::test_x")


@pytest.mark.django_db
def test_the_process_that_runs_this_has_its_own() -> None:
    process = os.environ.get("PYTEST_XDIST_WORKER", "")
    assert connection.settings_dict["NAME"].endswith(f"_{process}" if process else connection.settings_dict["NAME"])
    assert os.environ["REX_INSTANCE"] == settings.INSTANCE
    assert os.environ["REDIS_URL"] == settings.REDIS_URL
    if process:
        assert settings.INSTANCE.endswith(f"-{1 + int(process.removeprefix('gw'))}")


def test_whether_anything_is_compiled_yet_is_seen_where_python_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    assert not processes.is_compiled()
    for file in processes.TESTS.rglob("test_*.py"):
        compiled = Path(f"{tmp_path}{file}c")
        compiled.parent.mkdir(parents=True, exist_ok=True)
        compiled.touch()
    assert processes.is_compiled()
