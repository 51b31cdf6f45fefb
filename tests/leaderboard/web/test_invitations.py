"""Invitations to a team by mail: who says what to whom, whom a link lets in, and what a rival learns (nothing)."""

import re
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db.models import F
from django.test import Client

from leaderboard.core import outbox
from leaderboard.core.refusal import Refused
from leaderboard.models import AuditEntry, Invitation, Membership, OutgoingMail, Throttle
from leaderboard.people import invitations, teams
from tests.leaderboard import cast
from tests.leaderboard.web.scene import HOSTILE, page

pytestmark = pytest.mark.django_db

EVE = "eve@example.org"


def link_in(mail: OutgoingMail) -> str:
    return re.findall(r"http://\S+?(/team/invitation/\S+)", mail.body)[0]


def mails_to(email: str) -> list[OutgoingMail]:
    return list(OutgoingMail.objects.filter(to=email).order_by("pk"))


def invited(people, email: str = EVE) -> str:
    """The link of the message."""
    sent = people.browser["Alice"].post("/team/invitations/", {"email": email}, follow=True)
    assert f"An invitation to {email} is on its way." in page(sent).text
    return link_in(mails_to(email)[-1])


def test_message_and_page_say_who_invites_to_what_before_anybody_signs_in(people, client):
    people.team.affiliation = "Institute A"
    people.team.save()
    link = invited(people)
    mail = mails_to(EVE)[0]
    assert mail.subject == "ReXGrounding Challenge: Alice invites you to the team “Alice and Bob”"
    for words in ("Alice invites you", "“Alice and Bob” (Institute A)", "sees all of the team’s runs"):
        assert words in mail.body
    answer = client.get(link)
    shown = page(answer)
    assert answer.status_code == 200
    for words in ("Join Alice and Bob?", "Alice invites you", "Institute A", "sees all of the team’s runs"):
        assert words in shown.text
    assert shown.all("a", href=f"/account/signup/?next={link}")
    assert len(shown.all("a", href=f"/account/login/?next={link}")) == 2, "the head of the page leads back, too"
    assert "no-store" in answer["Cache-Control"]


def test_the_invitation_survives_registering_on_the_way(people, client):
    link = invited(people)
    secret = "a long enough secret"
    words = {"name": "Eve", "email": EVE, "password1": secret, "password2": secret, "next": link}
    client.post("/account/signup/", words)
    confirm = re.findall(r"http://\S+?(/account/\S+)", mails_to(EVE)[-1].body)[0]
    assert client.post(confirm)["Location"] == link
    assert "Join Alice and Bob?" in page(client.get(link)).text
    assert client.post(link)["Location"] == "/team/"
    assert Membership.objects.get(user__email=EVE).team == people.team
    assert [mail.subject for mail in mails_to("bob@example.org")] == [
        "ReXGrounding Challenge: Eve has joined the team “Alice and Bob”"
    ]
    assert Invitation.objects.get(accepted_by__email=EVE).state == "accepted"


def test_a_link_binds_one_person_with_a_confirmed_address_whatever_address_that_is(people):
    link = invited(people)
    token = link.split("/")[-2]
    with pytest.raises(Refused, match="Confirm your email address"):
        invitations.accept(cast.person("Mallory", confirmed=False), token)
    dora = cast.person("Dora")
    invitations.accept(dora, token)
    assert dora.team == people.team
    with pytest.raises(Refused, match="not valid"):
        invitations.accept(cast.person("Eve"), token)


def test_neither_the_database_nor_the_record_holds_what_lets_somebody_in(people):
    token = invited(people).split("/")[-2]
    outbox.send_due()
    for rows in (Invitation, OutgoingMail, AuditEntry, Throttle):
        assert token not in str(list(rows.objects.values())), rows
    assert EVE not in str(list(AuditEntry.objects.values()))


def test_what_is_not_valid_any_more_answers_like_what_never_was(people, client):
    link = invited(people)
    invitation = Invitation.objects.get()
    never = client.get(link.replace(link.split("/")[-2], "nonsense"))

    def answers_like_never() -> bool:
        answer = client.get(link)
        parts = ("nonsense", link.split("/")[-2])
        return answer.status_code == 404 and page(answer).text == page(never).text and parts[1] not in page(never).text

    Invitation.objects.update(expires_at=F("sent_at") - timedelta(seconds=1))
    assert answers_like_never(), "expired"
    assert "not valid" in page(people.browser["Charlie"].post(link)).text
    Invitation.objects.update(expires_at=invitation.expires_at)
    people.browser["Alice"].post(f"/team/invitations/{invitation.pk}/again/")
    assert answers_like_never(), "a later message has another link"
    (waiting,) = mails_to(EVE)
    link = link_in(waiting)
    assert client.get(link).status_code == 200
    people.browser["Alice"].post(f"/team/invitations/{invitation.pk}/withdraw/")
    assert answers_like_never(), "withdrawn"
    assert mails_to(EVE) == [], "a mail server that was away brings no link of no use"


@pytest.mark.parametrize("email", ["Alice@Example.org", "a@[127.0.0.1]", "a" * 65 + "@example.org"])
def test_nobody_invites_themselves_or_whom_no_mail_reaches(people, email):
    assert people.browser["Alice"].post("/team/invitations/", {"email": email}).status_code == 422
    assert not OutgoingMail.objects.exists()


def test_somebody_without_an_account_can_decline_and_the_captain_is_told(people, client):
    link = invited(people)
    assert page(client.post(link, {"answer": "decline"})).all("h1")
    assert client.get(link).status_code == 404
    assert "was declined" in mails_to("alice@example.org")[-1].subject
    assert AuditEntry.objects.latest("pk").by == "whoever had the link"
    assert "not valid" in page(client.post(link, {"answer": "decline"})).text


def test_an_invitation_is_not_sent_at_will(people):
    invited(people)
    again = f"/team/invitations/{Invitation.objects.get().pk}/again/"
    for _ in range(3):
        answer = people.browser["Alice"].post(again, follow=True)
    assert "The next one can go in" in page(answer).text
    assert Invitation.objects.get().sends == 2
    twice = people.browser["Alice"].post("/team/invitations/", {"email": EVE.upper()})
    assert twice.status_code == 422
    assert "There is an open invitation to this address" in page(twice).text
    assert page(twice).all("input", name="email", value=EVE.upper()), "what was typed stays"


def test_nobody_learns_that_others_invite_the_same_address(people):
    for number in range(9):
        captain = cast.person(f"Captain{number}")
        invitations.invite(captain, cast.team_of(captain), EVE)
    assert len(mails_to(EVE)) == 8, "the address has enough"
    sent = people.browser["Charlie"].post("/team/invitations/", {"email": EVE}, follow=True)
    assert f"An invitation to {EVE} is on its way." in page(sent).text


def test_only_the_captain_invites_and_sees_who_is_invited(people):
    invited(people)
    number = Invitation.objects.get().pk
    refused = people.browser["Bob"].post("/team/invitations/", {"email": "zoe@example.org"}, follow=True)
    assert "Only the captain can invite somebody" in page(refused).text
    for act in ("again", "withdraw"):
        answer = people.browser["Bob"].post(f"/team/invitations/{number}/{act}/", follow=True)
        assert "Only the captain can" in page(answer).text
    assert EVE not in people.browser["Bob"].get("/team/").content.decode()
    assert EVE in people.browser["Alice"].get("/team/").content.decode()
    assert Invitation.objects.get().state == "open"


def test_a_rival_finds_nothing_at_any_address_of_another_team(people):
    invited(people)
    number = Invitation.objects.get().pk
    charlie, nobody = people.browser["Charlie"], Client()
    for act in ("again", "withdraw"):
        there = charlie.post(f"/team/invitations/{number}/{act}/")
        nowhere = charlie.post(f"/team/invitations/{number + 999}/{act}/")
        assert there.status_code == nowhere.status_code == 404
        assert page(there).text == page(nowhere).text
        assert nobody.post(f"/team/invitations/{number}/{act}/")["Location"].startswith("/account/login/")
    for act in ("remove", "captain"):
        answer = charlie.post(f"/team/members/{people.bob.pk}/{act}/", {"why": "x"})
        assert (answer.status_code, "Bob" in page(answer).text) == (404, False)
    assert Invitation.objects.get().state == "open"
    assert people.bob.team == people.team


def test_the_size_is_limited_under_the_teams_lock(people, settings):
    settings.TEAM_MOST_MEMBERS = 3
    token = invited(people).split("/")[-2]
    teams.join_team(cast.person("Dora"), people.team.join_code)
    with pytest.raises(Refused, match="full: it may have 3 members"):
        invitations.accept(cast.person("Eve"), token)
    with pytest.raises(Refused, match="full"):
        teams.join_team(cast.person("Frank"), people.team.join_code)
    assert "full" in page(people.browser["Alice"].post("/team/invitations/", {"email": "zoe@example.org"})).text


def test_whoever_is_removed_has_no_invitation_left_to_come_back_by(people):
    token = invited(people, "bob@example.org").split("/")[-2]
    teams.remove_member(people.alice, people.team, people.bob.pk, "He left the lab.")
    with pytest.raises(Refused, match="not valid"):
        invitations.accept(people.bob, token)


def test_words_of_people_stay_words_in_messages_and_on_the_page(people, client):
    name = f"{HOSTILE}\r\nBcc: everybody@example.org"
    type(people.alice).objects.filter(pk=people.alice.pk).update(name=name, affiliation=name)
    people.browser["Alice"].post("/team/invitations/", {"email": EVE})
    mail = mails_to(EVE)[0]
    assert "\n" not in mail.subject
    EmailMessage(mail.subject, mail.body, mail.sender, [mail.to]).message()  # refuses headers with line breaks
    shown = client.get(link_in(mail))
    assert page(shown).scripts == []
    assert "\u202e" not in shown.content.decode()


def test_an_inviter_without_a_name_is_not_called_by_an_address(people, client):
    type(people.alice).objects.filter(pk=people.alice.pk).update(name="")
    link = invited(people)
    assert "alice@" not in mails_to(EVE)[0].body + mails_to(EVE)[0].subject + client.get(link).content.decode()


def test_addresses_of_invitations_are_not_kept_for_long(people):
    invited(people)
    invited(people, "zoe@example.org")
    Invitation.objects.filter(email=EVE).update(expires_at=F("expires_at") - timedelta(days=45))
    invitations.forget_old()
    assert [one.email for one in Invitation.objects.all()] == ["zoe@example.org"]
