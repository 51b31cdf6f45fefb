"""The suite in several processes (pytest-xdist): how many, what each has to itself, and which tests it gets.

This is a plugin that pyproject.toml names, so it is there before Django's settings are read: they, and the programs
that tests start, take the services from the environment. The engine and PostgreSQL are everybody's; what tests keep
there carries the process's name. Of the broker each process has a database, where Celery's queues have fixed names.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Generator, MutableMapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from xdist.scheduler import LoadScopeScheduling

# So many for so many: tests wait for containers and clocks, while engine, database and browsers work beside them. With
# one more each takes longer than is gained.
PROCESSES, FOR_CORES = 3, 2
MOST_PROCESSES = 8
FEW_FILES = 4  # so few are done before several processes have started
FIRST_SANDBOX_UID = 60600
SANDBOX_UIDS = 10
BROKER_DATABASES = 16
TESTS = Path(__file__).parent
COMPILING_SECONDS = 60

# A process is given whole files, or what is marked with the same `xdist_group`: modules share what they make once.
# These few are long, and of them each test goes where there is room. They begin first, or one process would end alone.
SINGLY = (
    "tests/chaos/test_chaos.py",
    "tests/journey/test_restore.py",
)
# These begin next.
BEGIN_EARLY = (
    "tests/journey/",
    "tests/deploy/test_images.py",
    "tests/upgrade/",
    "tests/dev/",
    "tests/leaderboard/web/test_real_uploads.py",
    "tests/browser/test_accessibility.py",
    "tests/browser/test_by_keyboard.py",
    "tests/leaderboard/web/test_rivals.py",
    "tests/leaderboard/web/test_query_counts.py",
    "tests/leaderboard/operations/test_backup.py",
    "tests/leaderboard/journey/test_pipeline.py",
    "tests/containers/host/",
    "tests/containers/",
    "tests/evaluation/",
    "tests/deploy/",
    "tests/leaderboard/demo/",
    "tests/leaderboard/journey/",
    "tests/leaderboard/web/test_tus.py",
    "tests/browser/",
)
# These must not meet: each start of services looks for free ports from the same number on.
TOGETHER = ("tests/dev/",)


def own_services(environment: MutableMapping[str, str], process: int) -> None:
    """Give this process what no other one has: a database of the broker, an instance's name, the sandboxes' users."""
    address = urlsplit(environment["REDIS_URL"])
    number = (int(address.path.strip("/") or 0) + process) % BROKER_DATABASES
    environment["REDIS_URL"] = urlunsplit(address._replace(path=f"/{number or 1}"))
    environment["REX_INSTANCE"] = f"{environment.get('REX_INSTANCE', 'rexg')}-{process}"
    environment["REX_SANDBOX_UID"] = str(FIRST_SANDBOX_UID + SANDBOX_UIDS * process)


def wanted_processes(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """How many processes besides this one: none for a few tests, or where somebody wants to see one at work."""
    if options.keyword or options.markexpr or options.lf or options.usepdb or options.capture == "no":
        return 0
    paths = [Path(argument.partition("::")[0]) for argument in arguments]
    files = {file for path in paths for file in (path.rglob("test_*.py") if path.is_dir() else [path])}
    if len(files) <= FEW_FILES:
        return 0
    return min(MOST_PROCESSES, PROCESSES * len(os.sched_getaffinity(0)) // FOR_CORES)


def unit_of(test: str) -> str:
    """What is given to a process as a whole where no group is marked: a file's tests, one test, or a folder's files."""
    file = test.partition("::")[0]
    if file.startswith(SINGLY):
        return test
    return next((folder for folder in TOGETHER if file.startswith(folder)), file)


def order_of(test: str) -> int:
    """The place among those that begin early."""
    early = (*SINGLY, *BEGIN_EARLY)
    return next((place for place, start in enumerate(early) if test.startswith(start)), len(early))


class Units(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives groups and units to the processes, in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    @cached_property
    def _groups(self) -> dict[str, str]:
        groups: dict[str, str] = json.loads(_groups_file(self.config).read_text())
        return groups

    def _split_scope(self, nodeid: str) -> str:
        return self._groups.get(nodeid) or unit_of(nodeid)


def _groups_file(config: Any) -> Path:
    """Where the first process writes the groups of tests: xdist would tell them by names that pytest 9.2 hides."""
    folder: Path = config._tmp_path_factory.getbasetemp()
    return folder / "groups.json"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Before Django's settings are read, and half a million objects are made that stay."""
    gc.disable()
    if process := os.environ.get("PYTEST_XDIST_WORKER"):
        own_services(os.environ, 1 + int(process.removeprefix("gw")))


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """What `-n auto` means, which `./dev test` says where nobody says anything else."""
    return wanted_processes(config.option, config.args)


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Our own way, whatever `--dist` says."""
    return Units(config, log)


def is_compiled() -> bool:
    """Whether Python has compiled most files with tests here before, for all processes to read."""
    compiled = Path(f"{sys.pycache_prefix}{TESTS}") if sys.pycache_prefix else TESTS
    return 2 * len(list(compiled.rglob("test_*.pyc"))) > len(list(TESTS.rglob("test_*.py")))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let the first process collect alone where nothing is compiled yet: all others would compile the same."""
    groups = _groups_file(node.config)
    node.workerinput["groups"] = str(groups)
    node.workerinput["compiled"] = "" if is_compiled() else str(groups.with_name("compiled"))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect, or wait for the first process that does and then collect."""
    inputs = getattr(session.config, "workerinput", {})
    compiled = Path(inputs["compiled"]) if inputs.get("compiled") else None
    if compiled and inputs["workerid"] != "gw0":
        give_up = time.monotonic() + COMPILING_SECONDS
        while not compiled.exists() and time.monotonic() < give_up:
            time.sleep(0.1)
    gc.disable()  # Django, once it is set up, lets it work
    try:
        return (yield)
    finally:
        gc.enable()
        if compiled:
            compiled.touch()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the tests, and tell their groups. One process alone keeps the usual order."""
    if not (inputs := getattr(config, "workerinput", None)):
        return
    items.sort(key=lambda item: order_of(item.nodeid))
    if inputs["workerid"] == "gw0":
        marks = {item.nodeid: item.get_closest_marker("xdist_group") for item in items}
        Path(inputs["groups"]).write_text(json.dumps({test: mark.args[0] for test, mark in marks.items() if mark}))
