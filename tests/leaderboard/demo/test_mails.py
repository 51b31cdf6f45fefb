"""The page of ./dev with everybody's messages."""

from types import SimpleNamespace

import pytest
from django.urls import path

from leaderboard.core import outbox
from leaderboard.demo.mails import MOST_SHOWN, mail, mails
from leaderboard.urls import urlpatterns as usual
from leaderboard.web.context import Frame
from tests.leaderboard.web.scene import page
from tests.mail_server import mail_server
from tests.outbox import send_to

pytestmark = pytest.mark.django_db
urlpatterns = [
    *usual,
    path("demo/mails/", mails, name="demo_mails"),
    path("demo/mails/<str:name>/", mail, name="demo_mail"),
]


@pytest.fixture
def shown(settings, tmp_path, monkeypatch):
    """A server as ./dev starts it, with a real mail server whose messages it shows."""
    settings.ROOT_URLCONF = __name__
    settings.SHOWN_MAILS_DIR = str(tmp_path / "mails")
    monkeypatch.setattr(Frame, "shows_mails", True)
    with mail_server(tmp_path / "mails") as server:
        send_to(server, settings)
        yield SimpleNamespace(folder=tmp_path / "mails" / "new")


def test_who_registers_is_led_to_the_message_and_by_it_into_the_site(shown, client):
    words = {"name": "Dora", "email": "dora@example.org", "password1": "a long enough secret"}
    assert page(client.get("/account/signup/")).all("a", href="/demo/mails/")
    sent = client.post("/account/signup/", {**words, "password2": words["password1"]}, follow=True)
    assert page(sent).all("a", href="/demo/mails/")
    outbox.send_due()
    (link,) = [one["href"] for one in page(client.get("/demo/mails/")).all("a") if "confirm-email" in str(one["href"])]
    (looks,) = [one["href"] for one in page(client.get("/demo/mails/")).all("a") if "/demo/mails/1" in str(one["href"])]
    html = client.get(looks)
    assert page(html).all("a", href=f"http://testserver{str(link).removeprefix('http://testserver')}")
    assert html["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'; sandbox")
    assert client.get("/demo/mails/..%2F..%2Fsecret/").status_code == 404
    client.post(link)
    assert client.get("/team/").status_code == 200


def test_a_message_is_shown_as_words(shown, client):
    shown.folder.mkdir(parents=True, exist_ok=True)
    hostile = "<script>alert(1)</script>"
    (shown.folder / "1").write_text(f"To: a@example.org\nSubject: {hostile}\n\n{hostile}\n")
    (shown.folder / "2").write_bytes(b"\xff\xfe not even a message")
    found = client.get("/demo/mails/")
    assert found.status_code == 200
    assert page(found).scripts == []
    assert hostile in page(found).text


def test_only_the_latest_are_shown(shown, client):
    shown.folder.mkdir(parents=True, exist_ok=True)
    for number in range(MOST_SHOWN + 5):
        (shown.folder / str(number)).write_text(f"To: a@example.org\nSubject: number {number}\n\n")
    assert len(page(client.get("/demo/mails/")).all("article")) == MOST_SHOWN


def test_elsewhere_there_is_no_such_page_and_no_way_to_it(client):
    assert client.get("/demo/mails/").status_code == 404
    assert "demo/mails" not in client.get("/account/signup/").content.decode()
