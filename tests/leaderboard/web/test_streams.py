"""Live progress at the real site: who may follow which run, what a stream says and when, and what it costs others."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from leaderboard.core import clock, events
from leaderboard.core.audit import Actor
from leaderboard.journey import decisions
from leaderboard.models import Membership, Run
from leaderboard.people import tokens
from leaderboard.streams.following import Look, _pause
from tests.leaderboard import cast

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("site")]


@pytest.fixture
def run(people) -> Run:
    return cast.submit_checked(people.team, cast.phase(cases_are_public=True)).runs.get()


def cookie(browser: Client) -> dict[str, str]:
    return {"Cookie": f"rexg_session={browser.cookies['rexg_session'].value}"}


def proof(people, who: str) -> dict[str, str]:
    """Of who it is: a session, or of a program its person's token."""
    if who.endswith("program"):
        _, token = tokens.issue(people.charlie, name="a program", scopes=["read"])
        return {"Authorization": f"Bearer {token}"}
    return cookie(people.browser[who])


class Stream:
    """One open stream, read event by event."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.answer = answer

    def event(self) -> tuple[str, dict[str, object]]:
        """The next event: its name and data; ("", {}) when the stream has ended."""
        name = ""
        while line := self.answer.readline().decode().rstrip("\n"):
            pass
        while raw := self.answer.readline():
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: ") and name:
                return name, json.loads(line.removeprefix("data: "))
        return "", {}


@contextmanager
def opened(site, path: str, headers: dict[str, str]) -> Iterator[Stream]:
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)) as connection:
        connection.request("GET", path, headers=headers)
        yield Stream(connection.getresponse())


def test_a_stream_says_that_what_is_shown_has_changed_and_ends_with_the_run(site, people, run):
    address = f"/runs/{run.submission_id}/"
    page = people.browser["Alice"].get(address).content.decode()
    with opened(site, f"{address}events/", cookie(people.browser["Alice"])) as stream:
        assert (stream.answer.status, stream.answer.headers["Content-Type"]) == (200, "text/event-stream")
        assert "no-store" in stream.answer.headers["Cache-Control"]
        name, first = stream.event()
        assert (name, first["finished"]) == ("change", False)
        assert f'-{first["seen"]}"' in page  # the very digest of what the page shows: it need not ask
        decisions.cancel(run.submission, by=Actor.command_line())
        name, last = stream.event()
        assert (name, last["state"], last["finished"]) == ("change", "cancelled", True)
        assert last["seen"] != first["seen"]
        assert stream.event()[0] == "end"
        assert stream.event()[0] == ""


@pytest.mark.parametrize(
    ("who", "status"),
    [("nobody", 401), ("Charlie", 404), ("Charlie's program", 404), ("Bob", 200), ("Olga", 200)],
    ids=lambda one: str(one),
)
def test_a_run_is_followed_by_those_alone_to_whom_there_is_one(site, people, run, who, status):
    headers = {} if who == "nobody" else proof(people, who)
    with opened(site, f"/runs/{run.submission_id}/events/", headers) as stream:
        assert stream.answer.status == status
        if status != 200:
            said = json.loads(stream.answer.read())
            assert (said["status"], stream.answer.headers["Content-Type"]) == (status, "application/problem+json")
    with opened(site, "/runs/999999999/events/", proof(people, "Charlie")) as stream:
        missing = json.loads(stream.answer.read())
    if status == 404:
        assert said == missing


@pytest.mark.parametrize("end", ["signed out", "removed"])
def test_a_stream_ends_once_its_reader_may_not_read_any_more(site, people, run, end):
    with opened(site, f"/runs/{run.submission_id}/events/", cookie(people.browser["Bob"])) as stream:
        assert stream.event()[0] == "change"
        if end == "signed out":
            Session.objects.filter(pk=people.browser["Bob"].cookies["rexg_session"].value).delete()
        else:
            Membership.objects.filter(user=people.bob).delete()
        events.announce(run.submission_id)
        assert stream.event()[0] == "end"


def test_a_person_follows_so_many_at_once_and_then_reads_what_to_do(site, people, run, settings):
    path, headers, streams = f"/runs/{run.submission_id}/events/", cookie(people.browser["Alice"]), []
    try:
        for _ in range(settings.STREAMS_PER_PERSON):
            connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
            connection.request("GET", path, headers=headers)
            streams.append(connection)
            assert connection.getresponse().status == 200
        with opened(site, path, headers) as stream:
            assert (stream.answer.status, int(stream.answer.headers["Retry-After"]) > 0) == (429, True)
            assert "Close one of these pages" in json.loads(stream.answer.read())["detail"]
        with opened(site, path, cookie(people.browser["Bob"])) as stream:
            assert stream.answer.status == 200
    finally:
        for connection in streams:
            connection.close()


def test_a_program_follows_by_a_token_that_may_read_for_as_long_as_it_is_good(site, people, run):
    path = f"/runs/{run.submission_id}/events/"
    token, text = tokens.issue(people.bob, name="a program", scopes=["read"])
    _, writes_alone = tokens.issue(people.bob, name="another", scopes=["submit"])
    _, rivals = tokens.issue(people.charlie, name="a program", scopes=["read"])
    for said, status in ((text, 200), (writes_alone, 401), (rivals, 404), ("rexg_pat_none", 401)):
        headers = {"Authorization": f"Bearer {said}", **cookie(people.browser["Alice"])}  # the token alone counts
        with opened(site, path, headers) as stream:
            assert stream.answer.status == status, said
    tokens.revoke(people.bob, token.pk)
    with opened(site, path, {"Authorization": f"Bearer {text}"}) as stream:
        assert (stream.answer.status, stream.answer.headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/runs/1/events/", 405), ("GET", "/runs/1/events", 301)]
)
def test_what_is_no_stream_is_refused(site, people, method, path, status):
    answer, _ = site.ask(method, path, headers=cookie(people.browser["Alice"]))
    assert answer.status == status


def test_on_hidden_cases_nobody_is_told_before_the_pages_own_minute():
    """Whoever is told of a minute looks after it has begun, whatever happened meanwhile."""
    at = clock.now().replace(second=20, microsecond=0)
    hidden = Look(at, "", "", is_over=False, follows_events=False)
    assert all(timedelta(seconds=_pause(hidden)) > timedelta(seconds=40) for _ in range(100))
