"""Nobody locks anybody out, and nobody guesses for free: by address, account and device."""

import re
from datetime import timedelta
from io import StringIO

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.db.models import F

from leaderboard.models import Throttle
from leaderboard.people import sign_in as policy
from leaderboard.people import throttle
from leaderboard.web.accounts.adapter import Adapter
from leaderboard.web.accounts.clients import COOKIE, address_of, device_of
from tests.leaderboard import cast
from tests.leaderboard.web.accounts.conftest import bare, is_in, sign_in
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db

RIGHT, WRONG = "correct horse", "battery staple"
ALICE = "alice@example.org"


@pytest.fixture
def alice():
    return cast.person("Alice")


def guess(client, times, email=ALICE):
    """The last of so many answers to wrong passwords."""
    answers = [sign_in(client, email, f"{WRONG} {number}") for number in range(times)]
    return answers[-1]


def let_pass(**length):
    Throttle.objects.update(at=F("at") - timedelta(**length))


def is_turned_away(answer) -> bool:
    return answer.status_code == 429


def test_wrong_passwords_from_one_address_keep_the_owner_out_from_no_other(alice, from_address):
    assert is_turned_away(guess(from_address("198.51.100.7"), 7))
    owner = from_address("192.0.2.1")
    sign_in(owner, ALICE, RIGHT)
    assert is_in(owner)


def test_the_answer_says_how_long_and_the_right_password_is_not_looked_at_before(alice, from_address):
    guesser = from_address()
    guess(guesser, policy.PAIR.free)
    answer = sign_in(guesser, ALICE, RIGHT)
    assert is_turned_away(answer)
    seconds = int(answer["Retry-After"])
    assert 1 <= seconds <= 11
    assert re.search(r"wait \d+ seconds?, then try again", page(answer).text)
    assert not is_in(guesser)


def test_the_delay_grows_and_is_bounded(alice, from_address):
    guesser, waits = from_address(), []
    for _ in range(policy.PAIR.free + 9):
        answer = guess(guesser, 1)
        if is_turned_away(answer):
            waits.append(int(answer["Retry-After"]))
            let_pass(seconds=waits[-1])
            assert not is_turned_away(guess(guesser, 1))
    assert waits[:3] == sorted(waits[:3])
    assert waits[0] < waits[1] < waits[2]
    assert max(waits) <= policy.PAIR.longest_seconds + 1


def test_who_keeps_knocking_waits_no_longer_for_it(alice, from_address):
    guesser = from_address()
    guess(guesser, policy.PAIR.free)
    first = int(guess(guesser, 1)["Retry-After"])
    assert int(guess(guesser, 40)["Retry-After"]) <= first


def test_a_right_password_begins_anew(alice, from_address):
    person = from_address()
    for _ in range(3):
        guess(person, policy.PAIR.free - 1)
        sign_in(person, ALICE, RIGHT)
        assert is_in(person)
        person.logout()
        person.cookies.clear()


def test_a_known_device_gets_in_whatever_others_try_from_wherever(alice, from_address):
    owner = from_address("192.0.2.1")
    sign_in(owner, ALICE, RIGHT)
    owner.post("/account/logout/")
    assert not is_in(owner)
    for number in range(policy.ACCOUNT.free + 2):
        guess(from_address(f"198.51.100.{number}"), 1)
    assert is_turned_away(guess(from_address("203.0.113.1"), 1)), "each further address has to wait for all"
    guess(from_address("192.0.2.1"), 7)
    sign_in(owner, ALICE, RIGHT)
    assert is_in(owner)


def test_a_known_device_is_no_way_to_guess_for_free(alice, from_address):
    thief = from_address()
    sign_in(thief, ALICE, RIGHT)
    thief.post("/account/logout/")
    assert is_turned_away(guess(thief, policy.DEVICE.free + 1))


def test_the_device_of_one_account_is_strange_to_another(alice, from_address):
    cast.person("Charlie")
    charlie = from_address()
    sign_in(charlie, "charlie@example.org", RIGHT)
    charlie.post("/account/logout/")
    for number in range(policy.ACCOUNT.free):
        guess(from_address(f"198.51.100.{number}"), 1)
    assert is_turned_away(guess(charlie, 1))


def test_an_address_that_somebody_merely_added_opens_no_account(alice, from_address):
    """Its owner's tries would be counted as one's own, and one's device known for it."""
    EmailAddress.objects.create(user=alice, email="merely@example.org", verified=False)
    client = from_address()
    sign_in(client, "merely@example.org", RIGHT)
    assert not is_in(client)
    sign_in(client, ALICE, RIGHT)
    assert is_in(client)


@pytest.mark.parametrize(("confirmed", "known"), [(True, True), (False, False)])
def test_a_device_is_known_for_an_address_that_is_the_accounts_own(alice, rf, confirmed, known):
    """Whichever way somebody comes in: else an account to which a stranger's address was added could guess there."""
    other = "other@example.org"
    EmailAddress.objects.create(user=alice, email=other, verified=confirmed)
    request = rf.get("/")
    request.session = SessionStore()
    request._messages = FallbackStorage(request)
    request.user = alice
    how = {"email_verification": "optional", "signal_kwargs": None, "signup": False, "redirect_url": "/"}
    answer = Adapter().post_login(request, alice, email=other, **how)
    later = rf.get("/")
    later.user = AnonymousUser()
    later.COOKIES[COOKIE] = answer.cookies[COOKIE].value
    assert bool(device_of(later, other)) == known
    assert bool(device_of(later, ALICE)) == (not known)


@pytest.mark.parametrize("forged", ["", "nonsense", "eyJkZXZpY2UiOiJhIn0:1x:y"])
def test_a_cookie_that_we_did_not_write_makes_no_device_known(alice, from_address, forged):
    guesser = from_address()
    guesser.cookies[COOKIE] = forged
    assert is_turned_away(guess(guesser, policy.PAIR.free + 1))


def test_the_cookie_is_for_us_alone_and_names_nobody(alice, from_address):
    owner = from_address()
    cookie = sign_in(owner, ALICE, RIGHT).cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert int(cookie["max-age"]) > 300 * 24 * 3600
    assert "alice" not in cookie.value


def test_one_address_that_tries_many_accounts_is_slowed(alice, from_address):
    guesser = from_address()
    answers = [sign_in(guesser, f"person{number}@example.org", WRONG) for number in range(policy.ADDRESS.free + 1)]
    assert [is_turned_away(answer) for answer in answers] == [False] * policy.ADDRESS.free + [True]


def test_an_account_of_ones_own_wipes_nothing_of_what_an_address_did(alice, from_address):
    cast.person("Mallory")
    guesser = from_address()
    for number in range(policy.ADDRESS.free):
        sign_in(guesser, f"person{number}@example.org", WRONG)
        if number % 10 == 0:
            sign_in(guesser, "mallory@example.org", RIGHT)
            guesser.logout()
            guesser.cookies.clear()
    assert is_turned_away(sign_in(guesser, ALICE, WRONG))


def test_a_network_of_ipv6_is_one_address(alice, from_address):
    for number in range(policy.PAIR.free):
        guess(from_address(f"2001:db8:1:2::{number + 1:x}"), 1)
    assert is_turned_away(guess(from_address("2001:db8:1:2:ffff::9"), 1))
    assert not is_turned_away(guess(from_address("2001:db8:1:3::1"), 1))


@pytest.mark.parametrize(
    ("remote", "seen"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_what_counts_as_an_address(rf, remote, seen):
    assert address_of(rf.get("/", REMOTE_ADDR=remote)) == seen


def test_a_header_names_the_address_only_behind_our_own_proxy(rf, settings):
    request = rf.get("/", REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR="203.0.113.9, 198.51.100.7")
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 0
    assert address_of(request) == "192.0.2.1"
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    assert address_of(request) == "198.51.100.7", "what the proxy added, not what the client claims"


def test_changing_the_header_at_each_try_helps_nobody(alice, from_address):
    guesser = from_address()
    for number in range(policy.PAIR.free):
        sign_in_with = {"login": ALICE, "password": WRONG}
        guesser.post("/account/login/", sign_in_with, headers={"x-forwarded-for": f"203.0.113.{number}"})
    assert is_turned_away(guess(guesser, 1))


def test_an_unknown_account_is_counted_and_answered_like_a_known_one(alice, from_address):
    def answers(email, address):
        client = from_address(address)
        found = [guess(client, 1, email) for _ in range(policy.PAIR.free + 1)]
        return [(answer.status_code, re.sub(r"wait \d+", "", bare(answer, email))) for answer in found]

    known, unknown = answers(ALICE, "192.0.2.1"), answers("nobody@example.org", "192.0.2.2")
    for one, other in zip(known, unknown, strict=True):
        assert one[0] == other[0]
        assert one[1].splitlines() == other[1].splitlines()


@pytest.mark.parametrize("way", ["administration", "command line"])
def test_who_sets_the_password_opens_the_door(alice, from_address, admin_client, monkeypatch, way):
    person, new = from_address(), "n3w enough secret"
    guess(person, policy.PAIR.free)
    if way == "administration":
        words = {"password1": new, "password2": new, "usable_password": "true"}
        assert admin_client.post(f"/admin/leaderboard/user/{alice.pk}/password/", words).status_code == 302
    else:
        monkeypatch.setattr("getpass.getpass", lambda prompt: new)
        call_command("changepassword", "alice", stdout=StringIO())
    sign_in(person, ALICE, new)
    assert is_in(person)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/account/password/change/", {"oldpassword": WRONG, "password1": "n3w enough secret", "password2": "x"}),
        ("/account/reauthenticate/", {"password": WRONG}),
    ],
)
def test_behind_the_door_the_password_is_guessed_no_quicker(alice, from_address, address, words):
    """Somebody sits down at a device that was left alone."""
    client = from_address()
    sign_in(client, ALICE, RIGHT)
    answers = [client.post(address, words) for _ in range(policy.DEVICE.free + 1)]
    assert [answer.status_code for answer in answers] == [200] * policy.DEVICE.free + [429]
    assert "Retry-After" in answers[-1]
    assert "wait" in page(answers[-1]).text


def test_a_known_device_may_change_its_password_while_others_guess(alice, from_address):
    owner = from_address()
    sign_in(owner, ALICE, RIGHT)
    for number in range(policy.ACCOUNT.free + 1):
        guess(from_address(f"198.51.100.{number}"), 1)
    new = {"oldpassword": RIGHT, "password1": "n3w enough secret", "password2": "n3w enough secret"}
    assert owner.post("/account/password/change/", new).status_code == 302


def test_what_is_counted_is_kept_as_hashes_and_not_for_ever(alice, from_address):
    guess(from_address("198.51.100.7"), 2)
    kept = str(list(Throttle.objects.values()))
    assert "alice" not in kept
    assert "198.51.100" not in kept
    let_pass(days=2)
    throttle.forget_old()
    assert not Throttle.objects.exists()
