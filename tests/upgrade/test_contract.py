"""What hosts and server tell each other, read and written by the code of then and by ours: the same in both directions.

The whole way with a real host is in test_old_host; here is every code that it might ever say.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.upgrade.recording import Recording
from tests.upgrade.release import REPOSITORY

DIGEST = "sha256:" + "0" * 64
# Run with the package of a release: what it makes of orders and reports, and what it writes itself.
READER = """
import json, sys
from dataclasses import asdict
import containers

given = json.load(sys.stdin)
reports = [containers.parse_report(report) for report in given["reports"]]
print(json.dumps({
    "faults": sorted(containers.FAULTS),
    "failures": sorted(containers.CASE_FAILURES),
    "orders": [asdict(containers.parse_order(order)) for order in given["orders"]],
    "reports": [asdict(report) for report in reports],
    "written": [report.to_json() for report in reports],
}))
"""


def read(code: Path, orders: list[Any], reports: list[Any]) -> dict[str, Any]:
    """What the package of a release makes of these. AssertionError when it refuses one."""
    made = subprocess.run(
        [sys.executable, "-c", READER],
        input=json.dumps({"orders": orders, "reports": reports}),
        env={"PYTHONPATH": str(code)},
        cwd=code,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    found: dict[str, Any] = json.loads(made.stdout)
    return found


@pytest.fixture(scope="module")
def old(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of then."""
    return recording.unpack_host(tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def journals(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What hosts of then wrote down: the order of the server of then, and their own report."""
    folder = tmp_path_factory.mktemp("files")
    recording.unpack_files(folder)
    return [json.loads(path.read_text()) for path in folder.glob("hosts/*/state/journal/*.json")]


def report(case: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A report on one case, with every field that a host sends."""
    container = {"exit_code": 1, "oom_killed": False, "seconds": 1.5, "warnings": ["A warning."]}
    whole = {"name": "abc.nii.gz", "status": "untouched", "reason": None, "seconds": None, "output": None} | case
    return {"fence": 7, "cases": [whole], "container": container, "fault": None, "log": "ö\n", **more}


def every_report(codes: dict[str, Any]) -> list[dict[str, Any]]:
    """A report for each code that a release knows, and for each way in which a case may end."""
    failed = [report({"status": "failed", "reason": code, "seconds": 2.5}) for code in codes["failures"]]
    faulty = [report({}, fault={"code": code, "detail": "Why."}, container=None) for code in codes["faults"]]
    finished = report({"status": "finished", "output": {"blob": DIGEST, "size": 9}, "seconds": 0.5})
    missing = report({"status": "missing", "reason": "missing"})
    unread = report({}, fault={"code": "order_unreadable", "detail": ""}, container=None) | {"cases": []}
    return [*failed, *faulty, finished, missing, unread, report({}, rejected="not_unpackable", container=None)]


def test_the_server_understands_whatever_a_host_of_then_may_report(old: Path) -> None:
    said = every_report(read(old, [], []))
    assert read(REPOSITORY, [], said)["reports"] == read(old, [], said)["reports"]


def test_what_is_written_now_is_read_by_the_code_of_then(old: Path) -> None:
    known = read(old, [], [])
    now = read(REPOSITORY, [], every_report(known))
    then = read(old, [], now["written"])
    assert then["reports"] == now["reports"]


def test_an_upgraded_host_reads_its_journal_of_before(old: Path, journals: list[dict[str, Any]]) -> None:
    orders = [entry["order"] for entry in journals]
    reports = [entry["report"] for entry in journals]
    assert len(orders) == 2
    before, now = read(old, orders, reports), read(REPOSITORY, orders, reports)
    assert {order.pop("weights") for order in now["orders"]} == {None}  # which it did not know
    assert (now["orders"], now["reports"]) == (before["orders"], before["reports"])
