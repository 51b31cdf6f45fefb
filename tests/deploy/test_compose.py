"""The compose files: what each service may reach. `docker compose config` reads them too where there is one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import DEPLOY

FILES = {"server": DEPLOY / "compose.yaml", "worker": DEPLOY / "compose.worker.yaml"}
SERVER: dict[str, dict[str, Any]] = yaml.safe_load(FILES["server"].read_text())["services"]
WORKER: dict[str, Any] = yaml.safe_load(FILES["worker"].read_text())["services"]["worker"]
DEFAULTS = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", FILES["server"].read_text()))
WEB = ("web", "uploads", "hosts", "streams")
OURS = ("migrate", *WEB, "control", "scoring", "sweep")
EVERY = [*(pytest.param(service, id=name) for name, service in SERVER.items()), pytest.param(WORKER, id="worker")]


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Where -> what."""
    pairs = [volume.split(":") for volume in service.get("volumes", []) if isinstance(volume, str)]
    return {pair[1]: pair[0] for pair in pairs}


@pytest.mark.parametrize("service", EVERY)
def test_every_service_is_locked_down(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), "neither root nor its group"
    assert "privileged" not in service
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", [name for name in SERVER if name != "migrate"])
def test_what_stops_is_started_again(name: str) -> None:
    assert SERVER[name]["restart"] == "unless-stopped"


def test_migrations_run_once_before_the_rest() -> None:
    assert SERVER["migrate"]["restart"] == "no"
    for name in OURS[1:]:
        assert SERVER[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("name", ["postgres", "broker", *WEB, "proxy"])
def test_what_answers_is_asked_for_its_health(name: str) -> None:
    assert SERVER[name]["healthcheck"]["test"][0] == "CMD"


def test_the_reference_masks_are_mounted_for_import_and_scorer_alone() -> None:
    holders = {name for name, service in SERVER.items() if "references" in mounts(service).values()}
    assert holders == {"control", "scoring"}


def test_what_may_be_downloaded_is_written_beside_the_references_and_read_by_nginx_alone() -> None:
    public = {name: str(service["volumes"]) for name, service in SERVER.items() if "public" in mounts(service).values()}
    assert set(public) == {"control", "scoring", "sweep", "proxy"}
    assert "public:/var/lib/rexg-public:ro" in public["proxy"]
    assert set(mounts(SERVER["proxy"]).values()) & {"store", "references"} == set()
    assert "default /var/lib/rexg-public;" in (DEPLOY / "nginx.conf").read_text()


def test_the_case_store_is_mounted_for_the_servers_processes_alone() -> None:
    holders = {name for name, service in SERVER.items() if "store" in mounts(service).values()}
    assert holders == {*WEB, "control", "scoring", "sweep"}


def test_only_the_edge_and_the_brokers_tls_port_are_published() -> None:
    published = {name: service["ports"] for name, service in SERVER.items() if "ports" in service}
    assert published == {"proxy": ["80:80", "443:443"], "broker": ["${BROKER_ADDRESS:-0.0.0.0}:6380:6380"]}
    assert SERVER["postgres"]["networks"] == ["data"]
    assert yaml.safe_load(FILES["server"].read_text())["networks"]["data"] == {"internal": True}


def test_the_database_has_a_connection_for_whoever_may_ask() -> None:
    """Also during a reload, when the old web processes go on beside the new ones."""
    from deploy.gunicorn_settings import ROLES
    from leaderboard.settings import CONNECTIONS, CONNECTIONS_ELSEWHERE

    web = sum(ROLES[role].workers * CONNECTIONS.get(role, CONNECTIONS_ELSEWHERE) for role in ROLES if role)
    workers = sum(
        int(DEFAULTS[name]) * 2 for name in ("CONTROL_PROCESSES", "SCORING_PROCESSES")
    )  # and a heartbeat each
    sweeper, by_hand, of_the_superuser = 2, 5, 3
    found = re.search(r"max_connections=(\d+)", " ".join(SERVER["postgres"]["command"]))
    assert found
    assert 2 * web + workers + sweeper + by_hand + of_the_superuser <= int(found[1])
    assert f"max_connections = {found[1]}" in (DEPLOY / "README.md").read_text(), "and so without containers"


def test_the_secrets_reach_the_servers_own_processes_alone() -> None:
    assert {name for name, service in SERVER.items() if "env_file" in service} == set(OURS)


def test_the_proxy_reaches_the_site_by_its_socket_and_shares_no_network_with_the_database() -> None:
    for name in WEB:
        assert mounts(SERVER["proxy"])["/run/rexg"] == mounts(SERVER[name])["/run/rexg"]
    assert not set(SERVER["proxy"]["networks"]) & set(SERVER["postgres"]["networks"])
    assert SERVER["proxy"]["user"].split(":")[1] == SERVER["web"]["user"].split(":")[1]


def test_each_kind_of_request_has_a_service_of_its_own() -> None:
    roles = {name: SERVER[name]["environment"]["WEB_ROLE"] for name in WEB}
    assert roles == {"web": "pages", "uploads": "uploads", "hosts": "hosts", "streams": "streams"}
    assert {name for name in WEB if SERVER[name]["environment"].get("GUNICORN_CMD_ARGS") == ""} == {
        "uploads",
        "hosts",
        "streams",
    }


def test_a_hosts_state_has_the_same_path_for_the_worker_and_the_engine() -> None:
    """The engine mounts folders below it into the sandboxes, by the path that the worker names."""
    state = next(volume for volume in WORKER["volumes"] if isinstance(volume, dict))
    assert state["source"].startswith("${REX_STATE_DIR")
    assert state["target"] == "${REX_STATE_DIR}"


def test_with_gpus_the_worker_sees_them_and_cannot_compute_there() -> None:
    """What is added to its walls is seeing the host's processes, and the driver's tools without CUDA."""
    (worker,) = yaml.safe_load((DEPLOY / "compose.worker-gpus.yaml").read_text())["services"].values()
    assert set(worker) == {"pid", "deploy"}
    assert worker["deploy"]["resources"]["reservations"]["devices"] == [
        {"driver": "nvidia", "count": "all", "capabilities": ["gpu", "utility"]}
    ]


@pytest.mark.parametrize("role", FILES)
def test_every_file_that_is_mounted_or_built_from_is_there(role: str) -> None:
    made_by_the_operator = {"./broker-users.acl", "./tls", "./acme"}
    for service in (SERVER if role == "server" else {"worker": WORKER}).values():
        for source in mounts(service).values():
            if source.startswith("./") and source not in made_by_the_operator:
                assert (DEPLOY / source).exists(), source
        if build := service.get("build"):
            assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()


@pytest.mark.parametrize("role", FILES)
def test_compose_itself_understands_the_file(role: str, tmp_path: Path) -> None:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("Debian's Docker has no compose plugin; the tests above read the file without it")
    folder = tmp_path / "deploy"
    folder.mkdir()
    environment = (DEPLOY / f"{role}.env.example").read_text()
    for name in (f"{role}.env", FILES[role].name):
        (folder / name).write_text(environment if name.endswith(".env") else FILES[role].read_text())
    command = ["docker", "compose", "--env-file", f"{role}.env", "-f", FILES[role].name, "config", "--quiet"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
