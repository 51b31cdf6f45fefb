"""What other versions know by name: a new host adopts what an old one left, and goes on with an old or new server."""

import json
from pathlib import Path

from containers.host.config import Settings
from containers.host.journal import Journal, JournalEntry
from containers.host.resources import HostResources
from containers.protocol.orders import parse_order
from containers.protocol.reports import Blob, CaseReport, ContainerReport, Fault, Report, parse_report
from containers.protocol.task_queue import QUEUE_NAME, TASK
from containers.sandbox import holder, spec
from containers.sandbox.engine import Engine
from containers.sandbox.spec import SandboxSettings
from containers.sandbox.staging import BatchFolder
from tests.containers.conftest import NOTHING, UID, order_json

BATCH = "0b9f1d1e-6f0a-4b5c-8d7e-0123456789ab"


def test_the_message_and_its_queue_keep_their_names() -> None:
    assert (TASK, QUEUE_NAME) == ("containers.run_batch", "sandbox")


def test_objects_in_the_engine_keep_their_names_and_labels() -> None:
    order = parse_order(order_json(None) | {"batch": BATCH, "fence": 7})
    settings = SandboxSettings("gpu1", UID)
    stem = f"rexgrounding-gpu1-{BATCH}-7"
    assert spec.names("gpu1", order) == spec.Names(f"{stem}-algorithm", f"{stem}-holder", f"{stem}-output")
    assert spec.output_volume(order, settings)["labels"] == {
        "rexgrounding.instance": "gpu1",
        "rexgrounding.batch": BATCH,
        "rexgrounding.fence": "7",
        "rexgrounding.role": "output",
    }
    assert spec.holder(order, settings, "holder")["Labels"]["rexgrounding.role"] == "holder"
    assert holder.archive("rexgrounding-gpu1/holder")[0].startswith("rexgrounding-gpu1/holder:")


def test_the_journal_of_an_older_worker_is_read(tmp_path: Path) -> None:
    order, report = order_json(None), {"fence": 1}
    text = json.dumps({"batch": BATCH, "key": "key", "slot": "cpu0", "order": order, "report": report})
    (tmp_path / f"{BATCH}.json").write_text(text)
    entry = JournalEntry(batch=BATCH, key="key", slot="cpu0", order=order, report=report)
    assert list(Journal(tmp_path).entries()) == [entry]
    Journal(tmp_path).write(entry)
    assert json.loads((tmp_path / f"{BATCH}.json").read_text()) == json.loads(text)


def test_the_state_folder_keeps_its_layout(host_settings: Settings, engine: Engine) -> None:
    host_settings.state_dir.mkdir()
    host = HostResources.create(host_settings, engine)
    assert host.image_cache.tag(NOTHING) == f"rexgrounding-{host_settings.instance}/image:{'0' * 64}"
    assert (
        BatchFolder(host.batches_folder, BATCH, 7).input == host_settings.state_dir / "batches" / f"{BATCH}-7" / "input"
    )
    folders = {str(path.relative_to(host_settings.state_dir)) for path in host_settings.state_dir.rglob("*")}
    assert folders == {
        *("batches", "journal", "images", "images/used"),
        *("cache", "cache/blobs", "cache/used", "cache/partial"),
        *("weights", "weights/boot", "weights/copies", "weights/gone", "weights/used"),
    }


def test_a_report_keeps_its_form() -> None:
    said = {
        "fence": 7,
        "cases": [
            {
                "name": "case0.nii.gz",
                "status": "finished",
                "reason": None,
                "seconds": 1.5,
                "output": {"blob": NOTHING, "size": 5},
            },
            {"name": "case1.nii.gz", "status": "failed", "reason": "crashed", "seconds": 2.0, "output": None},
        ],
        "container": {"exit_code": 1, "oom_killed": False, "seconds": 3.5, "warnings": ["a warning"]},
        "fault": {"code": "disk_full", "detail": "no room"},
        "log": "the end\n",
    }
    report = Report(
        fence=7,
        cases=(
            CaseReport("case0.nii.gz", "finished", None, 1.5, Blob(NOTHING, 5)),
            CaseReport("case1.nii.gz", "failed", "crashed", 2.0),
        ),
        container=ContainerReport(1, False, 3.5, ("a warning",)),
        fault=Fault("disk_full", "no room"),
        log="the end\n",
    )
    assert parse_report(said) == report
    assert json.loads(json.dumps(report.to_json())) == said
