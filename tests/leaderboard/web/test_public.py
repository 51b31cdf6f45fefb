"""Home, guidelines, rules, themes, errors: what anyone may read."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from containers.protocol import contract
from leaderboard.core import clock
from leaderboard.journey import reasons
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page, scored

pytestmark = pytest.mark.django_db


def test_home_says_what_the_challenge_is_before_any_phase_exists(client):
    text = page(client.get("/")).text
    assert "Mark exactly that finding." in text
    assert "No phase is open" in text
    assert "Standings now" not in text


def test_home_shows_the_first_rows_of_the_open_phase(client, people):
    phase = cast.phase()
    scored(people.team, phase, dice=0.4)
    scored(people.rivals, phase, dice=0.5)
    text = page(client.get("/")).text
    assert text.index("Rivals") < text.index("Alice and Bob")
    assert "0.500" in text


def test_home_offers_the_bibtex_as_text_that_can_be_selected(client):
    assert "@article{baharoon2026rexgroundingct" in page(client.get("/")).text


def test_the_phase_line_names_the_open_phase_and_when_it_closes(client):
    phase = cast.phase()
    found = page(client.get("/rules/"))
    assert f"{phase.closes_at:%Y-%m-%dT%H:%M:%SZ}" in [one["datetime"] for one in found.all("time")]
    assert f"{phase.name} is open" in found.text


def test_the_phase_line_names_the_next_phase_while_none_is_open(client):
    now = clock.now()
    cast.phase(name="Test phase", opens_at=now + timedelta(days=2), closes_at=now + timedelta(days=3))
    assert "Test phase opens" in page(client.get("/")).text


def test_the_guidelines_state_what_the_server_enforces(client):
    cast.phase(case_seconds=77, runs_per_day=9, memory_bytes=3 << 30)
    text = page(client.get("/guidelines/")).text
    for fact in ("77 s", "9 a day", "3 GiB", contract.INPUT_DIR, contract.OUTPUT_DIR, contract.CASES_FILE):
        assert fact in text
    for explanation in reasons.FAILURES.values():
        assert explanation.title in text
        assert explanation.advice in text


def test_a_chosen_theme_is_remembered(client):
    response = client.post("/theme/", {"theme": "dark", "next": "/rules/"})
    assert response["Location"] == "/rules/"
    assert page(client.get("/rules/")).all("html", data_theme="dark")


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_choosing_a_theme_leads_nowhere_else(client, target):
    assert client.post("/theme/", {"theme": "dark", "next": target})["Location"] == "/"


def test_a_theme_that_does_not_exist_is_not_remembered(client):
    client.post("/theme/", {"theme": '"><script>', "next": "/"})
    assert "theme" not in client.cookies


def test_a_page_that_does_not_exist_looks_like_the_site(client):
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "There is no such page" in page(response).text
    assert page(response).all("nav", aria_label="Site")


def test_the_server_says_that_it_is_well(client):
    assert client.get("/healthz").content == b"ok\n"


def test_a_stranger_is_not_offered_pages_that_need_an_account(client):
    links = [one["href"] for one in page(client.get("/")).all("a")]
    assert reverse("runs") not in links


def test_the_guidelines_contents_name_each_of_their_headings_in_order(client):
    cast.phase()
    content = client.get("/guidelines/").content.decode()
    headings = re.findall(r'<h2 id="([^"]+)">([^<]+)</h2>', content)
    listed = re.findall(r'<li>\s*<a href="#([^"]+)">([^<]+)</a>\s*</li>', content.partition("contents-of")[0])
    assert len(headings) > 10
    assert listed == headings * 2  # folded above the page, and open beside it
