"""What a person does from registering to leaving, by keyboard alone, with scripts and without."""

import json
import re
import tarfile
from pathlib import Path

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.test import Client
from playwright.sync_api import expect

from leaderboard.core import clock
from leaderboard.models import ApiToken, CaseSet, NoticeStop, Submission, Team, User
from tests.browser.conftest import Visitor
from tests.browser.keyboard import Keyboard
from tests.leaderboard import cast
from tests.leaderboard.web.scene import scored
from tests.outbox import Outbox

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FIRST, SECOND = "a long enough secret", "another long secret"
DORA = "dora@example.org"


class Person:
    """Dora at her keyboard."""

    def __init__(self, visitor: Visitor, mails: Outbox) -> None:
        self.visitor, self.mails, self.keys = visitor, mails, Keyboard(visitor.page)

    def go(self, address: str) -> Keyboard:
        self.visitor.go(address)
        return self.keys

    def sign_in(self, password: str) -> Keyboard:
        keys = self.go("/account/login/")
        keys.write("Email", DORA)
        keys.write("Password", password)
        keys.page.keyboard.press("Enter")
        return keys

    def sign_out(self) -> None:
        self.go("/account/logout/").press("Sign out")
        self.keys.page.wait_for_url(self.visitor.home + "/")


@pytest.fixture(params=[True, False], ids=["scripts", "none"])
def dora(visit, mails, request) -> Person:
    return Person(visit(java_script_enabled=request.param, accept_downloads=True), mails)


def test_somebody_takes_part_by_keyboard_alone(dora, tmp_path):
    phase = cast.phase(slug="dev", cases_are_public=True, runs_per_day=9)
    register(dora)
    get_the_data(dora, phase.case_set)
    hand_in(dora, tmp_path)
    for dice in (0.3, 0.4):
        scored(Team.objects.get(), phase, dice=dice)
    decide_about_runs(dora, Submission.objects.earliest("pk").pk)
    compare(dora)
    run_programs(dora)
    live_with_an_account(dora)
    lose_the_password(dora)
    leave(dora)


def register(dora: Person) -> None:
    keys = dora.go("/account/signup/")
    keys.write("Your name", "Dora")
    keys.write("Affiliation (optional)", "Institute of Keys")
    keys.write("Email", DORA)
    keys.write("Password", FIRST)
    keys.write("Password (again)", FIRST)
    keys.page.keyboard.press("Enter")
    keys.reads("Look into your mail")
    dora.go(dora.mails.link(DORA)).press("Confirm the address")
    keys.write("Team name", "Team of keys")
    keys.press("Found the team")
    keys.reads("Team of keys")
    dora.go("/rules/").tick("I have read the rules")
    keys.press("Accept the rules")
    expect(keys.page.get_by_text("accepted", exact=False).first).to_be_visible()


def get_the_data(dora: Person, cases: CaseSet) -> None:
    cases.terms.create(version=1, text="For research.", published_at=clock.now())
    CaseSet.objects.update(allows_downloads=True, copied_at=clock.now())
    keys = dora.go(f"/data/{cases.name}/")
    keys.tick("I have read the terms")
    keys.press("Accept the terms")
    expect(keys.page.get_by_role("heading", name="All of it")).to_be_visible()


def hand_in(dora: Person, folder: Path) -> None:
    archive = folder / "image.tar.gz"
    archive.write_bytes(tarfile.TarInfo("not-an-image").tobuf() + bytes(1024))
    keys = dora.go("/submit/dev/")
    keys.hand_in("Image archive", archive)
    keys.write("Name on the board", "LungText")
    keys.write("Description", cast.METHOD)
    keys.choose("None")
    keys.press("Submit the run")
    keys.reads("LungText in the Phase dev")


def decide_about_runs(dora: Person, key: int) -> None:
    keys = dora.go(f"/runs/{key}/")
    keys.open("Add a note")
    keys.write(f"Note on submission {key}", "the blue one")
    keys.press("Save the note")
    expect(keys.page.get_by_text("the blue one").first).to_be_visible()
    for first, sure, after in (
        ("Withdraw", "Yes, it shall not count", "Bring back"),
        ("Bring back", "Yes, let it count again", "Withdraw"),
    ):
        keys.open(first)
        keys.press(sure)
        expect(keys.page.locator("summary", has_text=after).first).to_be_visible()


def compare(dora: Person) -> None:
    base, other = Submission.objects.order_by("-pk")[:2]
    keys = dora.go("/runs/compare/")
    keys.select(keys.page.locator("select[name=base]"), f"{base.pk}, ")
    keys.select(keys.page.locator("select[name=run]").first, f"{other.pk}, ")
    keys.press("Compare")
    expect(keys.page).to_have_url(re.compile(f"base={base.pk}&run={other.pk}"))


def run_programs(dora: Person) -> None:
    keys = dora.go("/account/tokens/")
    keys.write("Name", "a script")
    keys.press("Make the token")
    keys.reads("Confirm that it is you")
    keys.write("Password", FIRST)
    keys.press("Go on")
    keys.reads("API tokens")
    token = keys.page.get_by_label("Token", exact=True).input_value()
    asked = Client().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert (asked.status_code, asked.json()["email"]) == (200, DORA)
    keys.press("Revoke a script")
    expect(keys.page.get_by_text("You have none.")).to_be_visible()
    assert not ApiToken.objects.exists()


def live_with_an_account(dora: Person) -> None:
    keys = dora.go("/account/notices/")
    keys.press(keys.page.get_by_role("checkbox").first, "Space")
    keys.press("Keep this choice")
    expect(keys.page.get_by_role("checkbox").first).not_to_be_checked()
    assert NoticeStop.objects.count() == 1
    keys = dora.go("/account/")
    keys.write("Your name", "Dora K.")
    keys.write("ORCID iD (optional)", "0000-0000-0000-0000")
    keys.press("Save")
    expect(keys.page.get_by_text("This ORCID iD is mistyped").first).to_be_visible()
    expect(keys.page.get_by_role("alert").first).to_be_focused()  # at what is wrong, also without a script
    keys.write("ORCID iD (optional)", "")
    keys.select(keys.page.get_by_label("Country"), "Switz")
    keys.press("Save")
    expect(keys.page.get_by_text("Saved.")).to_be_visible()
    assert User.objects.get().country == "CH"
    other = Client()
    other.post("/account/login/", {"login": DORA, "password": FIRST})
    assert other.get("/account/").status_code == 200
    dora.go("/account/sessions/").press(keys.page.get_by_role("button", name="End the session").first)
    expect(keys.page.get_by_role("button", name="End the session")).to_have_count(0)
    add_a_second_factor(dora)


def add_a_second_factor(dora: Person) -> None:
    keys = dora.go("/account/2fa/")
    keys.press("Add an app")  # that it is her she confirmed a moment ago, for a token
    keys.reads("Add an authenticator app")
    secret = keys.page.locator("code").first.inner_text()
    keys.write(
        "Authenticator code",
        totp.format_hotp_value(totp.hotp_value(secret, next(iter(totp.yield_hotp_counters_from_time())))),
    )
    keys.press("Add the app")
    keys.reads("Recovery codes")
    codes = keys.page.get_by_role("main").locator("li code").all_inner_texts()
    dora.visitor.complaints.clear()  # Chromium's, about the status of what was refused
    dora.sign_out()
    dora.sign_in(FIRST)
    keys.reads("Enter a code")
    keys.write("Code", codes[0])
    keys.press("Sign in")
    keys.reads("My runs")
    keys = dora.go("/account/2fa/")
    keys.press("Remove the app")
    keys.reads("Confirm that it is you")
    keys.press("Use authenticator app or code")
    keys.write("Code", codes[1])
    keys.press("Go on")
    keys.reads("Remove the authenticator app")
    keys.press("Remove the app")
    expect(keys.page.get_by_role("link", name="Add an app")).to_be_visible()


def lose_the_password(dora: Person) -> None:
    dora.sign_out()
    keys = dora.go("/account/password/reset/")
    keys.write("Email", DORA)
    keys.page.keyboard.press("Enter")
    keys.reads("Look into your mail")
    keys = dora.go(dora.mails.link(DORA))
    keys.write("New password", SECOND)
    keys.write("New password (again)", SECOND)
    keys.page.keyboard.press("Enter")
    keys.reads("The password is changed")


def leave(dora: Person) -> None:
    keys = dora.sign_in(SECOND)
    keys.reads("My runs")
    keys = dora.go("/account/")
    keys.press("Download your data")
    keys.reads("Confirm that it is you")
    keys.write("Password", SECOND)
    with keys.page.expect_download() as download:
        keys.press("Go on")
    assert json.loads(download.value.path().read_text())["account"]["email"] == DORA
    keys = dora.go("/account/delete/")
    keys.tick("Delete my account")
    keys.press("Delete my account")
    expect(keys.page.get_by_role("link", name="Sign in").first).to_be_visible()
    assert not User.objects.exists()
    assert Team.objects.get().submissions.count() == 3
