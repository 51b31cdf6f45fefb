"""Whatever lets somebody in is told to its owner when it changes, by each page that does it, and nobody stops it."""

import re
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal import auth as totp

from leaderboard.core import clock
from leaderboard.models import NoticeKind, NoticeStop, OutgoingMail
from leaderboard.people import account_mails, tokens
from leaderboard.people.addresses import confirm
from tests.leaderboard import cast
from tests.leaderboard.web.accounts.conftest import confirm_it_is_you, sign_in
from tests.leaderboard.web.scene import page
from tests.mail_server import text_of

pytestmark = pytest.mark.django_db
ALICE, RIGHT, NEW = "alice@example.org", "correct horse", "another long secret"
PREFIX = "ReXGrounding Challenge: "


@pytest.fixture
def alice():
    alice = cast.person("Alice")
    NoticeStop.objects.bulk_create(NoticeStop(user=alice, kind=kind, at=clock.now()) for kind in NoticeKind.values)
    return alice


@pytest.fixture
def here(alice, from_address):
    browser = from_address()
    sign_in(browser, ALICE, RIGHT)
    confirm_it_is_you(browser)
    return browser


def told(to: str = ALICE) -> list[str]:
    subjects = OutgoingMail.objects.filter(to=to).order_by("pk").values_list("subject", flat=True)
    return [subject.removeprefix(PREFIX) for subject in subjects]


def test_of_a_new_token_its_name_and_scopes_are_told_and_not_the_token(mails, here):
    sent = {"name": "Training <b>server</b>", "scopes": ["read", "submit"], "days": "30"}
    [made] = re.findall(r"rexg_pat_\w+", here.post("/account/tokens/", sent).content.decode())
    (message,) = mails.messages(ALICE)
    assert message["Subject"] == f"{PREFIX}An API token was made"
    assert message["List-Unsubscribe"] is None
    html = message.get_body(("html",)).get_content()
    assert "named “Training <b>server</b>”" in text_of(message)
    assert "Training &lt;b&gt;server&lt;/b&gt;" in html
    for words in (text_of(message), html):
        assert "/account/tokens/" in words
        assert "If it was not you" in words
        assert made not in words


def test_a_new_password_is_told_with_the_tokens_that_it_does_not_end(mails, alice, here):
    assert "ends no API token" in page(here.get("/account/password/change/")).text
    changed = {"oldpassword": RIGHT, "password1": NEW, "password2": NEW}
    assert here.post("/account/password/change/", changed).status_code == 302
    _, text = tokens.issue(alice, name="mine", scopes=["read"])
    here.post("/account/password/reset/", {"email": ALICE})
    by_link = here.get(mails.link(ALICE), follow=True).request["PATH_INFO"]
    done = here.post(by_link, {"password1": RIGHT, "password2": RIGHT}, follow=True)
    assert "ends no API token" in page(done).text
    assert [subject for subject in told() if "password was" in subject] == ["Your password was changed"] * 2
    before, after = [text_of(one) for one in mails.messages(ALICE) if "password was" in one["Subject"]]
    assert "API tokens of your account go on working" not in before
    assert "API tokens of your account go on working" in after
    assert tokens.find(text, alice.date_joined) is not None


def test_an_app_is_told_when_it_is_added_and_removed(here, django_capture_on_commit_callbacks):
    add = "/account/2fa/totp/activate/"
    [secret] = re.findall(r"<code>([A-Z2-7]+)</code>", here.get(add).content.decode())
    _, now, _ = totp.yield_hotp_counters_from_time()
    with django_capture_on_commit_callbacks(execute=True):
        here.post(add, {"code": totp.format_hotp_value(totp.hotp_value(secret, now))})
    assert told() == ["An authenticator app was added"]
    here.post("/account/2fa/totp/deactivate/")
    assert told()[-1] == "An authenticator app was removed"


def test_the_old_address_is_told_of_the_new_one(alice, here):
    confirm(alice)
    EmailAddress.objects.create(user=alice, email="new@example.org", verified=True)
    here.post("/account/email/", {"action_primary": "", "email": "new@example.org"})
    assert told()[-1] == "Your email address was changed"
    here.post("/account/email/", {"action_remove": "", "email": ALICE})
    assert told("new@example.org")[-1] == "An email address was removed"


def test_what_organisers_change_is_told_too(alice, admin_client):
    alice.authenticator_set.create(type="totp", data={"secret": "x"})
    chosen = {"action": "remove_second_factors", "_selected_action": [alice.pk], "why": "Lost."}
    admin_client.post("/admin/leaderboard/user/", chosen)
    admin_client.post(f"/admin/leaderboard/user/{alice.pk}/password/", {"password1": NEW, "password2": NEW})
    assert told() == ["Your second factors were removed", "Your password was changed"]


def test_nothing_that_allauth_tells_is_without_words_here():
    from allauth import account, mfa, socialaccount

    sent = {
        name
        for package in (account, mfa, socialaccount)
        for path in Path(package.__file__).parent.rglob("*.py")
        for name in re.findall(r'send_notification_mail\(\s*"\w+/email/(\w+)"', path.read_text())
    }
    assert {"password_changed", "webauthn_added", "account_connected"} <= sent
    assert sent - account_mails.CHANGES.keys() == set()
