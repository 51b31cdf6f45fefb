"""A second factor: added, asked for, counted as passwords are, taken away by whoever lost the phone."""

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.test import Client

from leaderboard.core import clock
from leaderboard.models import AuditEntry
from leaderboard.people import sign_in as policy
from leaderboard.people import tokens
from tests.leaderboard import cast
from tests.leaderboard.web.accounts.conftest import confirm_it_is_you, is_in, sign_in
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db

RIGHT, ALICE = "correct horse", "alice@example.org"
AUTHENTICATE = "/account/2fa/authenticate/"


@pytest.fixture
def alice():
    return cast.person("Alice")


def code_of(secret: str, later: int = 0) -> str:
    """What the app shows now, or one step later, which is right as well; each is taken once only."""
    _, now, _ = totp.yield_hotp_counters_from_time()
    return totp.format_hotp_value(totp.hotp_value(secret, now + later))


@pytest.fixture
def secret(alice) -> str:
    """The secret of the app that Alice added."""
    made = totp.generate_totp_secret()
    totp.TOTP.activate(alice, made)
    return made


def wrong(secret: str) -> str:
    return f"{(int(code_of(secret)) + 7) % 10**6:06}"


def test_an_app_is_added_after_the_password_and_asked_for_from_then_on(
    alice, from_address, django_capture_on_commit_callbacks
):
    here = from_address()
    sign_in(here, ALICE, RIGHT)
    add = "/account/2fa/totp/activate/"
    assert here.get(add)["Location"].startswith("/account/reauthenticate/")
    confirm_it_is_you(here)
    [shown] = re.findall(r"<code>([A-Z2-7]+)</code>", here.get(add).content.decode())
    assert "not right" in page(here.post(add, {"code": wrong(shown)})).text
    with django_capture_on_commit_callbacks(execute=True):
        answer = here.post(add, {"code": code_of(shown)}, follow=True)
    recovery = re.findall(r"<code>(\d{8})</code>", answer.content.decode())
    assert len(recovery) == 10
    assert "On since" in page(here.get("/account/2fa/")).text

    there = from_address()
    assert sign_in(there, ALICE, RIGHT)["Location"] == AUTHENTICATE
    assert not is_in(there)
    assert "not right" in page(there.post(AUTHENTICATE, {"code": wrong(shown)})).text
    assert not is_in(there)
    there.post(AUTHENTICATE, {"code": code_of(shown, later=1)})
    assert is_in(there)

    lost = from_address()
    for code, lets_in in ((recovery[0], True), (recovery[0], False)):
        lost.post("/account/logout/")
        sign_in(lost, ALICE, RIGHT)
        lost.post(AUTHENTICATE, {"code": code})
        assert is_in(lost) is lets_in, "a recovery code is taken once"
    kept = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES).wrap()
    assert all(kept.validate_code(code) for code in recovery[1:])
    assert "None is left" in page(here.get("/account/2fa/")).text
    assert list(AuditEntry.objects.filter(user_id=alice.pk).values_list("action", flat=True)) == [
        "add recovery codes",
        "add authenticator app",
    ]


def test_codes_are_counted_as_passwords_are(alice, secret, from_address):
    guesser = from_address("198.51.100.7")
    sign_in(guesser, ALICE, RIGHT)
    answers = [guesser.post(AUTHENTICATE, {"code": wrong(secret)}) for _ in range(policy.PAIR.free + 1)]
    assert [one.status_code for one in answers] == [200] * policy.PAIR.free + [429]
    assert int(answers[-1]["Retry-After"]) >= 1
    assert "Too many codes" in page(answers[-1]).text
    sign_in(guesser, ALICE, RIGHT)
    assert guesser.post(AUTHENTICATE, {"code": code_of(secret)}).status_code == 429, "the right one is not looked at"
    assert not is_in(guesser)

    owner = from_address("192.0.2.1")
    sign_in(owner, ALICE, RIGHT)
    owner.post(AUTHENTICATE, {"code": code_of(secret)})
    assert is_in(owner), "from another network, nobody is held up by it"
    tries = [owner.post("/account/2fa/reauthenticate/", {"code": wrong(secret)}) for _ in range(policy.DEVICE.free + 1)]
    assert tries[-1].status_code == 429


def test_a_code_is_taken_once_while_it_is_right_whatever_the_broker_remembers(alice, secret, from_address, settings):
    """Its memory holds for half a minute, is lost when it is flushed, and may be away; a code is right for longer."""
    code = code_of(secret, later=1)
    spelled = f" {code[:3]}-{code[3:]}"
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    for browser, typed, lets_in in ((from_address(), code, True), (from_address(), spelled, False)):
        sign_in(browser, ALICE, RIGHT)
        browser.post(AUTHENTICATE, {"code": typed})
        assert is_in(browser) is lets_in


def test_a_new_password_by_email_makes_nothing_good_of_codes(alice, secret, from_address):
    guesser = from_address()
    sign_in(guesser, ALICE, RIGHT)
    for _ in range(policy.PAIR.free):
        guesser.post(AUTHENTICATE, {"code": wrong(secret)})
    policy.forgive(ALICE)
    assert guesser.post(AUTHENTICATE, {"code": code_of(secret)}).status_code == 429


def test_organisers_add_one_before_anything_else_where_it_is_asked_for(alice, settings):
    olga = cast.person("Olga", is_staff=True, is_superuser=True)
    desk = Client()
    desk.force_login(olga)
    assert desk.get("/admin/").status_code == 200
    settings.STAFF_SECOND_FACTOR = True
    for address in ("/admin/", "/organisers/health/", "/metrics", "/runs/", "/"):
        assert desk.get(address)["Location"] == "/account/2fa/", address
    assert "Organisers need a second factor" in page(desk.get("/account/2fa/")).text
    _, text = tokens.issue(olga, name="made there", scopes=["read"])
    assert tokens.find(text, clock.now()) is None, "a token is no way around it"
    totp.TOTP.activate(olga, totp.generate_totp_secret())
    assert desk.get("/admin/").status_code == 200
    assert tokens.find(text, clock.now())
    other = Client()
    other.force_login(alice)
    assert other.get("/team/").status_code == 200, "nobody else is asked"


def test_organisers_help_whoever_lost_the_phone(alice, secret, from_address):
    desk = Client()
    desk.force_login(cast.person("Olga", is_staff=True, is_superuser=True))
    told = {"action": "remove_second_factors", "_selected_action": alice.pk, "why": "she called"}
    desk.post("/admin/leaderboard/user/", told)
    assert not Authenticator.objects.filter(user=alice).exists()
    entry = AuditEntry.objects.get(action="remove second factors")
    assert (entry.target, entry.why, entry.before) == ("Alice", "she called", {"factors": ["totp"]})
    here = from_address()
    sign_in(here, ALICE, RIGHT)
    assert is_in(here)


def test_the_administration_shows_nobodys_secrets():
    desk = Client()
    desk.force_login(cast.person("Olga", is_staff=True, is_superuser=True))
    for kind in ("mfa/authenticator", "usersessions/usersession", "socialaccount/socialtoken"):
        assert desk.get(f"/admin/{kind}/").status_code == 404
