"""Before what nobody takes back one proves who one is: by the second factor, where there is one."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp

from leaderboard.models import AuditEntry, User
from leaderboard.states import Role
from tests.leaderboard import cast
from tests.leaderboard.web.accounts.conftest import confirm_it_is_you
from tests.leaderboard.web.accounts.test_second_factor import code_of
from tests.leaderboard.web.desk.test_roles import browser

pytestmark = pytest.mark.django_db
SENT = {"role": "organiser", "why": "Helps us.", "do": "1"}


@pytest.fixture
def owner() -> User:
    return cast.person("Olga", is_staff=True, is_superuser=True, role=Role.OWNER)


@pytest.fixture
def alice() -> User:
    return cast.person("Alice")


def role_now(person: User) -> Role | None:
    return User.objects.get(pk=person.pk).current_role


def test_a_password_does_not_do_for_who_has_a_second_factor(owner, alice):
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(owner, secret)
    desk, address = browser(owner), f"/organisers/acts/set-role/?on={alice.pk}"
    confirm_it_is_you(desk)
    asked = desk.post(address, SENT)
    assert asked["Location"].startswith("/account/2fa/reauthenticate/")
    assert role_now(alice) is None
    confirm_it_is_you(desk)  # the other way that this page offers
    assert desk.post(address, SENT)["Location"].startswith("/account/2fa/reauthenticate/")
    desk.post("/account/2fa/reauthenticate/", {"code": code_of(secret)})
    assert desk.post(address, SENT).status_code == 302
    assert role_now(alice) == Role.ORGANISER


def test_who_has_a_passkey_alone_is_asked_for_that(owner, alice):
    Authenticator.objects.create(user=owner, type=Authenticator.Type.WEBAUTHN, data={})
    desk = browser(owner)
    confirm_it_is_you(desk)
    asked = desk.post(f"/organisers/acts/set-role/?on={alice.pk}", SENT)
    assert asked["Location"].startswith("/account/2fa/webauthn/reauthenticate/")
    assert role_now(alice) is None


def test_in_the_administration_nobody_changes_a_password_past_the_sites_own_page(owner):
    desk = browser(owner)
    new = {"old_password": "correct horse", "new_password1": "another long one", "new_password2": "another long one"}
    assert desk.post("/admin/password_change/", new)["Location"] == "/account/password/change/"
    owner.refresh_from_db()
    assert owner.check_password("correct horse")


def test_what_lets_somebody_in_is_recorded_when_they_change_it(alice):
    here = browser(alice)
    confirm_it_is_you(here)
    new = {"oldpassword": "correct horse", "password1": "another long one", "password2": "another long one"}
    here.post("/account/password/change/", new)
    here.post("/account/email/", {"action_add": "", "email": "other@example.org"})
    entries = AuditEntry.objects.filter(target_type="user", target_id=str(alice.pk)).order_by("pk")
    assert [one.action for one in entries] == ["change password", "add address"]
    assert "example.org" not in str([vars(one) for one in entries])
