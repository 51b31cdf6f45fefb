"""Teams and people at the desk: found, looked at, acted on by who may; stated to the team who sees its image."""

import pytest
from allauth.account.models import EmailAddress

from leaderboard.core import clock, refusals
from leaderboard.journey import decisions
from leaderboard.models import LikelyDouble, Membership, Team, TeamApproval, User
from leaderboard.states import Role
from tests.leaderboard import cast
from tests.leaderboard.web.scene import HOSTILE, page

pytestmark = pytest.mark.django_db
OTHERS = ("/organisers/teams/", "/organisers/teams/doubles/", "/organisers/people/", "/organisers/messages/")


@pytest.fixture
def olga(people):
    return people.browser["Olga"]


def names(olga, query: str) -> set[str]:
    text = page(olga.get(f"/organisers/teams/?{query}")).text
    return {team.name for team in Team.objects.all() if team.name in text}


@pytest.mark.parametrize("path", OTHERS)
def test_for_teams_there_are_no_such_pages(people, path):
    assert people.browser["Alice"].get(path).status_code == 404
    assert people.browser["Olga"].get(path).status_code == 200


def test_teams_are_found_by_words_phase_and_what_they_are(people, olga):
    phase = cast.phase(requires_approval=True)
    TeamApproval.objects.create(team=people.rivals, phase=phase, asked_at=clock.now())
    cast.team_of(cast.person("Dora"), name="Third")
    EmailAddress.objects.filter(user__name="Dora").update(verified=False)
    assert names(olga, "") == {"Alice and Bob", "Rivals", "Third"}
    assert names(olga, "words=bob@") == {"Alice and Bob"}
    assert names(olga, "state=waiting") == {"Rivals"}
    assert names(olga, "state=unconfirmed") == {"Third"}
    assert names(olga, "state=organisers") == set()
    open_phase = cast.phase(people.team and cast.case_set(name="more"), slug="more")
    cast.submit(people.team, open_phase)
    assert names(olga, "phase=more") == {"Alice and Bob"}
    assert names(olga, "state=disqualified") == set()
    people.team.submissions.update(disqualified_at=clock.now())
    assert names(olga, "state=disqualified") == {"Alice and Bob"}
    decisions.disqualify_team(people.rivals, phase=phase, by=cast.OPERATOR, why="Two accounts.")
    assert names(olga, "state=disqualified") == {"Alice and Bob", "Rivals"}


def test_of_disqualifying_and_reinstating_a_team_only_what_applies_is_offered(people, olga):
    phase = cast.phase()
    cast.submit(people.rivals, phase)
    page_of, asked = "/organisers/teams/of/rivals/", "/organisers/acts/{}/?on=rivals&phase=test"
    offered = {one["href"] for one in page(olga.get(page_of)).all("a")}
    assert asked.format("disqualify-team") in offered
    assert asked.format("reinstate-team") not in offered
    decisions.disqualify_team(people.rivals, phase=phase, by=cast.OPERATOR, why="Two accounts.")
    shown = page(olga.get(page_of))
    offered = {one["href"] for one in shown.all("a")}
    assert asked.format("reinstate-team") in offered
    assert asked.format("disqualify-team") not in offered
    assert "Two accounts." in shown.text


def test_a_team_is_approved_from_the_first_page(people, olga):
    phase = cast.phase(requires_approval=True)
    approval = TeamApproval.objects.create(team=people.rivals, phase=phase, asked_at=clock.now())
    act = f"/organisers/acts/approve-team/?on={approval.pk}"
    assert act in olga.get("/organisers/").content.decode()
    assert act in olga.get("/organisers/teams/of/rivals/").content.decode()
    olga.post(act, {"do": "1"})
    approval.refresh_from_db()
    assert approval.state == "approved"
    assert act not in olga.get("/organisers/").content.decode()


def test_a_page_of_a_team_says_what_organisers_have_to_know(people, olga):
    User.objects.filter(pk=people.alice.pk).update(name=HOSTILE + " A")
    refusals.note("alice@example.org", "550 no such user", clock.now())
    cast.submit(people.team, cast.phase())
    shown = page(olga.get("/organisers/teams/of/alice-and-bob/"))
    assert "Refused by its mail server" in shown.text
    assert "1 run" in shown.text
    assert "No page hands out an image" in shown.text
    assert not shown.scripts
    member = Membership.objects.get(user=people.bob)
    assert f"/organisers/acts/make-captain/?on={member.pk}" in olga.get("/organisers/teams/of/alice-and-bob/").text


def test_a_viewer_reads_it_all_and_is_offered_nothing(people, olga):
    User.objects.filter(pk=people.olga.pk).update(role=Role.VIEWER)
    shown = olga.get("/organisers/teams/of/alice-and-bob/").content.decode()
    assert "/organisers/acts/" not in shown
    assert olga.get("/organisers/messages/new/").status_code == 404


def test_a_team_that_no_mail_reaches_is_told_to_a_person(people, olga):
    refusals.note("charlie@example.org", "550 no such user", clock.now())
    refusals.note("alice@example.org", "550 no such user", clock.now())
    text = page(olga.get("/organisers/")).text
    assert "Rivals can’t be reached" in text
    assert "Alice and Bob can’t be reached" not in text, "Bob reads his mail"


def test_two_teams_stand_side_by_side_and_are_settled(people, olga):
    first, second = sorted((people.team, people.rivals), key=lambda team: team.pk)
    double = LikelyDouble.objects.create(first=first, second=second, weight=5, found_at=clock.now())
    assert "have more in common than chance gives" in page(olga.get("/organisers/")).text
    shown = page(olga.get(f"/organisers/teams/doubles/{double.pk}/")).text
    assert "alice@example.org" in shown
    assert "charlie@example.org" in shown
    olga.post(f"/organisers/acts/not-a-double/?on={double.pk}", {"do": "1", "why": "Two cities."})
    assert "Two cities." in page(olga.get(f"/organisers/teams/doubles/{double.pk}/")).text
    assert "have more in common" not in page(olga.get("/organisers/")).text


def test_people_are_found_and_what_goes_and_stays_is_said(people, olga):
    assert "Charlie" not in page(olga.get("/organisers/people/?words=bob@")).text
    shown = page(olga.get(f"/organisers/people/{people.bob.pk}/")).text
    assert "With the account go: API tokens" in shown
    assert "what a team submitted" in shown


def test_an_export_and_a_deletion_ask_once_more_who_it_is(people, olga):
    address = f"/organisers/acts/export-person/?on={people.bob.pk}"
    asked = olga.post(address, {"do": "1", "why": "Bob asked."})
    assert asked.status_code == 302
    assert "/reauthenticate/" in asked["Location"]
    olga.post(asked["Location"], {"password": "correct horse"})
    done = olga.post(address, {"do": "1", "why": "Bob asked."})
    assert done["Content-Type"] == "application/json"
    assert done.json()["account"]["email"] == "bob@example.org"
    gone = f"/organisers/acts/delete-person/?on={people.bob.pk}"
    olga.post(gone, {"do": "1", "why": "Bob asked.", "confirmed": "Bib"})
    assert User.objects.filter(pk=people.bob.pk).exists()
    olga.post(gone, {"do": "1", "why": "Bob asked.", "confirmed": "Bob"})
    assert not User.objects.filter(pk=people.bob.pk).exists()


def test_the_team_reads_who_sees_its_image(people):
    cast.phase()
    for path in ("/team/", "/submit/test/"):
        assert "who sees it" in page(people.browser["Alice"].get(path)).text
