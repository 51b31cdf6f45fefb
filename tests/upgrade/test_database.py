"""A database of an earlier commit, with much under way, as the present code reads it once it is migrated."""

import os
import random
import re
from collections import Counter
from collections.abc import Container
from html.parser import HTMLParser
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.test import Client, override_settings

from leaderboard.board import versions
from leaderboard.core import clock
from tests.upgrade.databases import Database
from tests.upgrade.upgraded import Upgraded, sorted_attempts, told, using, without_news

# With those that need the server: the recorded database is migrated once for all.
pytestmark = pytest.mark.xdist_group("upgrade")
LEFT_OUT = ("/static/", "/admin/logout/")  # files; a button
ACTS = "/organisers/acts/"
OF_A_KIND = 3  # pages that differ in a number only
OF_A_BOARD = re.compile(r"^/leaderboard/\w+/(?:main|overall)(/.+)")
# Pages that nothing leads to.
ALONE = ("/healthz", "/metrics", "/organisers/health/panel/", "/admin/", "/team/", "/runs/", "/submit/")


class _Links(HTMLParser):
    """The addresses within the site to which a page leads, without what follows a question mark.

    An act of organisers stays with what it is on: there is none on nothing.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name in ("href", "hx-get"):
            parts = urlsplit(given.get(name) or "")
            if parts.path.startswith("/") and not parts.netloc and not parts.path.startswith(LEFT_OUT):
                is_act = parts.path.startswith(ACTS)
                self.found.add(f"{parts.path}?{parts.query}" if is_act else parts.path)


def walk(client: Client, open_to_all: Container[str] = ()) -> dict[str, int]:
    """Every page to which others lead, from those to which nothing does; and what it answers.

    Of pages that differ in a number only some are asked for; of those that are open to all, and of all boards, one.
    """
    answers: dict[str, int] = {}
    waiting = ["/", *ALONE]
    kinds: Counter[str] = Counter()
    while waiting:
        path = waiting.pop()
        kind = re.sub(r"\d+|\?.*", "N", path)
        kind = OF_A_BOARD.sub(r"/leaderboard\1", kind) if path in open_to_all else kind
        if path not in answers and kinds[kind] < (1 if path in open_to_all else OF_A_KIND):
            kinds[kind] += 1
            response = client.get(path, follow=True)
            answers[path] = response.status_code
            if "text/html" in response.headers.get("Content-Type", ""):
                waiting += _Links(response.content.decode()).found
    return answers


@pytest.fixture(scope="module", autouse=True)
def boards(upgraded: Upgraded, django_db_blocker: Any) -> None:
    """They are made once, as a worker does it: what is asked here changes nothing of them."""
    with override_settings(STORE_DIR=upgraded.store), using(upgraded.database, django_db_blocker):
        for phase in versions.living(clock.now()):
            versions.make(phase)


@pytest.fixture(autouse=True)
def boards_keep_up() -> None:
    """Nor need they be made anew."""


def test_it_is_like_a_new_one(upgraded: Upgraded, template_database: str) -> None:
    """Which takes all that its migrations made, up to 0054, at once."""
    new = Database(os.environ["DATABASE_URL"], template_database)
    there = new.schema()
    new.leave()  # others copy it
    assert upgraded.database.schema() ^ there == set()
    assert len(there) > 1000


def browser_of(site: Upgraded, name: str) -> Client:
    """A browser: of a visitor, or of somebody who is signed in."""
    client = Client()
    if name:
        person = get_user_model().objects.get(email=f"{name}@example.org")
        client.force_login(person, "django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture(scope="module")
def of_visitors() -> dict[str, int]:
    """What pages answered to a visitor, once somebody has asked."""
    return {}


@pytest.fixture
def open_to_all(site: Upgraded, of_visitors: dict[str, int]) -> dict[str, int]:
    """What every page answers to a visitor, who is asked to sign in where he may not read it."""
    of_visitors.update(of_visitors or walk(browser_of(site, "")))
    return of_visitors


def closed(answers: dict[str, int]) -> set[str]:
    """The pages that are not shown."""
    return {path for path, code in answers.items() if code != HTTPStatus.OK}


def with_runs(answers: dict[str, int]) -> bool:
    """Whether pages of runs are among them."""
    return any(re.fullmatch(r"/runs/\d+/", path) for path in answers)


def test_every_page_answers_to_visitors(open_to_all: dict[str, int]) -> None:
    assert closed(open_to_all) == {"/metrics"}
    assert not with_runs(open_to_all)


@pytest.mark.parametrize("name", ["alice", "bob", "dora"])
def test_every_page_answers_to_teams(site: Upgraded, open_to_all: dict[str, int], name: str) -> None:
    answers = walk(browser_of(site, name), open_to_all)
    assert closed(answers) == {"/metrics", "/organisers/health/panel/", "/admin/"}
    assert with_runs(answers)


def test_every_page_answers_to_organisers(site: Upgraded, open_to_all: dict[str, int]) -> None:
    answers = walk(browser_of(site, "olga"), open_to_all)
    assert {path: code for path, code in answers.items() if code != HTTPStatus.OK} == {}
    assert "/admin/leaderboard/phase/" in answers


def test_every_submission_has_its_pages(site: Upgraded) -> None:
    client = browser_of(site, "olga")
    for number in site.recording.roles.values():
        for path in (f"/runs/{number}/", f"/runs/{number}/panel/", f"/admin/leaderboard/submission/{number}/change/"):
            assert client.get(path).status_code == HTTPStatus.OK, path


@pytest.mark.parametrize("phase", ["trial", "development", "challenge"])
def test_the_board_has_the_numbers_that_the_old_code_gave(site: Upgraded, phase: str) -> None:
    before = site.recording.manifest["boards"][phase]
    assert before["public"]["rows"]
    for reader, choice in (("public", ()), ("organisers", ("--unrounded",))):
        now = told("standings", f"--phase={phase}", *choice)
        assert without_news(now, before[reader]) == before[reader]
        assert now["masks"] == now["post_challenge"] == []


def test_everything_about_each_submission_is_as_the_old_code_told_it(site: Upgraded) -> None:
    for role, before in site.recording.submissions.items():
        now, then = sorted_attempts(told("submission", str(before["id"]))), sorted_attempts(site.now(before))
        assert without_news(now, then) == then, role


def test_case_sets_keep_their_public_half_and_have_no_commitment(site: Upgraded) -> None:
    """It was drawn by the digest alone, as nobody draws it any more."""
    for key, name, digest in site.database.ask("SELECT id, name, digest FROM leaderboard_caseset"):
        query = f"SELECT name, in_public_half FROM leaderboard_case WHERE case_set_id = {key} ORDER BY name"
        halves = dict(site.database.ask(query))
        drawn = list(halves)
        random.Random(digest).shuffle(drawn)
        assert {case for case in halves if halves[case]} == set(drawn[: len(drawn) // 2])
        shown = told("show_half", name)
        assert (shown["commitment"], shown["holds"], shown["public"]) == ("", None, sum(halves.values()))


STATES = {
    "submission": {"received", "validating", "accepted", "rejected", "cancelled", "halted"},
    "run": {"queued", "canary", "running", "scoring", "scored", "failed", "cancelled", "halted"},
    "batch": {"waiting", "leased", "reported", "scored", "dropped"},
}


@pytest.mark.parametrize("table", STATES)
def test_something_was_in_every_state(site: Upgraded, table: str) -> None:
    """What nobody recorded is what nobody has upgraded."""
    there = {state for (state,) in site.database.ask(f"SELECT DISTINCT state FROM leaderboard_{table}")}
    assert there >= STATES[table]


def test_leases_and_alarms_are_among_it(site: Upgraded) -> None:
    query = "SELECT DISTINCT lease_until > now() FROM leaderboard_batch WHERE state = 'leased'"
    assert {lasts for (lasts,) in site.database.ask(query)} == {True, False}
    for table in ("alarm", "pulse", "standing"):
        assert site.database.value(f"SELECT count(*) FROM leaderboard_{table}") > 0
