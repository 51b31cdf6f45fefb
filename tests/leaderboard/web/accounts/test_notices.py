"""Choosing notices; stopping them by a link, which nobody can forge; confirming a refused address again."""

import re
from urllib.parse import urlsplit

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from leaderboard.core import clock, outbox, refusals
from leaderboard.models import NoticeKind, OutgoingMail
from leaderboard.notices import choices, links, writing
from leaderboard.notices.recipients import Recipient
from tests.leaderboard import cast
from tests.leaderboard.web.accounts.conftest import confirm_it_is_you
from tests.mail_server import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice():
    return cast.person("Alice")


@pytest.fixture
def browser(alice):
    client = Client()
    client.force_login(alice)
    return client


def notice_to(user, kind: NoticeKind = NoticeKind.RUNS) -> None:
    writing.write(writing.Notice(kind, "A subject", ["Words."], "of a test"), [Recipient(user.pk, user.email)])


def path_of(url: str) -> str:
    return urlsplit(url).path


def test_kinds_are_chosen_on_a_page(alice, browser):
    assert browser.get("/account/notices/").content.decode().count("checked") == len(NoticeKind)
    browser.post("/account/notices/", {"kind": ["runs", "nothing"]})
    assert choices.wanted_by(alice) == {NoticeKind.RUNS}
    assert browser.get("/account/notices/").content.decode().count("checked") == 1


def test_a_mail_program_stops_a_kind_with_one_request_and_without_a_session(alice, mails):
    notice_to(alice)
    (message,) = mails.messages(alice.email)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    header = message["List-Unsubscribe"].strip()
    assert re.fullmatch(r"<http\S+>", header)
    stop = path_of(header[1:-1])
    assert stop in text_of(message)
    program = Client(enforce_csrf_checks=True)
    assert program.get(stop).status_code == 200
    assert choices.wanted_by(alice) == set(NoticeKind), "a look changes nothing"
    assert program.post(stop, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert choices.wanted_by(alice) == set(NoticeKind) - {NoticeKind.RUNS}
    assert "any more" in program.get(stop).content.decode()
    program.post(stop, {"again": "1"})
    assert choices.wanted_by(alice) == set(NoticeKind)


def test_what_waits_of_a_kind_that_is_stopped_is_not_sent(alice, mails):
    notice_to(alice)
    notice_to(alice, NoticeKind.DEADLINES)
    Client().post(path_of(links.stop_url(alice.pk, NoticeKind.RUNS)))
    assert len(mails.messages(alice.email)) == 1
    ended = OutgoingMail.objects.filter(kind="runs").values_list("state", "body", "unsubscribe")
    assert list(ended) == [("given_up", "", "")]


def test_what_waits_for_an_address_that_is_removed_is_not_sent(alice, browser, mails):
    notice_to(alice)
    EmailAddress.objects.filter(user=alice).update(primary=False)
    EmailAddress.objects.create(user=alice, email="new@example.org", primary=True, verified=True)
    confirm_it_is_you(browser)
    browser.post("/account/email/", {"email": alice.email, "action_remove": ""})
    assert not EmailAddress.objects.filter(email=alice.email).exists()
    assert mails.messages(alice.email) == []


def test_nobody_forges_a_link(alice):
    bob = cast.person("Bob")
    good = path_of(links.stop_url(bob.pk, NoticeKind.RUNS))
    others = [
        good.replace(f"/{bob.pk}-", f"/{alice.pk}-"),
        good.replace("-runs.", "-deadlines."),
        good[:-2] + "x/",
        good.split(".")[0] + "/",
        "/account/notices/stop/0-runs.x/",
    ]
    for path in others:
        assert Client().post(path).status_code == 404, path
    assert choices.wanted_by(alice) == choices.wanted_by(bob) == set(NoticeKind)
    bob.delete()
    assert Client().post(good).status_code == 404


def test_a_refused_address_is_shown_and_confirmed_again_by_a_message_that_arrives(alice, browser, mails, admin_client):
    cast.team_of(alice)
    refusals.note(alice.email, "550 5.1.1 No such user", clock.now())
    for page in ("/account/notices/", "/account/email/", "/team/"):
        assert "efuse" in browser.get(page).content.decode(), page
    assert "No such user" in admin_client.get("/admin/leaderboard/refusedaddress/").content.decode()
    browser.post("/account/email/", {"action_send": "", "email": alice.email})
    link = mails.link(alice.email)
    assert link.startswith("/account/email/works/")
    assert Client().post(f"{link[:-3]}xx/").status_code == 404
    assert Client().get(link).status_code == 200
    assert refusals.refused_among([alice.email]), "a look changes nothing"
    Client().post(link)
    assert not refusals.refused_among([alice.email])
    assert "efuse" not in browser.get("/team/").content.decode()


def test_an_address_that_was_never_confirmed_is_good_again_once_it_is(mails):
    alice = cast.person("Alice", confirmed=False)
    refusals.note(alice.email, "550 gone", clock.now())
    address = EmailAddress.objects.create(user=alice, email=alice.email, primary=True)
    client = Client()
    client.force_login(alice)
    client.post("/account/email/", {"action_send": "", "email": address.email})
    client.post(mails.link(alice.email))
    assert not refusals.refused_among([alice.email])
    outbox.send_due()
