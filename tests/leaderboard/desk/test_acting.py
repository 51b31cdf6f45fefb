"""An act of organisers: played and taken back, or carried out, and always in the record."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.desk.acting import act_on, check_values
from leaderboard.desk.acts import ACTS
from leaderboard.desk.acts.hosts import DRAIN, REVOKE
from leaderboard.desk.acts.runs import DISQUALIFY
from leaderboard.models import Announcement, AuditEntry, Host, Submission, User
from leaderboard.states import Role
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db
BY = cast.OPERATOR


def person(role: Role) -> User:
    made = cast.person(f"An {role}")
    made.role, made.is_staff = role, True
    made.save()
    return made


@pytest.fixture
def submission(team) -> Submission:
    return cast.submit_checked(team, cast.phase())


def test_an_act_is_played_and_taken_back(host):
    [outcome] = act_on(DRAIN, [host], {}, by=BY, why="", dry_run=True)
    assert [(one.action, one.fields) for one in outcome.changes] == [("drain", [("draining", "no", "yes")])]
    assert not Host.objects.get().draining
    assert not AuditEntry.objects.exists()
    [done] = act_on(DRAIN, [host], {}, by=BY, why="")
    assert done.changes == outcome.changes
    assert Host.objects.get().draining
    assert AuditEntry.objects.get().action == "drain"


def test_a_refusal_of_one_does_not_stop_the_others(team, submission):
    masks = cast.submit(team, submission.phase)
    outcomes = act_on(ACTS["run-again"], [submission, masks], {}, by=BY, why="")
    assert all("whose last run has ended" in one.refused for one in outcomes)
    assert not AuditEntry.objects.filter(action="run again").exists()
    mixed = act_on(DISQUALIFY, [submission, masks], {}, by=BY, why="It reads the category alone.")
    assert [one.refused for one in mixed] == ["", ""]


def test_what_somebody_deleted_meanwhile_is_refused_and_ends_in_no_error():
    gone = Announcement.objects.create(subject="One", body="One.")
    Announcement.objects.all().delete()
    for dry_run in (True, False):
        [outcome] = act_on(ACTS["announce"], [gone], {"at": None}, by=BY, why="", dry_run=dry_run)
        assert "gone" in outcome.refused


def test_a_reason_is_asked_for_where_it_is_needed(host):
    with pytest.raises(Refused, match="Say why"):
        act_on(REVOKE, [host], {}, by=BY, why="  ")
    assert Host.objects.get().revoked_at is None


@pytest.mark.parametrize("role", [Role.ORGANISER, Role.OWNER])
def test_organisers_and_owners_act(host, role):
    [done] = act_on(DRAIN, [host], {}, by=Actor.person(person(role)), why="")
    assert done.entries


def test_viewers_and_everybody_else_do_not(host, alice):
    for somebody in (alice, person(Role.VIEWER)):
        with pytest.raises(Refused, match="for organisers"):
            act_on(DRAIN, [host], {}, by=Actor.person(somebody), why="")
    assert not Host.objects.get().draining


def test_roles_of_accounts_that_an_older_server_made():
    old = cast.person("Old")
    found = [old.current_role]
    for flag, value in (("is_staff", True), ("is_superuser", True), ("is_active", False)):
        setattr(old, flag, value)
        found.append(old.current_role)
    assert found == [None, Role.VIEWER, Role.OWNER, None]


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_every_act_can_be_asked_for_and_says_what_comes_of_it(act):
    assert act.says.endswith(".")
    assert act.label
    for value in act.values:
        assert value.label
    with pytest.raises(Refused):
        act.kind.find("no such thing at all")
    required = [value for value in act.values if value.is_required]
    if required:
        with pytest.raises(Refused, match="is missing"):
            check_values(act, {})


def test_the_command_line_does_what_the_desk_does(submission):
    told = StringIO()
    command = ("act", "disqualify-run", str(submission.pk), "--why", "Two accounts.", "--json")
    call_command(*command, "--dry-run", stdout=told)
    said = json.loads(told.getvalue())
    assert (said["act"], said["dry_run"]) == ("disqualify-run", True)
    assert said["outcomes"][0]["changes"][0]["after"]["disqualified_reason"] == "Two accounts."
    assert Submission.objects.get().disqualified_at is None
    call_command(*command, stdout=StringIO())
    assert Submission.objects.get().disqualified_at
    assert AuditEntry.objects.get(action="disqualify").by.startswith("command line")


def test_the_command_line_says_what_it_does_not_know(submission):
    with pytest.raises(CommandError, match="There is no run “999”"):
        call_command("act", "cancel-run", "999")
    with pytest.raises(CommandError, match="It was refused"):
        call_command("act", "go-on", str(submission.pk), stdout=StringIO())
