"""The desk's page of the record in a real browser: as wide as the screen, searched and taken along without a script."""

import json

import pytest
from django.db import transaction
from playwright.sync_api import ViewportSize, expect

from leaderboard.core import audit, verification
from leaderboard.core.audit import Actor
from leaderboard.states import Role
from tests.browser.conftest import PHONE, WIDE
from tests.leaderboard import cast

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SMALL: ViewportSize = {"width": 320, "height": 640}
SCREENS = pytest.mark.parametrize("viewport", [SMALL, PHONE, WIDE], ids=["small", "phone", "desk"])


@pytest.fixture
def olga():
    olga = cast.person("Olga", is_staff=True, role=Role.ORGANISER)
    team = cast.team_of(cast.person("Alice"), name="The Joint Laboratory of Very Long Names and Sentences")
    with transaction.atomic():
        for number in range(40):
            states = {"runs_per_day": number, "digest": "sha256:" + "0" * 64}, {"runs_per_day": number + 1}
            before, after = states if number % 2 else ({}, {})
            audit.record(Actor.person(olga), "change phase", team, before=before, after=after, why="A holiday. " * 9)
    verification.verify_all()
    return olga


@SCREENS
def test_it_is_read_and_searched_on_every_screen(visit, olga, viewport):
    visitor = visit(olga, viewport, java_script_enabled=False)
    page = visitor.go("/organisers/record/")
    expect(page.get_by_text("Chain unbroken")).to_be_visible()
    assert visitor.is_as_wide_as_the_screen()
    page.get_by_label("Words").fill("holiday")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", name="40 entries")).to_be_visible()
    page.get_by_role("link", name="After").click()
    expect(page.get_by_text("Page 2 of 2")).to_be_visible()
    assert "words=holiday" in page.url
    assert visitor.is_as_wide_as_the_screen()


def test_what_was_found_is_taken_along(visit, olga):
    page = visit(olga, PHONE).go("/organisers/record/?action=create+team")
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    [entry] = json.loads(download.value.path().read_text())
    assert entry["action"] == "create team"
