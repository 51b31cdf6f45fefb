"""Uploads that are slow, silent, cut off or too many, at the real site: nginx and gunicorn with the shipped rules."""

import json
import socket
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
from django.test import Client

from leaderboard.models import Submission
from leaderboard.people import tokens
from leaderboard.submissions import uploads
from tests.leaderboard import cast
from tests.leaderboard.web.scene import Page
from tests.realsite import RealSite, browser_headers, form_body, request_head

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("site")]
IMAGE = tarfile.TarInfo("layer.tar").tobuf() + bytes(10_000)


@pytest.fixture
def team():
    cast.phase(slug="dev", runs_per_day=9)
    return cast.team_of(cast.person("Alice"), cast.person("Bob"))


def session_of(person) -> str:
    browser = Client()
    browser.force_login(person)
    return browser.cookies["rexg_session"].value


@pytest.fixture
def alice(team):
    return session_of(team.memberships.get(is_captain=True).user)


@pytest.fixture
def bob(team):
    return session_of(team.memberships.get(is_captain=False).user)


def left(site: RealSite) -> list[str]:
    """What the store has of uploads."""
    store = site.folder / "store"
    return [path.name for name in ("incoming", "uploads") for path in (store / name).glob("*")]


def begin(connection: socket.socket, session: str, length: int, *, sent: bytes) -> None:
    connection.sendall(request_head("POST", "/submit/dev/", browser_headers(session, length)) + sent)


def answer_of(connection: socket.socket) -> tuple[int, str, str]:
    """Status, head and text of the page."""
    connection.settimeout(30)
    said = b""
    while chunk := connection.recv(1 << 16):
        said += chunk
        if b"</html>" in said:
            break
    head, _, content = said.partition(b"\r\n\r\n")
    return int(said.split()[1]), head.decode(), Page(content.decode()).text


@contextmanager
def held(site: RealSite, session: str) -> Iterator[socket.socket]:
    """An upload that has a place, and is under way until the end of the context."""
    head, image, _ = form_body(IMAGE + bytes(uploads.CHUNK))  # its file is there with the first whole piece
    with closing(site.connect()) as connection:
        before = len(left(site))
        begin(connection, session, 10**7, sent=head + image)
        wait_until(lambda: len(left(site)) > before)
        yield connection


def wait_until(condition) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def upload(site: RealSite, session: str) -> tuple[int, str, str]:
    body = b"".join(form_body(IMAGE))
    with closing(site.connect()) as connection:
        begin(connection, session, len(body), sent=body)
        connection.settimeout(30)
        said = connection.recv(1 << 16)
        if said.split()[1] == b"302":
            return 302, said.decode(), ""
        while b"</html>" not in said:
            said += connection.recv(1 << 16)
        head, _, content = said.partition(b"\r\n\r\n")
        return int(said.split()[1]), head.decode(), Page(content.decode()).text


def test_an_upload_that_is_whole_is_taken(site, alice):
    assert upload(site, alice)[0] == 302
    assert Submission.objects.get().upload_bytes == len(IMAGE)


def test_an_upload_that_trickles_is_ended_with_words_and_nothing_stays(site, alice):
    before = left(site)
    head, image, _ = form_body(IMAGE)
    with closing(site.connect()) as connection:
        begin(connection, alice, 10**6, sent=head + image)
        connection.settimeout(0.2)
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up:
            connection.sendall(b"x")
            try:
                if connection.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                pass
        status, _, text = answer_of(connection)
    assert status == 408
    assert "sent too little for too long" in text
    wait_until(lambda: left(site) == before)
    assert not Submission.objects.exists()


def test_a_silent_upload_is_ended_with_words_and_nothing_stays(site, alice):
    before = left(site)
    with held(site, alice) as connection:
        status, _, text = answer_of(connection)
    assert status == 408
    assert "nothing was charged" in text
    wait_until(lambda: left(site) == before)
    assert not Submission.objects.exists()


@pytest.mark.parametrize("part", ["the end of the form and more announced", "half of the image"])
def test_an_upload_that_ends_early_is_not_complete(site, alice, part):
    """Asked behind nginx: it tells nobody when its client is gone."""
    before = left(site)
    body = form_body(IMAGE)
    whole = b"".join(body)
    sent, announced = (whole, len(whole) + 100) if "more" in part else (whole[:-6000], len(whole))
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.connect(str(site.folder / "run" / "uploads.sock"))
        begin(connection, alice, announced, sent=sent)
        connection.shutdown(socket.SHUT_WR)
        status, _, text = answer_of(connection)
    assert status == 408
    assert "ended before everything was here" in text
    wait_until(lambda: left(site) == before)
    assert not Submission.objects.exists()


def test_whoever_hangs_up_leaves_nothing(site, alice):
    before = left(site)
    with held(site, alice):
        pass
    wait_until(lambda: left(site) == before)
    assert not Submission.objects.exists()


def test_a_body_without_a_length_is_refused_in_words(site, alice):
    headers = {**browser_headers(alice, None), "Transfer-Encoding": "chunked"}
    with closing(site.connect()) as connection:
        connection.sendall(request_head("POST", "/submit/dev/", headers) + b"5\r\nhello\r\n")
        status, _, text = answer_of(connection)
    assert status == 411
    assert "does not say how long it is" in text


def test_a_person_has_so_many_uploads_at_once_and_then_reads_what_to_do(site, alice):
    with held(site, alice), held(site, alice):
        status, head, text = upload(site, alice)
        assert status == 429
        assert "Retry-After: 60" in head
        assert "You have 2 uploads under way already" in text
    wait_until(lambda: upload(site, alice)[0] == 302)


def test_a_team_has_so_many_uploads_at_once(site, alice, bob):
    with held(site, alice), held(site, alice), held(site, bob):
        status, _, text = upload(site, bob)
        assert status == 429
        assert "Your team has 3 uploads under way already" in text


def test_more_uploads_than_the_server_takes_are_told_so_and_pages_and_hosts_do_not_notice(site, alice, bob):
    cast.host()
    rivals = cast.team_of(cast.person("Charlie"), cast.person("Dora"), name="Rivals")
    others = [session_of(membership.user) for membership in rivals.memberships.all()]
    with held(site, alice), held(site, alice), held(site, bob), held(site, others[0]):
        status, head, text = upload(site, others[1])
        assert status == 429
        assert "Retry-After" in head
        assert "receiving as many uploads as it can" in text
        said = b'{"version": "1", "slots": [], "engine": "29", "free_bytes": 1, "trouble": ""}'
        headers = {"Authorization": f"Bearer {cast.TOKEN}"}
        for answer in (
            site.ask("GET", "/"),
            site.ask("GET", "/healthz"),
            site.ask("GET", "/submit/dev/", headers=browser_headers(alice, None)),
            site.ask("POST", "/worker/v1/hello", said, headers),
        ):
            assert answer[0].status == 200


@pytest.mark.parametrize("path", ["/submit/dev/", "/uploads/1"])
def test_a_body_that_nobody_reads_and_that_never_comes_holds_no_page(site, alice, path):
    """As many as there are connections for one address, by every method but that of an upload."""
    with ExitStack() as slow:
        for method in ("GET", "PUT", "DELETE", "FOO") * 30:
            connection = slow.enter_context(closing(site.connect()))
            connection.sendall(request_head(method, path, browser_headers(alice, 10**8)) + b"a")
        for page in ("/", "/healthz", "/submit/dev/"):
            assert site.ask("GET", page, headers=browser_headers(alice, None))[0].status == 200


def test_an_encoding_that_there_is_not_is_refused_in_words(site):
    answer, content = site.ask("POST", "/theme/", b"--b--\r\n", {"Content-Type": "multipart/form-data; charset=rot13"})
    assert answer.status == 400
    assert "another encoding than UTF-8" in Page(content.decode()).text


def test_answers_of_the_api_come_whole_whatever_was_asked(site, team):
    """Links repeat a long address, quoted; a problem stands in the place of a page of another length."""
    _, token = tokens.issue(team.memberships.get(is_captain=True).user, name="a program", scopes=["read"])
    known = {"Authorization": f"Bearer {token}"}
    answer, _ = site.ask("GET", f"/api/v1/submissions?words={'%2525' * 700}", headers=known)
    assert (answer.status, len(answer.headers["Link"]) > 4096) == (200, True)
    answer, content = site.ask("DELETE", "/api/v1/me", headers=known)
    assert (answer.status, json.loads(content)["status"]) == (405, 405)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /team/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3000000\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nno header\r\n\r\n", 400),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 414),
    ],
    ids=["too large", "no header", "too long"],
)
def test_what_nginx_refuses_looks_like_the_site(site, request_, status):
    with closing(site.connect()) as connection:
        connection.sendall(request_)
        found, _, text = answer_of(connection)
    assert found == status
    assert "ReXGrounding Challenge" in text
