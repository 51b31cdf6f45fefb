"""A person's own account: corrected, looked at, taken along, ended; and what then is left of the person."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection, models, transaction
from django.db.models import F

from leaderboard.challenge import downloads
from leaderboard.core import audit, clock, outbox, refusals
from leaderboard.core.audit import Actor
from leaderboard.models import AuditEntry, Draft, Invitation, NoticeKind, OutgoingMail, Submission, Team, User
from leaderboard.notices import choices
from leaderboard.people import captaincy, ending, invitations, personal_data, preregistration, sessions, teams, tokens
from leaderboard.web.accounts.sessions import device
from tests.leaderboard import cast
from tests.leaderboard.web.accounts.conftest import confirm_it_is_you, is_in, sign_in
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db

RIGHT, ALICE = "correct horse", "alice@example.org"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Safari/604.1"
PROFILE = {"name": "Alice Liddell", "affiliation": "Oxford", "country": "GB", "orcid": "0000000218250097"}


@pytest.fixture
def alice():
    return cast.person("Alice")


@pytest.fixture
def here(alice, from_address):
    """Alice's browser."""
    client = from_address()
    sign_in(client, ALICE, RIGHT)
    return client


# --- the profile ------------------------------------------------------------------------------------------------------


def test_the_profile_is_corrected_and_the_record_says_which_part_not_what(alice, here):
    assert here.post("/account/", PROFILE)["Location"] == "/account/"
    alice.refresh_from_db()
    assert (alice.name, alice.country, alice.orcid) == ("Alice Liddell", "GB", "0000-0002-1825-0097")
    entry = AuditEntry.objects.get(action="change profile")
    assert entry.after == {"changed": ["name", "affiliation", "country", "orcid"]}
    here.post("/account/", PROFILE)
    assert AuditEntry.objects.filter(action="change profile").count() == 1, "nothing changed"


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("orcid", "0000-0002-1825-0098", "mistyped"),
        ("country", "XX", "not one of the available choices"),
        ("name", " ", "required"),
        ("name", "\u200e", "Say how you are called"),
        ("name", "\u200b\u3164", "Say how you are called"),
        ("name", "Win at HTTPS://evil.example", "Leave addresses of pages out"),
        ("affiliation", "www.evil.example", "Leave addresses of pages out"),
        ("name", "evil.com", "After a dot inside a name put a space"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(alice, here, field, typed, said):
    answer = here.post("/account/", PROFILE | {field: typed})
    assert answer.status_code == 422
    assert said in page(answer).text
    alice.refresh_from_db()
    assert (alice.name, alice.country) == ("Alice", "")


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_sessions_are_looked_at_and_ended_one_by_one_or_all(alice, here, from_address):
    phone, third = from_address("198.51.100.7"), from_address("198.51.100.8")
    phone.post("/account/login/", {"login": ALICE, "password": RIGHT}, headers={"user-agent": SAFARI})
    sign_in(third, ALICE, RIGHT)
    text = page(here.get("/account/sessions/")).text
    assert "Safari on an iPhone or iPad" in text
    assert "198.51.100.7" in text
    row = UserSession.objects.get(ip="198.51.100.7")
    here.post("/account/sessions/", {"session": row.pk})
    assert [is_in(one) for one in (here, phone, third)] == [True, False, True]
    UserSession.objects.all().delete()  # as those that began before sessions were listed
    assert "this one" in page(here.get("/account/sessions/")).text
    here.post("/account/sessions/")
    assert [is_in(one) for one in (here, third)] == [True, False]


def test_a_client_without_a_network_address_signs_in_and_is_listed(alice, from_address):
    client = from_address("")
    sign_in(client, ALICE, RIGHT)
    assert "this one" in page(client.get("/account/sessions/")).text


def test_nobody_ends_a_session_of_somebody_else(here, from_address):
    cast.person("Charlie")
    charlie = from_address()
    sign_in(charlie, "charlie@example.org", RIGHT)
    row = UserSession.objects.get(user__name="Charlie")
    here.post("/account/sessions/", {"session": row.pk})
    assert is_in(charlie)


@pytest.mark.parametrize(
    ("agent", "shown"),
    [(FIREFOX, "Firefox on Linux"), ("", "Another browser"), ("<script>", "Another browser"), ("curl/8", "curl")],
)
def test_a_device_is_named_coarsely(agent, shown):
    assert device(agent) == shown


def test_sessions_that_are_over_are_forgotten(alice, here):
    UserSession.objects.update(created_at=F("created_at") - timedelta(days=20))
    Session.objects.update(expire_date=clock.now() - timedelta(days=1))
    sessions.forget_old()
    assert not UserSession.objects.exists()
    assert not Session.objects.exists()


# --- one's own data ---------------------------------------------------------------------------------------------------


def test_whatever_refers_to_a_person_is_known_to_end_or_to_stay():
    fates = {
        models.CASCADE: personal_data.ENDS,
        models.SET_NULL: personal_data.STAYS,
    }
    found: dict[Any, set[str]] = {models.CASCADE: set(), models.SET_NULL: set()}
    relations: Any = User._meta.get_fields(include_hidden=True)
    for relation in relations:
        if relation.auto_created and not relation.concrete and hasattr(relation, "on_delete"):
            field = relation.field
            found[relation.on_delete].add(f"{field.model._meta.label}.{field.name}")
    assert found == {fate: set(known) for fate, known in fates.items()}


def test_the_data_are_taken_along_after_the_password_and_hold_no_secret(alice, here):
    team, phase = cast.team_of(alice), cast.phase()
    submission = cast.submit_checked(team, phase, user=alice)
    OutgoingMail.objects.create(to="Alice@Example.org", subject="Hello", created_at=clock.now(), due_at=clock.now())
    OutgoingMail.objects.create(to="aliceXexample.org", subject="Other", created_at=clock.now(), due_at=clock.now())
    assert here.get("/account/data/")["Location"].startswith("/account/reauthenticate/")
    confirm_it_is_you(here)
    answer = here.get("/account/data/")
    assert answer["Content-Disposition"] == 'attachment; filename="my-data.json"'
    told = json.loads(answer.content)
    assert told["account"]["email"] == ALICE
    assert [one["pk"] for one in told["submissions"]] == [submission.pk]
    assert [one["subject"] for one in told["messages"]] == ["Hello"]
    assert told["email_addresses"] == [{"email": ALICE, "verified": True, "primary": True}]
    alice.refresh_from_db()
    assert alice.password not in answer.content.decode()
    assert team.join_code not in answer.content.decode()


# --- the end of an account --------------------------------------------------------------------------------------------


def everything_says(*words: str) -> list[str]:
    """The tables of the database in which one of these words still is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        tables = [name for (name,) in cursor.fetchall()]
        found = []
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}" row WHERE row::text ~* %s', ["|".join(words)])
            if cursor.fetchone()[0]:
                found.append(table)
    return found


def test_an_account_ends_and_the_teams_runs_stay_without_the_person(alice, here, from_address):
    alice.name = "Alicia Pleasance"
    alice.save()
    bob = cast.person("Bob")
    team, phase = cast.team_of(bob, alice, name="Wonder"), cast.phase()
    submission = cast.submit_checked(team, phase, user=alice)
    here.post("/account/", PROFILE | {"name": "Alicia Pleasance", "affiliation": "Christ Church"})
    for captain, other in ((bob, alice), (alice, bob)):
        captaincy.offer(captain, team, other.pk)
        captaincy.accept(other, team)
    for invited in (ALICE, "zoe@example.org"):
        invitations.invite(bob, team, invited)
    downloads_terms = downloads.publish_terms(phase.case_set, "For research alone.", by=cast.OPERATOR)
    downloads.accept(alice, phase.case_set, str(downloads_terms.version))
    tokens.issue(alice, name="Alicia’s cluster", scopes=["read"])
    choices.stop(alice, NoticeKind.DEADLINES)
    preregistration.ask(ALICE)
    refusals.note(ALICE, "no such mailbox: alice@", clock.now())
    outbox.send_due()  # what it says goes with that
    with transaction.atomic():
        audit.record(
            Actor.person(bob), "change user", alice, before={"name": "Alicia Pleasance"}, why="Alicia Pleasance"
        )
    now = clock.now()
    OutgoingMail.objects.create(to=ALICE, subject="To Alicia Pleasance", created_at=now, due_at=now)
    before = AuditEntry.objects.count()
    other = from_address()
    sign_in(other, ALICE, RIGHT)

    assert here.get("/account/delete/")["Location"].startswith("/account/reauthenticate/")
    confirm_it_is_you(here)
    assert here.post("/account/delete/").status_code == 422
    assert User.objects.filter(pk=alice.pk).exists(), "not without the box"
    answer = here.post("/account/delete/", {"sure": "on"}, follow=True)
    assert "Your account is deleted" in page(answer).text
    ending.end_account(alice)  # whoever pressed twice: the second time it has ended
    assert not is_in(here)
    assert not is_in(other)
    submission.refresh_from_db()
    assert (submission.team, submission.submitted_by) == (team, None)
    assert everything_says("alice@", "Alicia", "Pleasance", "Christ Church", "0000-0002-1825-0097") == []
    assert AuditEntry.objects.count() == before + 2, "what was decided stays, and who left"
    assert AuditEntry.objects.filter(user_id=alice.pk, by=f"user {alice.pk}").count() >= 4
    assert AuditEntry.objects.filter(by="Bob").exists(), "nobody else is forgotten"
    assert Session.objects.count() <= 1, "the anonymous one of the last page"


def test_a_captain_of_others_hands_over_first(alice, here):
    cast.team_of(alice, cast.person("Bob"))
    confirm_it_is_you(here)
    assert "Make somebody else captain" in page(here.get("/account/delete/")).text
    answer = here.post("/account/delete/", {"sure": "on"})
    assert (answer.status_code, "Make somebody else captain" in page(answer).text) == (422, True)
    assert User.objects.filter(pk=alice.pk).exists()


@pytest.mark.parametrize("submitted", [False, True])
def test_a_team_that_is_left_alone_ends_unless_it_has_submitted(alice, here, submitted):
    team, phase = cast.team_of(alice), cast.phase()
    Draft.objects.create(team=team, phase=phase, created_by=alice, changed_at=clock.now())
    invitations.invite(alice, team, "zoe@example.org")
    if submitted:
        cast.submit_checked(team, phase, user=alice)
    confirm_it_is_you(here)
    here.post("/account/delete/", {"sure": "on"})
    assert not User.objects.exists()
    assert Team.objects.exists() is submitted
    assert Submission.objects.exists() is submitted
    assert not Draft.objects.exists()
    assert not Invitation.objects.filter(state="open").exists(), "nobody finds a team's runs without its members"
    assert teams.find_by_link(team.join_code) is None
    assert not OutgoingMail.objects.filter(to="zoe@example.org").exists()


def test_the_last_organiser_stays(from_address):
    olga = cast.person("Olga", is_staff=True, is_superuser=True)
    client = from_address()
    client.force_login(olga)
    confirm_it_is_you(client)
    assert client.post("/account/delete/", {"sure": "on"}).status_code == 422
    assert User.objects.filter(pk=olga.pk).exists()


@transaction.atomic
def change_the_record(change: str) -> None:
    """As the code does that forgets a person."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL leaderboard.forgets_a_person = 'yes'")
        cursor.execute(f"UPDATE leaderboard_auditentry SET {change}")


@pytest.mark.parametrize("change", ["action = 'x'", "user_id = 7", "at = now()"])
def test_the_record_gives_up_names_alone(alice, change):
    cast.team_of(alice)
    with pytest.raises(DatabaseError, match="append-only"):
        change_the_record(change)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEntry.objects.update(by="nobody")


def test_whom_an_organiser_deletes_is_named_no_more(alice, from_address):
    olga = cast.person("Olga", is_staff=True, is_superuser=True)
    desk = from_address()
    desk.force_login(olga)
    team = cast.team_of(alice, name="Wonder")
    invitations.invite(alice, team, "zoe@example.org")
    [link] = re.findall(r"/team/invitation/\S+", OutgoingMail.objects.get().body)
    OutgoingMail.objects.all().delete()
    OutgoingMail.objects.create(to=ALICE, subject="To Alice", created_at=clock.now(), due_at=clock.now())
    desk.post(f"/admin/leaderboard/user/{alice.pk}/delete/", {"post": "yes"})
    assert everything_says("alice@") == []
    assert not User.objects.filter(pk=alice.pk).exists()
    assert not AuditEntry.objects.filter(target__contains="Alice").exists()
    assert "Alice" not in json.dumps(list(AuditEntry.objects.values_list("before", flat=True)))
    assert teams.find_by_link(team.join_code) is None
    assert from_address().get(link).status_code == 404, "nobody joins whom nobody is in"


# --- the notice -------------------------------------------------------------------------------------------------------


def test_the_privacy_notice_says_the_numbers_that_hold(client, settings):
    settings.SESSION_COOKIE_AGE = 5 * 24 * 3600
    shown = page(client.get("/privacy/")).text
    assert "at most 5 days" in shown
    assert "30 days after they were sent" in shown
    assert "authenticator apps, passkeys, recovery codes" in shown
    assert "/privacy/" in client.get("/").content.decode()
