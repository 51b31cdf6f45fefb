"""Leaving a team, being removed, handing it over."""

import pytest

from leaderboard.core.refusal import Refused
from leaderboard.models import Membership, Submission, Team
from leaderboard.people import teams
from leaderboard.submissions import drafts
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db


def test_a_member_leaves_and_the_runs_stay_with_the_team(people):
    submission = cast.submit(people.team, cast.phase(), user=people.bob)
    response = people.browser["Bob"].post("/team/leave/", follow=True)
    assert "You left the team" in page(response).text
    assert people.bob.team is None
    assert people.browser["Bob"].get(f"/runs/{submission.pk}/").status_code == 404
    assert people.browser["Alice"].get(f"/runs/{submission.pk}/").status_code == 200
    assert Submission.objects.get().submitted_by == people.bob


def test_a_captain_hands_the_team_over_before_leaving_it(people):
    assert "Make somebody else captain" in page(people.browser["Alice"].post("/team/leave/", follow=True)).text
    people.browser["Alice"].post(f"/team/members/{people.bob.pk}/captain/")
    assert list(people.team.memberships.filter(is_captain=True).values_list("user", flat=True)) == [people.bob.pk]
    people.browser["Alice"].post("/team/leave/")
    assert people.alice.team is None


def test_a_team_that_never_submitted_ends_with_its_last_member(people):
    draft = drafts.begin(people.charlie, people.rivals, cast.phase(), {})
    left = people.browser["Charlie"].post("/team/leave/", follow=True)
    assert "delete them first" in page(left).text, "else files stay of each team that somebody founds and leaves"
    drafts.discard(draft)
    people.browser["Charlie"].post("/team/leave/")
    assert not Team.objects.filter(pk=people.rivals.pk).exists()
    assert teams.create_team(people.charlie, name="Rivals")


def test_the_last_member_of_a_team_that_submitted_cannot_found_the_next(people):
    cast.submit(people.rivals, cast.phase())
    assert "last member" in page(people.browser["Charlie"].post("/team/leave/", follow=True)).text
    assert people.charlie.team == people.rivals


def test_the_captain_removes_a_member_whose_link_is_then_useless(people):
    old = people.team.join_code
    people.browser["Alice"].post(f"/team/members/{people.bob.pk}/remove/")
    assert people.bob.team is None
    with pytest.raises(Refused, match="not valid any more"):
        teams.join_team(people.bob, old)


@pytest.mark.parametrize("act", ["remove", "captain"])
def test_only_the_captain_changes_members(people, act):
    response = people.browser["Bob"].post(f"/team/members/{people.alice.pk}/{act}/", follow=True)
    assert "Only the captain" in page(response).text
    assert Membership.objects.get(user=people.alice).is_captain


@pytest.mark.parametrize("act", ["remove", "captain"])
def test_a_captain_has_no_say_over_another_team_nor_over_oneself(people, act):
    for person in (people.charlie, people.alice):
        people.browser["Alice"].post(f"/team/members/{person.pk}/{act}/")
        assert Membership.objects.get(user=person).is_captain


@pytest.mark.parametrize("address", ["/team/leave/", "/team/members/1/remove/", "/team/members/1/captain/"])
def test_a_link_alone_changes_nothing(people, address):
    assert people.browser["Alice"].get(address).status_code == 405


def test_only_the_captain_is_offered_changes(people):
    assert page(people.browser["Alice"].get("/team/")).all("form", action=f"/team/members/{people.bob.pk}/remove/")
    assert not page(people.browser["Bob"].get("/team/")).all("form", action=f"/team/members/{people.bob.pk}/remove/")
    assert page(people.browser["Bob"].get("/team/")).all("form", action="/team/leave/")
