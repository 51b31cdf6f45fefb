"""Pages that all visitors see alike: made once a minute, and never anybody else's."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from leaderboard.board import versions
from leaderboard.core import clock, minutes
from leaderboard.core.audit import Actor
from leaderboard.journey import decisions
from leaderboard.models import Phase
from leaderboard.web import conditional
from tests.leaderboard import cast
from tests.leaderboard.web.scene import scored

pytestmark = pytest.mark.django_db
PAGES = ["/", "/leaderboard/test/", "/leaderboard/test/main/certainty/", "/leaderboard/test/main/versions/1/"]


@pytest.fixture(autouse=True)
def settled(monkeypatch) -> Iterator[None]:
    """In the middle of a minute, in a process that keeps pages."""
    now = clock.now().replace(second=30, microsecond=0) + timedelta(minutes=1)
    monkeypatch.setattr(clock, "now", lambda: now)
    monkeypatch.setattr(minutes, "MOST", 32)
    monkeypatch.setattr(conditional, "SECONDS", 0.0)
    conditional._pages.clear()
    conditional._asked.clear()
    yield
    conditional._pages.clear()  # the tests of other files ask for the same addresses
    conditional._asked.clear()


@pytest.fixture
def phase() -> Phase:
    return cast.phase(cases_are_public=True)


@pytest.fixture
def runs(people, phase):
    made = scored(people.team, phase, dice=0.4)
    Client().get("/leaderboard/test/")  # a version is made
    return made


def read(path: str, browser: Client | None = None, **cookies: str) -> str:
    browser = browser or Client()
    for name, value in cookies.items():
        browser.cookies[name] = value
    response = browser.get(path)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_made_once_and_sets_no_cookie(runs, path):
    first = read(path)
    with CaptureQueriesContext(connection) as asked:
        response = Client().get(path)
    assert response.content.decode() == first
    assert not response.cookies
    assert "Cookie" in response["Vary"]
    assert len(asked) <= 3, [one["sql"] for one in asked]


@pytest.mark.parametrize("path", PAGES[:3])
def test_who_has_the_page_is_told_so(runs, path):
    tag = Client().get(path)["ETag"]
    assert Client().get(path, headers={"if-none-match": tag}).status_code == 304


def test_a_new_score_and_a_decision_show_at_once(people, phase, runs):
    before = read("/leaderboard/test/"), read("/")
    scored(cast.team_of(cast.person("Zoe")), phase, dice=0.7)
    versions.make(phase.pk)
    after = read("/leaderboard/test/"), read("/")
    assert all("Team of Zoe" not in page for page in before)
    assert all("Team of Zoe" in page for page in after)
    decisions.disqualify(runs.submission, by=Actor("Olga"), why="two accounts")
    versions.make(phase.pk)
    assert "Alice" not in read("/leaderboard/test/").partition("<main")[2]


def test_whether_a_page_has_changed_is_asked_once_a_second(people, phase, runs, monkeypatch):
    monkeypatch.setattr(conditional, "SECONDS", 60.0)
    conditional._asked.clear()
    before = {path: read(path) for path in PAGES}
    decisions.disqualify(runs.submission, by=Actor("Olga"), why="two accounts")
    versions.make(phase.pk)
    with CaptureQueriesContext(connection) as asked:
        assert {path: read(path) for path in PAGES} == before
    assert len(asked) == 0, [one["sql"] for one in asked]
    monkeypatch.setattr(conditional, "SECONDS", 0.0)
    assert "Alice" not in read("/leaderboard/test/").partition("<main")[2]


def test_who_is_signed_in_gets_a_page_of_their_own(people, runs):
    visitors = read("/leaderboard/test/")
    assert "Sign in" in visitors
    own = read("/leaderboard/test/", people.browser["Alice"])
    assert "Account" in own
    assert '<span class="tag">you</span>' in own
    assert read("/leaderboard/test/") == visitors


def test_each_theme_has_its_page(runs):
    assert 'data-theme="dark"' in read("/", theme="dark")
    assert "data-theme" not in read("/")


def test_a_message_is_read_by_whom_it_is_for(people, runs):
    read("/")
    leaving = people.browser["Alice"]
    answer = leaving.post("/account/logout/", follow=True)
    assert "You are signed out." in answer.content.decode()
    assert "You are signed out." not in read("/")


def test_what_is_not_found_is_kept_for_nobody(phase, runs):
    for path in ("/leaderboard/test/?group=nope", "/leaderboard/test/main/versions/9/"):
        assert Client().get(path).status_code == 404
        assert Client().get(path).status_code == 404


def test_a_theme_is_chosen_without_a_token(runs):
    program = Client(enforce_csrf_checks=True)
    answer = program.post("/theme/", {"theme": "dark", "next": "/leaderboard/test/"})
    assert (answer.status_code, answer["Location"]) == (302, "/leaderboard/test/")
    assert 'data-theme="dark"' in read("/leaderboard/test/", program)
