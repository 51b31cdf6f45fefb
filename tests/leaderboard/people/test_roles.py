"""Who may do what: roles are given by owners, one owner stays, Django's flags follow, old accounts get theirs."""

import threading
from importlib import import_module
from io import StringIO

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import connection

from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.desk.acting import act_on
from leaderboard.desk.acts.people import SET_ROLE
from leaderboard.models import AuditEntry, OutgoingMail, User
from leaderboard.people import ending, roles
from leaderboard.people.roles import NONE
from leaderboard.states import Role
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db
BY = cast.OPERATOR


@pytest.fixture
def olga() -> User:
    return cast.person("Olga", is_staff=True, is_superuser=True, role=Role.OWNER)


def flags(person: User) -> tuple[str, bool, bool]:
    person.refresh_from_db()
    return person.role, person.is_staff, person.is_superuser


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (Role.VIEWER, ("viewer", True, False)),
        (Role.ORGANISER, ("organiser", True, False)),
        (Role.OWNER, ("owner", True, True)),
        (NONE, ("", False, False)),
    ],
)
def test_the_flags_follow_the_role(olga, alice, role, expected):
    roles.set_role(alice, by=BY, why="x", role=Role.ORGANISER)
    roles.set_role(alice, by=BY, why="x", role=role)
    assert flags(alice) == expected
    assert alice.current_role == (role if role != NONE else None)


def test_a_role_is_recorded_with_its_reason_and_the_person_is_told(olga, alice):
    [done] = act_on(SET_ROLE, [alice], {"role": "organiser"}, by=Actor.person(olga), why="Runs the test phase.")
    entry = AuditEntry.objects.latest("pk")
    assert done.entries == [entry]
    assert (entry.action, entry.target, entry.why, entry.by) == ("set role", "Alice", "Runs the test phase.", "Olga")
    assert entry.after == {"role": "organiser", "is_staff": True}
    mail = OutgoingMail.objects.latest("pk")
    assert (mail.to, "It is now: Organiser." in mail.body) == (alice.email, True)
    again = act_on(SET_ROLE, [alice], {"role": "organiser"}, by=Actor.person(olga), why="x")
    assert again[0].entries == []
    assert OutgoingMail.objects.count() == 1


def test_owners_alone_give_roles(olga, alice):
    roles.set_role(alice, by=BY, why="x", role=Role.ORGANISER)
    alice.refresh_from_db()
    for role in Role:
        with pytest.raises(Refused, match="for owners"):
            act_on(SET_ROLE, [alice], {"role": role}, by=Actor.person(alice), why="x")
    assert alice.current_role == Role.ORGANISER


def test_the_last_owner_cannot_go_by_any_way(olga, alice):
    for role in (Role.VIEWER, Role.ORGANISER, NONE):
        with pytest.raises(Refused, match="no other owner"):
            roles.set_role(olga, by=BY, why="x", role=role)
    with pytest.raises(Refused, match="no other owner"):
        ending.end_account(olga)
    roles.set_role(alice, by=BY, why="x", role=Role.OWNER)
    roles.set_role(olga, by=BY, why="x", role=NONE)
    assert flags(olga) == ("", False, False)
    User.objects.filter(pk=olga.pk).update(is_superuser=True, is_active=False)
    with pytest.raises(Refused, match="no other owner"):
        roles.set_role(alice, by=BY, why="x", role=NONE)


@pytest.mark.django_db(transaction=True)
def test_of_two_last_owners_one_stays(olga):
    other = cast.person("Otto", is_staff=True, is_superuser=True, role=Role.OWNER)
    barrier, refused = threading.Barrier(2), []

    def demote(person: User) -> None:
        barrier.wait()
        try:
            roles.set_role(person, by=BY, why="x", role=NONE)
        except Refused as refusal:
            refused.append(str(refusal))
        connection.close()

    threads = [threading.Thread(target=demote, args=(one,)) for one in (olga, other)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert refused == [roles.LAST_OWNER]
    assert User.objects.filter(is_superuser=True).count() == 1


def test_an_account_that_nobody_can_enter_or_that_may_be_somebody_elses_gets_no_role(olga, alice):
    unknown = cast.person("Unknown", confirmed=False)
    with pytest.raises(Refused, match="Nobody has confirmed"):
        roles.set_role(unknown, by=BY, why="x", role=Role.VIEWER)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    with pytest.raises(Refused, match="switched off"):
        roles.set_role(alice, by=BY, why="x", role=Role.VIEWER)


def test_the_command_line_gives_them_too(olga, alice):
    call_command("act", "set-role", str(alice.pk), "--role", "viewer", "--why", "A sponsor.", stdout=StringIO())
    assert flags(alice) == ("viewer", True, False)
    with pytest.raises(CommandError):
        call_command("act", "set-role", str(olga.pk), "--role", "none", "--why", "x", stdout=StringIO())


# --- permissions of the administration --------------------------------------------------------------------------------


def may(person: User) -> set[str]:
    """The permissions of all there are that this person has."""
    every = Permission.objects.select_related("content_type")
    return {name for one in every if person.has_perm(name := f"{one.content_type.app_label}.{one.codename}")}


def test_organisers_may_what_gives_no_powers_viewers_look_and_others_nothing(olga, alice):
    everything = may(olga)
    assert len(everything) > 200
    assert may(alice) == set()
    assert not alice.has_module_perms("leaderboard")
    organiser, viewer = (cast.person(role, is_staff=True, role=role) for role in ("organiser", "viewer"))
    assert may(viewer) == {name for name in everything if ".view_" in name}
    assert everything - may(organiser) == {
        name for name in everything if name.startswith("auth.") and ".view_" not in name
    }


def test_groups_give_nothing_more_and_a_switched_off_account_has_nothing(alice):
    viewer = cast.person("Vera", is_staff=True, role=Role.VIEWER)
    group = Group.objects.create(name="helpers")
    group.permissions.set(Permission.objects.all())
    viewer.groups.add(group)
    viewer.user_permissions.set(Permission.objects.all())
    assert not viewer.has_perm("leaderboard.change_phase")
    viewer.is_active = False
    assert may(viewer) == set()


@pytest.mark.parametrize(
    ("fields", "role"),
    [
        ({"is_superuser": True}, Role.OWNER),
        ({"is_staff": True}, Role.VIEWER),
        ({"is_staff": True, "role": "organiser"}, Role.ORGANISER),
        ({"is_staff": True, "role": "owner"}, Role.ORGANISER),  # an older server took the flag
        ({"role": "owner"}, None),
        ({"is_staff": True, "is_superuser": True, "role": "owner", "is_active": False}, None),
    ],
)
def test_flags_that_an_older_server_sets_or_takes_count_before_the_role(fields, role):
    assert User(**fields).current_role == role


# --- before and after an upgrade --------------------------------------------------------------------------------------


def test_the_migration_gives_everybody_the_role_that_they_had_in_fact():
    permission = Permission.objects.get(codename="change_submission")
    group = Group.objects.create(name="organisers")
    group.permissions.add(permission)
    root = cast.person("Root", is_superuser=True)
    by_group, by_own, looks = (cast.person(name, is_staff=True) for name in ("Grace", "Otto", "Vera"))
    by_group.groups.add(group)
    by_own.user_permissions.add(permission)
    both = cast.person("Both", is_staff=True)
    both.groups.add(group)
    both.user_permissions.add(permission)
    takes_part = cast.person("Alice")
    takes_part.groups.add(group)
    import_module("leaderboard.migrations.0044_owners_organisers_viewers").give_roles(apps, None)
    assert flags(root) == ("owner", True, True)
    assert [flags(one)[0] for one in (by_group, by_own, both, looks, takes_part)] == [
        *("organiser", "organiser", "organiser", "viewer", ""),
    ]


def test_whoever_may_act_by_their_role_is_told_when_the_server_is_in_trouble(olga):
    organiser = cast.person("Otto", is_staff=True, role=Role.ORGANISER)
    demoted = cast.person("Dora", is_staff=True, role=Role.OWNER)  # an older server took one flag of an owner's
    cast.person("Vera", is_staff=True, role=Role.VIEWER)
    assert demoted.current_role == Role.ORGANISER
    assert set(roles.who_act()) == {olga, organiser, demoted}


def test_the_first_superuser_is_an_owner_and_gets_in_without_a_mail_server(monkeypatch, client, settings):
    settings.EMAIL_TRANSPORT = "django.core.mail.backends.dummy.EmailBackend"
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a new long one")
    call_command("createsuperuser", interactive=False, username="root", email="Root@Example.org", verbosity=0)
    root = User.objects.get(username="root")
    assert flags(root) == ("owner", True, True)
    assert AuditEntry.objects.latest("pk").after == {"role": "owner", "is_staff": True, "is_superuser": True}
    client.post("/account/login/", {"login": "root@example.org", "password": "a new long one"})
    assert client.get("/organisers/").status_code == 200
