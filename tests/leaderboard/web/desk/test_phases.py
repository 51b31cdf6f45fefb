"""The phases at the desk: over time, made, copied."""

from datetime import timedelta

import pytest

from leaderboard.core import clock
from leaderboard.models import Phase
from leaderboard.states import Role
from tests.leaderboard import cast
from tests.leaderboard.web.scene import HOSTILE, page

pytestmark = pytest.mark.django_db
ADDRESS = "/organisers/phases/"


def test_all_phases_stand_in_the_list_with_what_is_not_set(people):
    phase = cast.phase(name=HOSTILE[:60])
    cast.submit_checked(people.team, phase)
    cast.phase(phase.case_set, slug="draft", is_draft=True)
    shown = page(people.browser["Olga"].get(ADDRESS))
    assert not shown.scripts
    for word in ("Open", "Draft", "reveal", "try-outs"):
        assert word in shown.text
    assert shown.all("a", href=f"{ADDRESS}{phase.slug}/")
    assert shown.all("rect", class_="bar live")


def test_a_phase_is_made_of_a_template_and_copied(people):
    olga = people.browser["Olga"]
    cast.case_set(name="validation-200")
    assert "Development phase" in page(olga.get(f"{ADDRESS}new/")).text
    sent = {"made_of": "template:development", "name": "Development", "slug": "development", "cases": ""}
    assert "Choose the cases" in olga.post(f"{ADDRESS}new/", sent).content.decode()
    made = olga.post(f"{ADDRESS}new/", {**sent, "cases": "validation-200"})
    assert made["Location"] == f"{ADDRESS}development/"
    again = {"made_of": "copy:development", "name": "Second", "slug": "second"}
    assert olga.post(f"{ADDRESS}new/", again)["Location"] == f"{ADDRESS}second/"
    assert "already exists" in olga.post(f"{ADDRESS}new/", again).content.decode()
    assert [one.is_draft for one in Phase.objects.all()] == [True, True]
    assert people.browser["Alice"].get("/leaderboard/development/").status_code == 404


def test_viewers_read_and_make_nothing(people):
    people.olga.role, people.olga.is_staff, people.olga.is_superuser = Role.VIEWER, True, False
    people.olga.save()
    cast.phase()
    viewer = people.browser["Olga"]
    assert "Make a phase" not in page(viewer.get(ADDRESS)).text
    assert viewer.get(f"{ADDRESS}new/").status_code == 404
    assert viewer.post(f"{ADDRESS}test/", {"runs_per_day": "9", "keep": "1"}).status_code == 403
    shown = page(viewer.get(f"{ADDRESS}test/?edit=runs_per_day"))
    assert "Runs a day" in shown.text
    assert not shown.all("input", name="runs_per_day")
    assert people.browser["Alice"].get(ADDRESS).status_code == 404
    assert people.browser["Alice"].get(f"{ADDRESS}test/").status_code == 404


def test_states_of_a_phase(people):
    now = clock.now()
    phase = cast.phase(opens_at=now - timedelta(days=9), closes_at=now - timedelta(days=1))
    for fields, word in (
        ({}, "Closed, not revealed"),
        ({"revealed_at": now - timedelta(hours=1)}, "Over"),
        ({"archived_at": now}, "Archived"),
    ):
        Phase.objects.filter(pk=phase.pk).update(**fields)
        assert word in page(people.browser["Olga"].get(ADDRESS)).text
