"""Leaving a team, being removed, handing it over: what is asked, recorded, and told by mail."""

import pytest

from leaderboard.core.refusal import Refused
from leaderboard.models import AuditEntry, Handover, Membership, OutgoingMail, Submission, Team, User
from leaderboard.people import captaincy, teams
from leaderboard.submissions import drafts
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db


def captain_of(team: Team) -> User:
    return team.memberships.get(is_captain=True).user


def mails_to(email: str) -> list[str]:
    """The subjects, without what each begins with."""
    sent = OutgoingMail.objects.filter(to=email).order_by("pk").values_list("subject", flat=True)
    return [subject.removeprefix("ReXGrounding Challenge: ") for subject in sent]


def test_a_member_leaves_and_the_runs_stay_with_the_team(people):
    submission = cast.submit(people.team, cast.phase(), user=people.bob)
    response = people.browser["Bob"].post("/team/leave/", follow=True)
    assert "You left the team" in page(response).text
    assert people.bob.team is None
    assert people.browser["Bob"].get(f"/runs/{submission.pk}/").status_code == 404
    assert people.browser["Alice"].get(f"/runs/{submission.pk}/").status_code == 200
    assert Submission.objects.get().submitted_by == people.bob


def test_a_captain_hands_the_team_over_before_leaving_it(people):
    alice, bob = people.browser["Alice"], people.browser["Bob"]
    assert "Hand the team over before you leave" in page(alice.post("/team/leave/", follow=True)).text
    assert "Bob is asked to accept" in page(alice.post(f"/team/members/{people.bob.pk}/captain/", follow=True)).text
    assert captain_of(people.team) == people.alice
    assert "asks you to be the captain" in page(bob.get("/team/")).text
    assert mails_to("bob@example.org") == ["Alice wants to hand the team “Alice and Bob” over to you"]
    bob.post("/team/captain/", {"answer": "accept"})
    assert captain_of(people.team) == people.bob
    assert mails_to("alice@example.org") == ["Bob is the captain of the team “Alice and Bob”"]
    alice.post("/team/leave/")
    assert people.alice.team is None
    assert mails_to("bob@example.org")[-1] == "Alice has left the team “Alice and Bob”"


@pytest.mark.parametrize(("who", "answer"), [("Alice", "take-back"), ("Bob", "decline")])
def test_until_it_is_accepted_there_is_a_way_back(people, who, answer):
    captaincy.offer(people.alice, people.team, people.bob.pk)
    people.browser[who].post("/team/captain/", {"answer": answer})
    late = people.browser["Bob"].post("/team/captain/", {"answer": "accept"}, follow=True)
    assert "Nobody hands the team over at present" in page(late).text
    assert captain_of(people.team) == people.alice
    captaincy.offer(people.alice, people.team, people.bob.pk)


def test_only_whom_it_was_offered_to_can_accept(people):
    dora = cast.person("Dora")
    teams.join_team(dora, people.team.join_code)
    captaincy.offer(people.alice, people.team, people.bob.pk)
    for person in (dora, people.alice):
        with pytest.raises(Refused, match="Nobody hands"):
            captaincy.accept(person, people.team)
    people.browser["Charlie"].post("/team/captain/", {"answer": "accept"})
    assert captain_of(people.team) == people.alice
    assert captain_of(people.rivals) == people.charlie
    teams.leave_team(people.bob, people.team)
    assert not Handover.objects.exists(), "who comes back is not the captain by an old offer"


def test_an_organiser_can_set_a_captain(people):
    captaincy.offer(people.alice, people.team, people.bob.pk)
    form = {"name": people.team.name, "slug": people.team.slug, "captain": people.bob.pk, "why": "Alice is away."}
    form |= {f"memberships-{field}": "2" for field in ("TOTAL_FORMS", "INITIAL_FORMS")} | {"join_link_is_on": "on"}
    for number, row in enumerate(people.team.memberships.order_by("pk")):
        form |= {f"memberships-{number}-id": row.pk, f"memberships-{number}-team": people.team.pk}
        form |= {f"memberships-{number}-user": row.user_id}
    people.olga.is_superuser = True
    people.olga.save()
    address = f"/admin/leaderboard/team/{people.team.pk}/change/"
    assert people.browser["Olga"].post(address, {**form, "captain": people.charlie.pk}).status_code == 200
    assert people.browser["Olga"].post(address, form).status_code == 302
    assert captain_of(people.team) == people.bob
    assert not Handover.objects.exists()
    entry = AuditEntry.objects.get(action="make captain")
    assert (entry.by, entry.why, entry.before["captain"]) == ("Olga", "Alice is away.", "Alice")
    assert mails_to("alice@example.org") == ["Bob is the captain of the team “Alice and Bob”"]


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
    old, remove = people.team.join_code, f"/team/members/{people.bob.pk}/remove/"
    assert "Say why" in page(people.browser["Alice"].post(remove, {"why": " \u200e"}, follow=True)).text
    assert people.bob.team == people.team
    people.browser["Alice"].post(remove, {"why": "You left the\x1b[31m lab.\n\n-- \n\nConfirm: http://x"})
    assert people.bob.team is None
    with pytest.raises(Refused, match="not valid any more"):
        teams.join_team(people.bob, old)
    assert AuditEntry.objects.latest("pk").why == "You left the lab.\n\n-- \n\nConfirm: http://x"
    told = OutgoingMail.objects.get(to="bob@example.org")
    assert "The reason: You left the lab. -- Confirm: http://x\n" in told.body, "nothing looks like words of ours"


@pytest.mark.parametrize("act", ["remove", "captain"])
def test_only_the_captain_changes_members(people, act):
    response = people.browser["Bob"].post(f"/team/members/{people.alice.pk}/{act}/", {"why": "So."}, follow=True)
    assert "Only the captain" in page(response).text
    assert Membership.objects.get(user=people.alice).is_captain


@pytest.mark.parametrize("act", ["remove", "captain"])
def test_a_captain_has_no_say_over_another_team_nor_over_oneself(people, act):
    for person, status in ((people.charlie, 404), (people.alice, 302)):
        answer = people.browser["Alice"].post(f"/team/members/{person.pk}/{act}/", {"why": "So."})
        assert answer.status_code == status
        assert Membership.objects.get(user=person).is_captain


@pytest.mark.parametrize(
    "address", ["leave", "captain", "invitations", "members/1/remove", "members/1/captain", "approvals/test"]
)
def test_a_link_alone_changes_nothing(people, address):
    assert people.browser["Alice"].get(f"/team/{address}/").status_code == 405


def test_only_the_captain_is_offered_changes(people):
    assert page(people.browser["Alice"].get("/team/")).all("form", action=f"/team/members/{people.bob.pk}/remove/")
    assert not page(people.browser["Bob"].get("/team/")).all("form", action=f"/team/members/{people.bob.pk}/remove/")
    assert page(people.browser["Bob"].get("/team/")).all("form", action="/team/leave/")
