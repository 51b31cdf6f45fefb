"""The page by which anything is done at the desk: for organisers, shown before it is done, with a reason."""

from datetime import timedelta

import pytest

from leaderboard.board import versions
from leaderboard.models import AuditEntry, Host, Phase, Submission
from leaderboard.states import Role
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db


@pytest.fixture
def submission(people) -> Submission:
    return cast.submit_checked(people.team, cast.phase())


def as_role(people, role: str) -> None:
    people.olga.role, people.olga.is_staff, people.olga.is_superuser = role, True, False
    people.olga.save()


def test_what_it_changes_is_shown_before_it_is_done(people, submission):
    olga, address = people.browser["Olga"], f"/organisers/acts/disqualify-run/?on={submission.pk}"
    asked = page(olga.get(address)).text
    assert "Disqualify: " in asked
    assert 'name="do"' not in asked
    refused = olga.post(address, {"preview": "1"}).content.decode()
    assert "This field is required" in refused
    shown = olga.post(address, {"preview": "1", "why": "It reads the category alone."}).content.decode()
    assert "It reads the category alone." in shown
    assert 'name="do"' in shown
    assert Submission.objects.get().disqualified_at is None
    done = olga.post(address, {"do": "1", "why": "It reads the category alone.", "next": "/runs/"})
    assert (done.status_code, done["Location"]) == (302, "/runs/")
    assert Submission.objects.get().disqualified_reason == "It reads the category alone."
    assert AuditEntry.objects.get(action="disqualify").user_id == people.olga.pk


def test_many_things_at_once(people, submission):
    other = cast.submit_checked(people.rivals, submission.phase)
    address = f"/organisers/acts/cancel-run/?on={submission.pk}&on={other.pk}"
    assert "2 runs" in page(people.browser["Olga"].get(address)).text
    people.browser["Olga"].post(address, {"do": "1"})
    assert {one.stage for one in Submission.objects.all()} == {"cancelled"}


def test_the_name_is_typed_where_there_is_no_way_back(people, submission):
    opened = submission.phase.opens_at - timedelta(days=9)
    times = {"opens_at": opened, "closes_at": opened + timedelta(days=1), "revealed_at": opened + timedelta(days=2)}
    phase = cast.phase(submission.phase.case_set, slug="over", name="Old phase", **times)
    versions.make(phase.pk)
    address = f"/organisers/acts/archive-phase/?on={phase.slug}"
    sent = {"do": "1", "why": "It is over."}
    refused = people.browser["Olga"].post(address, {**sent, "confirmed": "Old"}).content.decode()
    assert "Type exactly: Phase Old phase" in refused or "Type exactly: Old phase" in refused
    phase.refresh_from_db()
    assert phase.archived_at is None
    people.browser["Olga"].post(address, {**sent, "confirmed": str(phase)})
    phase.refresh_from_db()
    assert phase.archived_at


def test_of_what_has_no_way_back_one_name_does_not_stand_for_two(people, submission):
    cast.phase(submission.phase.case_set, slug="other", name="Other phase")
    address = f"/organisers/acts/archive-phase/?on={submission.phase.slug}&on=other"
    assert people.browser["Olga"].get(address).status_code == 404


def test_a_viewer_reads_the_desk_and_changes_nothing(people, host_of_desk):
    as_role(people, Role.VIEWER)
    viewer = people.browser["Olga"]
    assert "Desk" in page(viewer.get("/organisers/")).text
    assert viewer.get("/organisers/acts/drain-host/?on=gpu-1").status_code == 404
    assert viewer.post("/organisers/acts/drain-host/?on=gpu-1", {"do": "1"}).status_code == 403
    assert not Host.objects.get().draining


@pytest.fixture
def host_of_desk() -> Host:
    return cast.host()


def test_for_everybody_else_there_is_no_desk(people, submission):
    for path in ("/organisers/", "/organisers/panel/", f"/organisers/acts/cancel-run/?on={submission.pk}"):
        assert people.browser["Alice"].get(path).status_code == 404


@pytest.mark.parametrize("on", ["", "?on=999", "?on=x", "?on=99999999999999999999999"])
def test_what_is_not_there_is_not_found(people, on):
    assert people.browser["Olga"].get(f"/organisers/acts/cancel-run/{on}").status_code == 404
    assert people.browser["Olga"].get(f"/organisers/acts/no-such-act/{on}").status_code == 404


def test_what_waits_for_a_person_stands_on_the_first_page_with_its_acts(people, submission):
    Phase.objects.update(closes_at=submission.phase.closes_at + timedelta(days=9))  # or it would close unready
    assert "Nothing needs a" in page(people.browser["Olga"].get("/organisers/")).text
    submission.runs.update(state="halted", retry_at=None, reason_code="host_lost")
    assert "1 thing needs a person" in page(people.browser["Olga"].get("/organisers/")).text
    acted = f"/organisers/acts/go-on/?on={submission.pk}"
    assert acted in people.browser["Olga"].get("/organisers/").content.decode()
    as_role(people, Role.VIEWER)
    assert acted not in people.browser["Olga"].get("/organisers/").content.decode()
