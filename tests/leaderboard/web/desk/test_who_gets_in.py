"""Guessed addresses of the desk, forged requests, ways back to elsewhere, and roles that were taken away meanwhile."""

import re
from collections.abc import Iterator

import pytest
from django.test import Client

from leaderboard.models import Announcement, AuditEntry, Host
from leaderboard.people import roles
from leaderboard.web.desk import urls
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
DRAIN = "/organisers/acts/drain-host/?on=gpu-1"


def addresses() -> Iterator[str]:
    """Every address of the desk, with something in each place."""
    for one in urls.urlpatterns:
        filled = re.sub(r"<int:\w+>", "1", str(one.pattern))
        yield "/organisers/" + re.sub(r"<slug:\w+>", "csv" if "record." in filled else "x", filled)


def asked(browser: Client) -> set[tuple[int, str]]:
    """What each address answers to each method: the status, and whereto it leads."""
    answers = [browser.generic(method, path) for path in addresses() for method in METHODS]
    return {(one.status_code, one.get("Location", "").partition("?")[0]) for one in answers}


def test_for_who_has_no_role_there_is_no_address(people):
    assert asked(people.browser["Alice"]) == {(404, ""), (405, "")}


def test_strangers_sign_in_first(people):
    assert asked(Client()) == {(302, "/account/login/"), (405, "")}


def test_whose_role_was_taken_away_is_out_with_the_next_request(people):
    """With a session that goes on, and with a page that was open."""
    cast.host()
    olga = people.browser["Olga"]
    assert olga.get("/organisers/").status_code == 200
    roles.set_role(people.olga, by=cast.OPERATOR, why="The challenge is over.", role="none")
    assert asked(olga) == {(404, ""), (405, "")}
    assert olga.post(DRAIN, {"do": "1"}).status_code == 404
    assert olga.get("/admin/").status_code == 302
    assert not Host.objects.get().draining


@pytest.mark.parametrize("path", [DRAIN, "/organisers/messages/new/", "/organisers/record/record.csv"])
def test_a_request_that_comes_from_elsewhere_is_refused(people, path):
    cast.host()
    before = AuditEntry.objects.count()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(people.olga)
    words = {"do": "1", "subject": "x", "body": "x", "level": "idle", "audience": "all", "by_mail": "on"}
    assert browser.post(path, words, headers={"Origin": "https://elsewhere.example"}).status_code == 403
    assert AuditEntry.objects.count() == before
    assert not Announcement.objects.exists()


@pytest.mark.parametrize(
    "elsewhere",
    [
        *("https://elsewhere.example/", "//elsewhere.example/", "///elsewhere.example/", "\\\\elsewhere.example/"),
        *("javascript:alert(1)", "/\\elsewhere.example", "http:elsewhere.example", "\x01//elsewhere.example/"),
    ],
)
def test_no_way_back_leads_elsewhere(people, elsewhere):
    cast.host()
    olga = people.browser["Olga"]
    looked = olga.post(f"{DRAIN}&next={elsewhere}", {"preview": "1", "next": elsewhere})
    assert "elsewhere.example" not in str(page(looked).all("a"))
    assert "alert(1)" not in str(page(looked).all("a"))
    done = olga.post(DRAIN, {"do": "1", "next": elsewhere}, headers={"Referer": elsewhere})
    assert done["Location"].startswith("/organisers/")
