"""What organisers do for people: a captain is made, a team is marked, data are exported, an account ends."""

import json

import pytest
from django.core.management import CommandError, call_command

from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import AuditEntry, Membership, OutgoingMail, Team, User
from leaderboard.people import ending, teams
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob() -> User:
    return cast.person("Bob")


@pytest.fixture
def team(bob) -> Team:
    return cast.team_of(cast.person("Alice"), bob)


def test_a_member_is_made_captain_and_the_team_hears_of_it(team, bob):
    call_command("act", "make-captain", str(bob.membership.pk), why="Alice is away.")
    assert Membership.objects.get(is_captain=True).user == bob
    assert set(OutgoingMail.objects.values_list("to", flat=True)) == {"alice@example.org", "bob@example.org"}


def test_a_team_is_marked_and_unmarked(team):
    with pytest.raises(CommandError):
        call_command("act", "unmark-of-organisers", team.slug, why="x")
    call_command("act", "mark-of-organisers", team.slug, why="A baseline.")
    team.refresh_from_db()
    assert team.is_of_organisers
    assert AuditEntry.objects.get(action="mark as of organisers").why == "A baseline."
    with pytest.raises(Refused, match="already"):
        teams.mark_as_of_organisers(team, by=cast.OPERATOR)


def test_a_dry_run_says_what_stays_and_ends_nothing(team, bob, capsys):
    call_command("act", "delete-person", str(bob.pk), why="Bob asked by mail.", dry_run=True)
    assert "what a team submitted" in capsys.readouterr().out
    assert User.objects.filter(pk=bob.pk).exists()
    assert not OutgoingMail.objects.exists()


def test_an_account_ends_on_request_and_nobody_is_named(team, bob):
    number = bob.pk
    call_command("act", "delete-person", str(bob.pk), why="Bob asked by mail.")
    assert not User.objects.filter(pk=number).exists()
    entry = AuditEntry.objects.get(action="delete account")
    assert (entry.target, entry.why) == (f"user {number}", f"user {number} asked by mail.")
    assert entry.by.startswith("command line")


def test_a_captain_of_others_and_who_organises_stay(team):
    with pytest.raises(Refused, match="somebody else captain of the team “Team of Alice” first"):
        ending.end_on_request(User.objects.get(name="Alice"), by=cast.OPERATOR)
    olga = cast.person("Olga", is_staff=True, role="organiser")
    for by in (cast.OPERATOR, Actor.person(olga)):
        with pytest.raises(Refused):
            ending.end_on_request(olga, by=by)


def test_an_export_is_handed_out_and_recorded(team, bob, capsys):
    call_command("act", "export-person", str(bob.pk), why="Bob asked.", json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["delivered"][0]["account"]["email"] == "bob@example.org"
    entry = AuditEntry.objects.get(action="export personal data")
    assert "bob@example.org" not in json.dumps(entry.after)
