"""A database that is away: every page says so at once, with a status that means "come back"."""

import json
import os
import subprocess
import sys

import pytest

from tests.leaderboard.web.scene import Page

# A process of its own, whose PostgreSQL is a port where nobody listens.
ASK = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
import django
django.setup()
from django.test import Client

def ask(address):
    client = Client(raise_request_exception=False, headers={"host": "127.0.0.1"})
    client.cookies["rexg_session"] = "a-session-of-an-organiser"
    began = time.monotonic()
    answer = client.get(address)
    seconds = time.monotonic() - began
    return [answer.status_code, answer.headers.get("Retry-After"), seconds, sorted(answer.cookies), answer.text]

with ThreadPoolExecutor(len(sys.argv)) as threads:
    print(json.dumps(dict(zip(sys.argv[1:], threads.map(ask, sys.argv[1:])))))
"""
PAGES = ("/", "/leaderboard/test/", "/runs/1/", "/organisers/health/", "/metrics", "/healthz", "/admin/")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    environment = {
        **os.environ,
        "DATABASE_URL": "postgres://nobody:nothing@127.0.0.1:1/nowhere",
        "STORE_DIR": str(store),
        "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
        "SITE_URL": "http://127.0.0.1:8000",
    }
    said = subprocess.run(
        [sys.executable, "-c", ASK, *PAGES], env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert said.returncode == 0, said.stderr[-3000:]
    return json.loads(said.stdout)


def test_every_page_says_so_within_seconds_and_signs_nobody_out(answers):
    for address, (status, retry, seconds, cookies, _) in answers.items():
        assert (status, retry) == (503, "30"), address
        assert seconds < 15, address  # 5, on a machine that is not busy
        assert cookies == [], address


def test_the_page_says_what_is_so_to_teams_and_to_organisers(answers):
    found = Page(answers["/organisers/health/"][-1])
    assert "The database is away" in found.text
    assert "What was submitted before stays submitted" in found.text
    assert "PostgreSQL does not answer" in found.text
