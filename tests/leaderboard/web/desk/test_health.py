"""The health page and the metrics: for organisers and for whoever has the token, for nobody else."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from leaderboard.core import clock, process_heartbeat
from leaderboard.journey import pipeline
from leaderboard.models import Host
from tests.leaderboard import cast, gpu_host
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db
PAGES = ("/organisers/health/", "/organisers/health/panel/")


@pytest.fixture
def world(people):
    """A host at work for one team and another team's run in the queue."""
    phase = cast.phase()
    host = cast.host()
    run = cast.submit_checked(people.team, phase).runs.get()
    people.rival_run = cast.submit_checked(people.rivals, phase).runs.get()
    process_heartbeat.beat("web@a")
    pipeline.fill_slots()
    gpu_host.claim(host, gpu_host.waiting(run))
    return people


def scrape(token: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token}"})


def samples(response: Any) -> dict[tuple[str, ...], float]:
    """The values of a scrape by name and labels, as Prometheus' own parser reads them."""
    families = text_string_to_metric_families(response.content.decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


@pytest.mark.parametrize("address", PAGES)
def test_a_stranger_signs_in_first(client, address):
    assert client.get(address)["Location"] == f"/account/login/?next={address}"


@pytest.mark.parametrize("address", [*PAGES, "/metrics"])
def test_for_a_team_there_is_no_such_page(people, address):
    assert people.browser["Alice"].get(address).status_code == 404


def test_an_organiser_sees_everything_at_a_glance(world):
    Host.objects.update(version="1.2", draining=True)
    response = world.browser["Olga"].get("/organisers/health/")
    found = page(response)
    assert response.status_code == 200
    assert "Something does not work" in found.text  # no sweeper beats here
    for words in ("To do", "gpu-1", "version 1.2", "Draining", "1 of 1", "Phase test", "sign of life"):
        assert words in found.text, words
    assert found.all("div", hx_get="/organisers/health/panel/", hx_swap="outerHTML show:none")
    assert len(found.all("caption")) == len(found.all("table"))
    assert "no-store" in response["Cache-Control"]


def test_organisers_see_the_gpus_of_a_host_there_and_in_the_administration(world, client):
    device = {"id": "0", "name": "NVIDIA <b>A100</b>", "uuid": "GPU-1", "memory_bytes": 85899345920}
    offered = {"driver": "550.54.15", "cuda": "12.4", "handover": "cdi", "devices": [device, device | {"id": "1"}]}
    Host.objects.update(gpus=offered)
    line = "2 x NVIDIA &lt;b&gt;A100&lt;/b&gt; (86 GB); driver 550.54.15, CUDA 12.4"
    client.force_login(cast.person("Root", is_staff=True, is_superuser=True))
    for address in ("/organisers/health/", "/admin/leaderboard/host/"):
        assert line in client.get(address).content.decode(), address


def test_the_panel_is_only_the_panel(world):
    html = world.browser["Olga"].get("/organisers/health/panel/").content.decode()
    assert html.split()[:2] == ["<div", 'id="health"']
    assert "<html" not in html


def test_an_empty_server_has_a_page_too(people):
    assert people.browser["Olga"].get("/organisers/health/").status_code == 200


def test_organisers_find_it_in_the_footer_and_others_do_not(people):
    assert page(people.browser["Olga"].get("/")).all("a", href="/organisers/health/")
    assert not page(people.browser["Alice"].get("/")).all("a", href="/organisers/health/")


def test_prometheus_reads_with_the_token(world, settings):
    settings.METRICS_TOKEN = "a-long-token"
    response = scrape("a-long-token").get("/metrics")
    assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    values = samples(response)
    assert values["rexg_check", "sweeper"] == 2
    assert values["rexg_host_slots_busy", "gpu-1"] == 1
    assert values["rexg_runs_at_work", "test"] == 1
    assert values["rexg_runs_queued", "test"] == 1
    assert values["rexg_leases",] == 1
    assert values["rexg_pulse_age_seconds", "web@a"] < 60


NAMES = [
    "backlog_seconds",
    "check",
    "faults_last_day",
    "free_slots",
    "halted",
    "halted_for_organisers",
    "host_draining",
    "host_faults_last_hour",
    "host_free_bytes",
    "host_silent_seconds",
    "host_slots",
    "host_slots_busy",
    "host_up",
    "images_to_check",
    "leases",
    "leases_ending",
    "leases_lost_last_hour",
    "mails_given_up_last_hour",
    "mails_waiting",
    "oldest_wait_seconds",
    "phase_closes_timestamp_seconds",
    "pulse_age_seconds",
    "runs_at_work",
    "runs_halted",
    "runs_queued",
    "store_free_bytes",
    "store_size_bytes",
    "uploads_in_progress",
]


def test_the_names_that_operators_alert_on_stay(world):
    response = world.browser["Olga"].get("/metrics")
    families = text_string_to_metric_families(response.content.decode())
    assert sorted(family.name for family in families) == [f"rexg_{name}" for name in NAMES]


@pytest.mark.parametrize("token", ["wrong", "", "ä"])
def test_without_the_token_there_are_no_metrics(client, db, settings, token):
    settings.METRICS_TOKEN = "a-long-token"
    headers = {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
    assert client.get("/metrics", headers=headers).status_code == 404
    assert client.get("/metrics").status_code == 404


def test_a_server_without_a_token_gives_metrics_to_organisers_alone(client, people, settings):
    settings.METRICS_TOKEN = ""
    assert scrape("").get("/metrics").status_code == 404
    assert people.browser["Olga"].get("/metrics").status_code == 200


def test_metrics_name_no_team_and_no_case(world):
    text = world.browser["Olga"].get("/metrics").content.decode().lower()
    cases = {case.case.name for case in world.rival_run.cases.all()} | {c.token for c in world.rival_run.cases.all()}
    for word in ("alice", "rivals", "grounder", *cases):
        assert word.lower() not in text, word


def test_a_database_that_is_away_is_told_to_who_has_the_token(settings, monkeypatch):
    def away():
        raise OperationalError("connection refused")

    settings.METRICS_TOKEN = "a-long-token"
    monkeypatch.setattr(clock, "now", away)
    response = scrape("a-long-token").get("/metrics")
    assert response.status_code == 200
    assert samples(response) == {("rexg_check", "database"): 2}
