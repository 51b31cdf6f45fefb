"""What people decide leaves a trace, whatever way it came in by; what the server does by itself does not."""

import re
from datetime import timedelta
from importlib import import_module
from io import StringIO

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.contrib import admin
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.migrations.exceptions import IrreversibleError
from django.test import Client

from leaderboard.admin.bases import ReadOnly, Recorded
from leaderboard.challenge.phases import save_phase
from leaderboard.core import audit, clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.hosts import registry
from leaderboard.journey import decisions, faults, pipeline
from leaderboard.models import AuditEntry, Host, Phase, Run, Submission, Team, User
from leaderboard.people import captaincy, teams
from tests.leaderboard import cast, gpu_host

pytestmark = pytest.mark.django_db


@pytest.fixture
def olga() -> User:
    return cast.person("Olga", is_staff=True, is_superuser=True)


@pytest.fixture
def desk(client: Client, olga: User) -> Client:
    """The administration, with Olga signed in."""
    client.force_login(olga)
    return client


@pytest.fixture
def submission(team: Team) -> Submission:
    return cast.submit_checked(team, cast.phase())


def latest() -> AuditEntry:
    return AuditEntry.objects.order_by("-pk")[0]


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


def act(desk: Client, model: str, action: str, row: int, **more: str) -> None:
    chosen = {"action": action, "_selected_action": [row], **more}
    assert desk.post(f"/admin/leaderboard/{model}/", chosen, follow=True).status_code == 200


# --- submissions ------------------------------------------------------------------------------------------------------


def test_a_disqualification_names_who_when_on_what_before_after_and_why(submission, olga):
    before = clock.now()
    decisions.disqualify(submission, by=Actor.person(olga), why="Trained on the test cases.")
    entry = latest()
    assert (entry.by, entry.user_id, entry.action, entry.target_type) == ("Olga", olga.pk, "disqualify", "submission")
    assert (entry.target_id, entry.target) == (str(submission.pk), str(submission))
    assert before <= entry.at <= clock.now()
    assert entry.before == {"disqualified_reason": "", "disqualified_at": None}
    assert entry.after["disqualified_reason"] == "Trained on the test cases."
    assert entry.why == "Trained on the test cases."


def test_reinstating_keeps_the_reason_that_there_was(submission, olga):
    decisions.disqualify(submission, by=Actor.person(olga), why="Trained on the test cases.")
    decisions.reinstate(submission, by=Actor.person(olga), why="It did not.")
    assert latest().before["disqualified_reason"] == "Trained on the test cases."
    assert (latest().action, latest().why) == ("reinstate", "It did not.")
    assert Submission.objects.get().disqualified_at is None


def test_a_disqualification_needs_a_reason(submission, olga):
    with pytest.raises(Refused, match="Say why"):
        decisions.disqualify(submission, by=Actor.person(olga), why="  ")
    assert Submission.objects.get().disqualified_at is None


def test_disqualifying_in_the_administration_is_recorded(submission, desk):
    page = f"/admin/leaderboard/submission/{submission.pk}/change/"
    runs = {"runs-TOTAL_FORMS": "0", "runs-INITIAL_FORMS": "0"}
    desk.post(page, {"disqualified_reason": "A copy of another entry.", **runs})
    assert (latest().action, latest().by, latest().why) == ("disqualify", "Olga", "A copy of another entry.")
    desk.post(page, {"disqualified_reason": "", "why": "Its author is on both teams.", **runs})
    assert (latest().action, latest().before["disqualified_reason"]) == ("reinstate", "A copy of another entry.")
    assert latest().why == "Its author is on both teams."


def test_a_member_who_cancels_is_named_and_so_is_the_command_line(submission, alice):
    decisions.cancel(submission, by=Actor.person(alice))
    assert (latest().by, latest().action) == ("Alice", "cancel")
    assert (latest().before, latest().after) == ({"state": "queued"}, {"state": "cancelled"})
    decisions.run_again(submission, by=Actor.command_line(), why="The host was faulty.")
    assert re.fullmatch(r"command line \(.+\)", latest().by)
    assert (latest().user_id, latest().action, latest().why) == (None, "run again", "The host was faulty.")


def test_cancelling_on_the_page_is_recorded(client, submission, alice):
    client.force_login(alice)
    client.post(f"/runs/{submission.pk}/cancel/")
    assert (latest().by, latest().action) == ("Alice", "cancel")


def test_resuming_a_run_is_recorded_with_the_reason_given_in_the_administration(submission, desk, settings):
    settings.MAX_FAULTS = 1
    run = submission.runs.get()
    Run.objects.update(state="running")
    run.refresh_from_db()
    faults.halt_run(run, "engine")
    act(desk, "submission", "go_on", submission.pk, why="The disk is larger now.")
    assert (latest().action, latest().by, latest().why) == ("resume", "Olga", "The disk is larger now.")
    assert latest().before == {"state": "halted"}


def test_what_is_refused_is_not_recorded(submission, alice):
    decisions.cancel(submission, by=Actor.person(alice))
    recorded = actions()
    with pytest.raises(Refused):
        decisions.cancel(submission, by=Actor.person(alice))
    with pytest.raises(Refused):
        decisions.resume(submission, by=Actor.person(alice))
    assert actions() == recorded


def test_what_the_server_does_by_itself_is_no_decision(submission, host):
    recorded = actions()
    pipeline.fill_slots()
    order = gpu_host.claim(host, gpu_host.waiting(submission.runs.get()))
    gpu_host.report(host, order, [gpu_host.lost(order, 0)])
    assert actions() == recorded


def test_who_resumes_what_is_not_interrupted_changes_nothing(submission, olga):
    Run.objects.update(faults=3)
    with pytest.raises(Refused, match="interrupted"):
        decisions.resume(submission, by=Actor.person(olga))
    assert (Run.objects.get().faults, Run.objects.get().state) == (3, "queued")


# --- phases -----------------------------------------------------------------------------------------------------------


def form_of(phase: Phase, **changes: object) -> dict[str, object]:
    """The phase as the administration's form sends it, with some fields changed."""
    form: dict[str, object] = {}
    for field in Phase._meta.concrete_fields:
        value = getattr(phase, field.attname)
        if field.editable and field.get_internal_type() == "DateTimeField":
            form |= {f"{field.name}_{part}": text for part, text in zip("01", _parts(value), strict=True)}
        elif field.editable and value is not None and value is not False:
            form[field.name] = value
    return form | changes


def _parts(at) -> tuple[str, str]:
    return (at.strftime("%Y-%m-%d"), at.strftime("%H:%M:%S")) if at else ("", "")


def test_a_change_of_a_policy_says_what_it_was_before(desk):
    phase = cast.phase()
    changed = form_of(phase, runs_per_day=5, why="A holiday in between.")
    answer = desk.post(f"/admin/leaderboard/phase/{phase.pk}/change/", changed)
    assert answer.status_code == 302, answer.context["adminform"].errors
    entry = latest()
    assert (entry.action, entry.by, entry.why) == ("change phase", "Olga", "A holiday in between.")
    assert (entry.before["runs_per_day"], entry.after["runs_per_day"]) == (2, 5)
    assert set(entry.before) - {"runs_per_day", "opens_at", "closes_at"} == set()  # the form knows no microseconds
    assert Phase.objects.get().runs_per_day == 5


def test_editing_a_phase_does_not_undo_that_it_was_archived_meanwhile(olga):
    phase = cast.phase(closes_at=clock.now() - timedelta(hours=1))
    edited = Phase.objects.get()
    decisions.archive(phase, by=Actor.person(olga))
    edited.description = "Over."
    save_phase(edited, by=Actor.person(olga))
    assert Phase.objects.get().archived_at
    assert actions()[-2:] == ["archive", "change phase"]
    assert set(latest().after) == {"description"}


# --- hosts ------------------------------------------------------------------------------------------------------------


def test_what_organisers_do_to_a_host_is_recorded(desk, host):
    act(desk, "host", "drain", host.pk, why="A new driver.")
    assert (latest().action, latest().target, latest().why) == ("drain", "gpu-1", "A new driver.")
    assert (latest().before, latest().after) == ({"draining": False}, {"draining": True})
    act(desk, "host", "take_work", host.pk)
    act(desk, "host", "revoke", host.pk)
    act(desk, "host", "revoke", host.pk)  # again: nothing is left to decide
    assert actions()[-3:] == ["drain", "end draining", "revoke token"]
    assert registry.host_with_token(cast.TOKEN) is None


def test_draining_a_host_that_drains_is_no_decision(host):
    registry.drain(host, by=cast.OPERATOR)
    recorded = actions()
    registry.drain(host, by=cast.OPERATOR)
    assert actions() == recorded


def test_a_revoked_host_that_comes_back_with_a_new_token_is_recorded_as_that(host):
    registry.revoke(host, by=cast.OPERATOR)
    token = registry.renew_token(host, by=cast.OPERATOR)
    assert registry.host_with_token(token) == host
    assert latest().action == "renew token"
    assert latest().before["revoked_at"]
    assert latest().after == {"revoked_at": None}


def test_a_second_host_of_a_name_is_refused_and_the_first_keeps_its_token(host):
    with pytest.raises(Refused, match="--renew"):
        registry.add(host.name, by=cast.OPERATOR)
    assert registry.host_with_token(cast.TOKEN) == host


def test_a_host_added_on_the_command_line_is_recorded_without_its_token(capsys):
    call_command("add_host", "gpu-7")
    token = capsys.readouterr().out.strip()
    assert (latest().action, latest().target) == ("add host", "gpu-7")
    assert token not in str(AuditEntry.objects.values())
    assert registry.hash_token(token) not in str(AuditEntry.objects.values())
    call_command("add_host", "gpu-7", "--renew")
    assert latest().action == "renew token"
    assert Host.objects.count() == 1


# --- people -----------------------------------------------------------------------------------------------------------


def test_what_a_captain_decides_is_recorded(alice):
    bob = cast.person("Bob")
    team = cast.team_of(alice, bob)
    captaincy.offer(alice, team, bob.pk)
    assert (latest().action, latest().after) == ("offer captaincy", {"member": "Bob", "user_id": bob.pk})
    captaincy.accept(bob, team)
    assert latest().before == {"captain": "Alice", "user_id": alice.pk}
    assert latest().after == {"captain": "Bob", "user_id": bob.pk}
    teams.remove_member(bob, team, alice.pk, "She left the lab.")
    removed = ("remove member", "Bob", {"member": "Alice", "user_id": alice.pk}, "She left the lab.")
    assert (latest().action, latest().by, latest().before, latest().why) == removed


def test_who_switches_an_account_off_is_recorded_and_no_password_is(desk, alice):
    page = f"/admin/leaderboard/user/{alice.pk}/"
    form = {"username": alice.username, "email": alice.email, "name": alice.name, "affiliation": "ETH"}
    answer = desk.post(f"{page}change/", form)
    assert answer.status_code == 302, answer.context["adminform"].errors
    assert (latest().before["is_active"], latest().after["is_active"]) == (True, False)
    new = {"usable_password": "true", "password1": "a new long one", "password2": "a new long one"}
    assert desk.post(f"{page}password/", new).status_code == 302
    assert (latest().action, latest().target) == ("set password", "Alice")
    assert not re.search(r"md5\$|argon2|a new long one", str(list(AuditEntry.objects.values())))


def test_of_an_address_that_was_changed_the_record_says_that_it_was_and_not_which(desk, alice):
    form = {"username": alice.username, "email": "a.new@example.org", "is_active": "on"}
    assert desk.post(f"/admin/leaderboard/user/{alice.pk}/change/", form).status_code == 302
    assert latest().after["email"] == audit.NOT_RECORDED
    assert "@example.org" not in str(list(AuditEntry.objects.values("before", "after")))


def test_a_password_that_was_not_set_is_not_recorded(desk, alice):
    recorded = actions()
    page = f"/admin/leaderboard/user/{alice.pk}/password/"
    desk.post(page, {"usable_password": "true", "password1": "one long one", "password2": "another long one"})
    desk.post(page, {"usable_password": "false", "set-password": "1"})  # contradicts itself: Django turns it down
    assert actions() == recorded


def test_addresses_marked_as_verified_are_recorded(desk, alice):
    EmailAddress.objects.filter(user=alice).update(verified=False)
    address = EmailAddress.objects.get(user=alice)
    chosen = {"action": "make_verified", "_selected_action": [address.pk], "why": "She called."}
    desk.post("/admin/account/emailaddress/", chosen)
    assert (latest().action, latest().target, latest().why) == ("verify address", "an address of Alice", "She called.")


def test_what_is_deleted_is_recorded_with_what_went_along_and_why(desk, alice):
    team = cast.team_of(alice, cast.person("Bob"))
    page = f"/admin/leaderboard/team/{team.pk}/delete/"
    assert b"kept in the record" in desk.get(page).content
    desk.post(page, {"post": "yes", "why": "Founded twice."})
    assert not Team.objects.exists()
    assert (latest().action, latest().target, latest().why) == ("delete team", team.name, "Founded twice.")
    assert latest().before["deleted with it"] == [f"membership {one} in {team.name}" for one in ("Alice", "Bob")]


def test_every_table_of_the_administration_is_read_only_or_recorded():
    known = {model: type(one) for model, one in admin.site._registry.items()}
    assert [model for model, kind in known.items() if not issubclass(kind, (ReadOnly, Recorded))] == []
    assert "delete_selected" not in [name for name, _ in admin.site.actions]


def test_a_member_whom_an_organiser_removes_in_the_administration_is_recorded(desk, alice):
    team = cast.team_of(alice, cast.person("Bob"))
    rows = list(team.memberships.order_by("pk"))
    form: dict[str, object] = {"name": team.name, "slug": team.slug, "why": "She asked for it."}
    form |= {"memberships-TOTAL_FORMS": 2, "memberships-INITIAL_FORMS": 2}
    for number, row in enumerate(rows):
        form |= {f"memberships-{number}-id": row.pk, f"memberships-{number}-team": team.pk}
        form |= {f"memberships-{number}-user": row.user_id}
    form |= {"memberships-0-is_captain": "on", "memberships-1-DELETE": "on"}
    assert desk.post(f"/admin/leaderboard/team/{team.pk}/change/", form).status_code == 302
    assert (latest().action, latest().target, latest().why) == (
        "delete membership",
        "Bob in Team of Alice",
        form["why"],
    )


def test_organisers_made_and_passwords_set_on_the_command_line_are_recorded(monkeypatch, alice):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a new long one")
    call_command("createsuperuser", interactive=False, username="root", email="root@example.org", verbosity=0)
    root = User.objects.get(username="root")
    assert (latest().action, latest().target, latest().after["is_superuser"]) == ("add user", f"user {root.pk}", True)
    monkeypatch.setattr("getpass.getpass", lambda prompt="": "another long one")
    call_command("changepassword", alice.username, stdout=StringIO())
    assert (latest().action, latest().target) == ("set password", "Alice")
    assert latest().by.startswith("command line")
    assert "long one" not in str(list(AuditEntry.objects.values()))


# --- the record itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement", ["UPDATE leaderboard_auditentry SET why = ''", "DELETE FROM leaderboard_auditentry"]
)
def test_the_database_refuses_to_change_the_record(host, statement):
    registry.drain(host, by=cast.OPERATOR)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEntry.objects.exists()


def test_going_back_to_a_version_without_the_record_is_refused_while_it_holds_something(host):
    going_back = import_module("leaderboard.migrations.0007_audit").keep_decisions
    going_back(apps, None)
    registry.drain(host, by=cast.OPERATOR)
    with pytest.raises(IrreversibleError, match="would delete the record"):
        going_back(apps, None)


def test_the_record_is_read_only_in_the_administration(desk, host):
    registry.drain(host, by=cast.OPERATOR)
    assert desk.get("/admin/leaderboard/auditentry/").status_code == 200
    assert desk.get("/admin/leaderboard/auditentry/add/").status_code == 403
    assert desk.get(f"/admin/leaderboard/auditentry/{latest().pk}/delete/").status_code == 403


def test_hostile_words_are_kept_without_what_is_not_text(host):
    registry.drain(host, by=Actor("\u202eOlga\x1b[2J"), why="a\x00b\u202e")
    assert (latest().by, latest().why) == ("Olga", "ab")


@pytest.mark.django_db(transaction=True)
def test_a_record_without_a_transaction_is_a_mistake(host):
    with pytest.raises(transaction.TransactionManagementError):
        audit.record(cast.OPERATOR, "drain", host)


def test_what_is_refused_in_the_administration_is_said(submission, olga, desk):
    decisions.disqualify_team(submission.team, phase=submission.phase, by=Actor.person(olga), why="Two accounts.")
    address = f"/admin/leaderboard/submission/{submission.pk}/change/"
    runs = {"runs-TOTAL_FORMS": "0", "runs-INITIAL_FORMS": "0"}
    answer = desk.post(address, {"disqualified_reason": "", "why": "One of them left.", **runs}, follow=True)
    assert "whole team is disqualified" in answer.content.decode()
    submission.refresh_from_db()
    assert submission.disqualified_at
