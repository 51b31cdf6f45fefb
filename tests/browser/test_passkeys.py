"""Passkeys in a real browser: its own virtual authenticator makes keys and signs with them."""

import pytest
from playwright.sync_api import Page, expect

from leaderboard.models import AuditEntry, OutgoingMail
from tests.browser import axe
from tests.browser.conftest import PHONE
from tests.leaderboard import cast

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def plug_in_a_key(page: Page) -> None:
    """An authenticator that asks its owner, who agrees, and keeps passkeys."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def sign_in(page: Page) -> None:
    page.get_by_label("Email").fill("alice@example.org")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Sign in", exact=True).click()


def sign_out(page: Page, home: str) -> None:
    page.goto(f"{home}/account/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign out").click()


def check_by_axe(page: Page) -> None:
    axe.bring(page)
    assert axe.found(page) + axe.references_to_nothing(page) == []


def test_a_passkey_is_added_asked_for_and_replaces_the_password(visit):
    alice = cast.person("Alice")
    cast.team_of(alice)
    visitor = visit(viewport=PHONE)
    page, home = visitor.page, visitor.home
    plug_in_a_key(page)
    visitor.go("/account/login/?next=/account/2fa/")
    sign_in(page)
    page.get_by_role("link", name="Add a key").click()
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Name").fill("My phone")
    page.get_by_label("Also sign in with it").check()
    page.get_by_role("button", name="Add the key").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    assert visitor.is_as_wide_as_the_screen()

    sign_out(page, home)
    visitor.go("/account/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page).to_have_url(f"{home}/runs/")

    sign_out(page, home)
    visitor.go("/account/login/")
    sign_in(page)
    page.get_by_role("button", name="Use a passkey or security key").click()
    expect(page).to_have_url(f"{home}/runs/")

    visitor.go("/account/2fa/webauthn/")
    expect(page.get_by_role("row", name="My phone")).to_contain_text("passkey")
    assert visitor.is_as_wide_as_the_screen()
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("link", name="key", exact=False).first.click()
    check_by_axe(page)
    page.get_by_role("button", name="Use a key").click()
    expect(page.get_by_role("button", name="Remove the key")).to_be_visible()
    check_by_axe(page)
    removal = page.url
    page.goto(removal.replace("/remove/", "/edit/"))
    expect(page.get_by_label("Name")).to_have_value("My phone")
    check_by_axe(page)
    page.goto(removal)
    page.get_by_role("button", name="Remove the key").click()
    expect(page.get_by_text("You have none.")).to_be_visible()
    actions = AuditEntry.objects.filter(user_id=alice.pk).values_list("action", flat=True)
    assert set(actions) == {
        "create team",
        "add passkey",
        "add recovery codes",
        "remove passkey",
        "remove recovery codes",
    }
    told = OutgoingMail.objects.filter(to="alice@example.org").order_by("pk").values_list("subject", flat=True)
    subjects = [subject.partition(": ")[2] for subject in told]
    assert subjects == ["A passkey was added", "A passkey was removed"]


def test_without_a_key_the_page_says_so_and_without_scripts_what_is_missing(visit):
    cast.team_of(cast.person("Alice"))
    visitor = visit()
    devtools = visitor.page.context.new_cdp_session(visitor.page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options | {"isUserVerified": False}})
    page = visitor.go("/account/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("The key was not used")
    plain = visit(java_script_enabled=False).go("/account/login/")
    expect(plain.get_by_text("Passkeys and security keys need scripts")).to_be_visible()
    expect(plain.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    sign_in(plain)
    expect(plain.get_by_role("heading", name="My runs")).to_be_visible()
