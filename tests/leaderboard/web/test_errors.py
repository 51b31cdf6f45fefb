"""What goes wrong looks like the site, and says whose fault it is."""

import pytest
from django.test import Client

from leaderboard.web import public
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db


def test_a_fault_of_the_server_is_named_as_ours(monkeypatch):
    monkeypatch.setattr(public, "timeline", lambda *_: 1 / 0)
    response = Client(raise_request_exception=False).get("/")
    assert response.status_code == 500
    assert "This is our fault" in page(response).text


def test_a_form_from_elsewhere_is_refused_in_plain_words():
    response = Client(enforce_csrf_checks=True).post("/account/login/", {"login": "alice"})
    assert response.status_code == 403
    assert "The form was out of date" in page(response).text


def test_a_request_that_is_too_large_gets_its_own_answer(client, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    response = client.post("/theme/", {"theme": "x" * 100})
    assert response.status_code == 413
    assert "too large" in page(response).text


def test_a_request_that_cannot_be_read_is_refused(client):
    response = client.get("/", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert "could not be read" in page(response).text


@pytest.mark.parametrize(
    "address",
    [
        "/team/join/a%00b/",
        "/leaderboard/?phase=%00&group=%00",
        "/leaderboard/test/?open=%00&page=%00&group=%00",
        f"/runs/{10**30}/",
        f"/runs/?page={10**30}",
        "/account/login/?next=%00%0d%0aX:%20y",
        "/rules/?next=//evil.example/%0d%0a",
        "/%ff%fe/%e2%80%ae",
    ],
)
def test_no_address_breaks_the_server(people, address):
    assert people.browser["Alice"].get(address).status_code in {200, 302, 400, 404}
