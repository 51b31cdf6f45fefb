"""A database of an earlier commit, with much under way, as the present code reads it once it is migrated."""

import re
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from django.test import Client

from tests.upgrade.upgraded import Upgraded, told

LEFT_OUT = ("/account/logout/", "/account/email/", "/account/password/", "/admin/logout/", "/admin/jsi18n/", "/static/")
OF_A_KIND = 25  # pages that differ in a number only
# Pages that nothing leads to.
ALONE = ("/healthz", "/metrics", "/organisers/health/panel/", "/admin/", "/team/", "/runs/", "/submit/")


class _Links(HTMLParser):
    """The addresses within the site to which a page leads, without what follows a question mark."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name in ("href", "hx-get"):
            parts = urlsplit(given.get(name) or "")
            if parts.path.startswith("/") and not parts.netloc and not parts.path.startswith(LEFT_OUT):
                self.found.add(parts.path)


def walk(client: Client) -> dict[str, int]:
    """Every page to which others lead, from those to which nothing does; and what it answers."""
    answers: dict[str, int] = {}
    waiting = ["/", *ALONE]
    kinds: Counter[str] = Counter()
    while waiting:
        path = waiting.pop()
        kind = re.sub(r"\d+", "N", path)
        if path not in answers and kinds[kind] < OF_A_KIND:
            kinds[kind] += 1
            response = client.get(path, follow=True)
            answers[path] = response.status_code
            if "text/html" in response.headers.get("Content-Type", ""):
                waiting += _Links(response.content.decode()).found
    return answers


def browser_of(site: Upgraded, name: str) -> Client:
    """Somebody who is signed in."""
    from django.contrib.auth import get_user_model

    client = Client()
    if name:
        client.force_login(
            get_user_model().objects.get(email=f"{name}@example.org"), "django.contrib.auth.backends.ModelBackend"
        )
    return client


@pytest.mark.parametrize("name", ["", "alice", "bob", "dora"])
def test_every_page_answers_to_visitors_and_teams(site: Upgraded, name: str) -> None:
    answers = walk(browser_of(site, name))
    own = {f"/runs/{number}/" for number in site.recording.roles.values()} & set(answers)
    assert not {path: code for path, code in answers.items() if code != 200 and path not in PRIVATE}
    assert bool(own) == bool(name)


PRIVATE = {"/metrics", "/organisers/health/panel/", "/admin/"}


def test_every_page_answers_to_organisers(site: Upgraded) -> None:
    answers = walk(browser_of(site, "olga"))
    assert not {path: code for path, code in answers.items() if code != 200}
    numbers = site.recording.roles.values()
    assert {f"/admin/leaderboard/submission/{number}/change/" for number in numbers} <= set(answers)


def test_every_submission_has_a_page_for_organisers(site: Upgraded) -> None:
    client = browser_of(site, "olga")
    for number in site.recording.roles.values():
        for path in (f"/runs/{number}/", f"/runs/{number}/panel/"):
            assert client.get(path).status_code == 200, path


@pytest.mark.parametrize("phase", ["development", "challenge"])
def test_the_board_has_the_numbers_that_the_old_code_gave(site: Upgraded, phase: str) -> None:
    before = site.recording.manifest["boards"][phase]
    assert told("standings", f"--phase={phase}") == before["public"]
    assert told("standings", f"--phase={phase}", "--unrounded") == before["organisers"]
    assert before["public"]["rows"]


def test_everything_about_each_submission_is_as_the_old_code_told_it(site: Upgraded) -> None:
    for role, before in site.recording.submissions.items():
        now = told("submission", str(before["id"]))
        assert {name: now[name] for name in before} == site.now(before), role


def test_the_recording_has_something_in_every_state(site: Upgraded) -> None:
    """A state that nobody recorded is one whose upgrade nobody has tried."""
    from leaderboard import states

    for table, kind in (
        ("submission", states.SubmissionState),
        ("run", states.RunState),
        ("batch", states.BatchState),
    ):
        rows = site.database.ask(f"SELECT DISTINCT state FROM leaderboard_{table}")
        missing = set(kind.values) - {state for (state,) in rows}
        assert missing <= {"cancelled"} if table == "submission" else not missing, table
