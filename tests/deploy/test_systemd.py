"""The systemd units, as systemd itself reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.conftest import DEPLOY, ROOT

UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
WEB_ROLES, QUEUES = ("pages", "uploads", "hosts", "streams"), ("control", "scoring")
MOST_EXPOSURE = 20  # of 100, as `systemd-analyze security` counts


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.fail("systemd-analyze is missing: apt-get install systemd", pytrace=False)
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def read(unit: Path) -> dict[str, list[str]]:
    """Every setting of a unit, with all its values."""
    settings: dict[str, list[str]] = {}
    for line in unit.read_text().replace("\\\n", " ").splitlines():
        if match := re.fullmatch(r"([A-Za-z]+)=(.*)", line):
            settings.setdefault(match[1], []).append(match[2])
    return settings


@pytest.fixture
def installed(tmp_path: Path) -> list[str]:
    """The units as if the virtual environment were there, which systemd looks for."""
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/rexg/venv/bin/python", "/bin/true"))
    return [str(tmp_path / unit.name) for unit in UNITS]


def test_systemd_finds_no_fault_with_the_units(installed: list[str]) -> None:
    done = systemd_analyze("verify", "--man=no", *installed)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_systemd_calls_every_service_well_confined(unit: Path) -> None:
    done = systemd_analyze("security", "--no-pager", "--offline=yes", f"--threshold={MOST_EXPOSURE}", str(unit))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_every_service_runs_as_a_user_of_its_own_on_a_closed_folder(unit: Path) -> None:
    settings = read(unit)
    assert settings["User"] == (["rexg-worker"] if unit.stem == "rexg-worker" else ["rexg"])
    assert settings["ProtectSystem"] == ["strict"]
    assert settings["StateDirectoryMode"] == ["0700"]
    assert settings["UMask"] == ["0077"]


def test_only_the_worker_may_use_the_engine_and_it_reads_no_secret_of_the_server() -> None:
    by_name = {unit.stem: read(unit) for unit in SERVICES}
    assert {name for name, unit in by_name.items() if "SupplementaryGroups" in unit} == {"rexg-worker"}
    assert by_name["rexg-worker"]["EnvironmentFile"] == ["/etc/rexg/worker.env"]


def test_of_the_hosts_devices_the_worker_sees_the_gpus_alone_and_the_others_none() -> None:
    by_name = {unit.stem: read(unit) for unit in SERVICES}
    worker = by_name.pop("rexg-worker")
    assert (worker["DevicePolicy"], worker["DeviceAllow"]) == (["closed"], ["char-nvidia* rw"])
    assert all(unit["PrivateDevices"] == ["yes"] and "DeviceAllow" not in unit for unit in by_name.values())


def test_only_import_and_scorer_read_the_reference_masks() -> None:
    kept_out = {unit.stem for unit in SERVICES if "-/var/lib/rexg/store/references" in str(read(unit))}
    assert kept_out == {"rexg-web@", "rexg-sweep"}


def test_what_may_be_downloaded_lies_outside_the_store_and_web_cannot_write_it() -> None:
    by_name = {unit.stem: read(unit) for unit in SERVICES if unit.stem != "rexg-worker"}
    assert all("PUBLIC_DIR=/var/lib/rexg-public" in str(unit["Environment"]) for unit in by_name.values())
    writers = {name for name, unit in by_name.items() if unit.get("ReadWritePaths") == ["-/var/lib/rexg-public"]}
    assert writers == {"rexg-queue@", "rexg-sweep"}
    assert not any("rexg-public" in str(unit["StateDirectory"]) for unit in by_name.values()), "systemd would close it"


def test_the_target_starts_every_unit_of_the_server() -> None:
    roles = {"rexg-web@.service": WEB_ROLES, "rexg-web@.socket": WEB_ROLES, "rexg-queue@.service": QUEUES}
    server = {unit.name for unit in UNITS} - {"rexg.target", "rexg-worker.service"}
    names = {unit.replace("@", f"@{role}") for unit in server for role in roles.get(unit, ("",))}
    wanted = " ".join(read(DEPLOY / "systemd" / "rexg.target")["Wants"]).split()
    assert sorted(wanted) == sorted(names)


def test_each_kind_of_request_has_a_service_and_a_socket_of_its_own() -> None:
    service, socket = (read(DEPLOY / "systemd" / f"rexg-web@.{kind}") for kind in ("service", "socket"))
    assert "WEB_ROLE=%i" in service["Environment"]
    assert service["Requires"] == ["rexg-web@%i.socket"]
    assert socket["ListenStream"] == ["/run/rexg/%i.sock"]
    upstreams = re.findall(r"server unix:/run/rexg/(\w+)\.sock", (DEPLOY / "nginx.conf").read_text())
    assert sorted(upstreams) == sorted(WEB_ROLES)


def test_web_collects_its_static_files_before_each_start_and_reload() -> None:
    web = read(DEPLOY / "systemd" / "rexg-web@.service")
    assert any("STATIC_ROOT=/var/lib/rexg/static" in value for value in web["Environment"])
    assert "rexg/static" in web["StateDirectory"][0].split()
    assert "manage.py collectstatic" in web["ExecStartPre"][0]
    reload = " then ".join(web["ExecReload"])
    assert re.search("manage.py collectstatic .* then .* check --deploy --tag web then /bin/kill -HUP", reload)


@pytest.mark.parametrize("queue", ["control", "scoring"])
def test_compose_and_systemd_run_the_same_workers(queue: str) -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"][queue]["command"]
    unit = read(DEPLOY / "systemd" / "rexg-queue@.service")["ExecStart"][0]
    started = unit.replace("%i", queue).replace("%%", "%").split()
    assert {option for option in started if option.startswith("--") and "concurrency" not in option} == {
        option for option in compose if option.startswith("--") and "concurrency" not in option
    }
    assert f'"{queue}"' in (ROOT / "deploy" / "local" / "stack.py").read_text()
