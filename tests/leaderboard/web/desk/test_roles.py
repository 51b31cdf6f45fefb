"""Roles on the desk and in the administration: who gives them, and that nobody takes one."""

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.test import Client

from leaderboard.models import AuditEntry, User
from leaderboard.states import Role
from tests.leaderboard import cast
from tests.leaderboard.web.accounts.conftest import confirm_it_is_you
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db
PEOPLE = "/admin/leaderboard/user/"
NEW = {"email": "Second@example.org", "name": "Sam", "usable_password": "true"}
NEW |= {"password1": "a new long one", "password2": "a new long one", "why": "Helps us."}


@pytest.fixture
def owner() -> User:
    return cast.person("Olga", is_staff=True, is_superuser=True, role=Role.OWNER)


@pytest.fixture
def organiser() -> User:
    return cast.person("Otto", is_staff=True, role=Role.ORGANISER)


def browser(person: User) -> Client:
    made = Client()
    made.force_login(person)
    return made


def form_of(person: User, **changes: object) -> dict[str, object]:
    """A person's row as the administration sends it."""
    return {"username": person.username, "email": person.email, "name": person.name, "is_active": "on", **changes}


def test_a_second_and_a_third_organiser_are_made_in_the_administration(owner):
    desk = browser(owner)
    assert desk.get(f"{PEOPLE}add/").status_code == 200
    for number, email in enumerate(("second@example.org", "third@example.org")):
        answer = desk.post(f"{PEOPLE}add/", NEW | {"email": email.upper()})
        assert answer.status_code == 302, answer.context["adminform"].errors
        assert User.objects.count() == number + 2
    sam = User.objects.get(email="second@example.org")
    assert EmailAddress.objects.get(user=sam).verified
    entry = AuditEntry.objects.filter(action="add user").latest("pk")
    assert (entry.by, entry.why) == ("Olga", "Helps us.")
    assert "example.org" not in str(entry.after)
    confirm_it_is_you(desk)
    act = f"/organisers/acts/set-role/?on={sam.pk}"
    assert act in desk.get(f"{PEOPLE}{sam.pk}/change/").content.decode()
    assert desk.post(act, {"role": "organiser", "why": "Helps us.", "do": "1"}).status_code == 302
    sam.refresh_from_db()
    assert sam.current_role == Role.ORGANISER
    there = Client()
    there.post("/account/login/", {"login": "second@example.org", "password": "a new long one"})
    assert there.get("/organisers/").status_code == 200


@pytest.mark.parametrize("email", ["olga@example.org", "OLGA@example.org", "other@example.org", ""])
def test_an_address_that_is_taken_is_refused_in_words(owner, email):
    EmailAddress.objects.create(user=owner, email="other@example.org", verified=True)
    answer = browser(owner).post(f"{PEOPLE}add/", NEW | {"email": email})
    assert answer.status_code == 200
    assert answer.context["adminform"].errors["email"]
    assert User.objects.count() == 1


def test_a_role_is_set_after_one_has_proved_who_one_is(owner, organiser):
    act = f"/organisers/acts/set-role/?on={organiser.pk}"
    sent = {"role": "owner", "why": "So", "do": "1"}
    desk = browser(owner)
    assert desk.post(act, sent)["Location"].startswith("/account/reauthenticate/")
    organiser.refresh_from_db()
    assert organiser.current_role == Role.ORGANISER
    assert browser(organiser).get(act).status_code == 404


def test_an_organiser_raises_nobody_in_the_administration(owner, organiser):
    alice, desk = cast.person("Alice"), browser(organiser)
    powers = {"is_staff": "on", "is_superuser": "on", "role": "owner", "groups": "1", "user_permissions": "1"}
    assert desk.post(f"{PEOPLE}{alice.pk}/change/", form_of(alice, name="Alice B.", **powers)).status_code == 302
    assert desk.post(f"{PEOPLE}add/", NEW | powers).status_code == 302
    desk.post(f"{PEOPLE}{organiser.pk}/change/", form_of(organiser, **powers))
    alice.refresh_from_db()
    assert alice.name == "Alice B."
    assert User.objects.filter(is_staff=True).count() == 2
    assert User.objects.filter(is_superuser=True).count() == 1
    assert User.objects.get(pk=organiser.pk).current_role == Role.ORGANISER


def test_an_organiser_gets_into_no_account_that_may_do_more(owner, organiser):
    """By no new password, address or lack of a second factor, nor through one that is switched off."""
    desk = browser(organiser)
    off = cast.person("Otis", is_staff=True, is_superuser=True, role=Role.OWNER, is_active=False)
    totp.TOTP.activate(owner, totp.generate_totp_secret())
    kept = list(User.objects.order_by("pk").values()), list(EmailAddress.objects.order_by("pk").values())
    new = {"usable_password": "true", "password1": "a new long one", "password2": "a new long one"}
    for person in (owner, organiser, off):
        assert desk.post(f"{PEOPLE}{person.pk}/password/", new).status_code == 403
        assert desk.post(f"{PEOPLE}{person.pk}/change/", form_of(person, email="mine@example.org")).status_code == 403
        assert desk.post(f"{PEOPLE}{person.pk}/delete/", {"post": "yes"}).status_code == 403
        address = EmailAddress.objects.filter(user=person).latest("pk")
        mine = {"user": person.pk, "email": "mine@example.org", "verified": "on", "primary": "on"}
        for place in ("add/", f"{address.pk}/change/", f"{address.pk}/delete/"):
            assert desk.post(f"/admin/account/emailaddress/{place}", mine | {"post": "yes"}).status_code == 403
    desk.post(PEOPLE, {"action": "remove_second_factors", "_selected_action": [owner.pk]})
    alice = cast.person("Alice")
    moved = {"user": owner.pk, "email": "mine@example.org", "verified": "on", "primary": "on"}
    address = EmailAddress.objects.get(user=alice)
    desk.post(f"/admin/account/emailaddress/{address.pk}/change/", moved)
    assert not EmailAddress.objects.filter(user=owner, email="mine@example.org").exists()
    alice.delete()
    assert Authenticator.objects.filter(user=owner).exists()
    assert kept == (list(User.objects.order_by("pk").values()), list(EmailAddress.objects.order_by("pk").values()))


def test_an_organiser_helps_whoever_takes_part(owner, organiser):
    desk, alice = browser(organiser), cast.person("Alice")
    totp.TOTP.activate(alice, totp.generate_totp_secret())
    new = {"usable_password": "true", "password1": "a new long one", "password2": "a new long one"}
    assert desk.post(f"{PEOPLE}{alice.pk}/password/", new).status_code == 302
    desk.post(PEOPLE, {"action": "remove_second_factors", "_selected_action": [alice.pk]})
    assert not Authenticator.objects.exists()
    alice.refresh_from_db()
    assert alice.check_password("a new long one")


def test_groups_are_no_way_to_powers(owner):
    assert browser(owner).get("/admin/auth/group/").status_code == 404


def test_the_last_owner_is_neither_deleted_nor_switched_off_in_the_administration(owner):
    desk = browser(owner)
    answer = desk.post(f"{PEOPLE}{owner.pk}/delete/", {"post": "yes"}, follow=True)
    assert "There is no other owner" in page(answer).text
    off = form_of(owner)
    del off["is_active"]
    answer = desk.post(f"{PEOPLE}{owner.pk}/change/", off)
    assert "There is no other owner" in page(answer).text
    assert User.objects.get().is_active
    other = cast.person("Otis", is_staff=True, is_superuser=True, role=Role.OWNER)
    assert desk.post(f"{PEOPLE}{other.pk}/delete/", {"post": "yes"}).status_code == 302
    assert User.objects.count() == 1


@pytest.mark.parametrize("role", Role)
def test_every_role_needs_a_second_factor_first_where_it_is_asked_for(settings, role):
    settings.STAFF_SECOND_FACTOR = True
    person = cast.person("Vera", is_staff=True, is_superuser=role == Role.OWNER, role=role)
    here = Client()
    here.post("/account/login/", {"login": person.email, "password": "correct horse"})
    assert here.get("/organisers/")["Location"] == "/account/2fa/"
    totp.TOTP.activate(person, totp.generate_totp_secret())
    assert here.get("/organisers/").status_code == 200
