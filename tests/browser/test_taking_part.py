"""A stranger takes part: registers, founds a team, a second person joins it, the rules, the first submission."""

import re
import tarfile
from datetime import timedelta

import pytest
from playwright.sync_api import Page, Route, expect

from leaderboard.core import clock
from leaderboard.models import Membership, PreRegistration, Registration, Submission, Team, User
from tests.browser.conftest import PHONE
from tests.leaderboard import cast
from tests.mail_server import text_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "a long enough secret"


def register(page: Page, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Affiliation").fill(f"Institution of {name}")
    page.get_by_label("Email").fill(f"{name.lower()}@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password (again)").fill(PASSWORD)
    page.get_by_role("button", name="Register").click()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "none"])
def test_a_stranger_pre_registers_by_keyboard_and_takes_the_address_off_again(visit, mails, scripts):
    Registration.objects.update_or_create(pk=1, defaults={"opens_at": clock.now() + timedelta(days=3)})
    visitor = visit(viewport=PHONE, java_script_enabled=scripts)
    page = visitor.go("/")
    page.get_by_role("link", name="Pre-register").press("Enter")
    page.get_by_label("Email address").press_sequentially("dora@example.org")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    (message,) = mails.messages("dora@example.org")
    visitor.go(re.findall(r"https?://[^/]+(/pre-registration/\S+)", text_of(message))[0])
    page.get_by_role("button", name="Yes, tell me").press("Enter")
    expect(page.get_by_role("heading", name="You are pre-registered")).to_be_visible()
    page.get_by_role("link", name="Take the address off").press("Enter")
    page.get_by_role("button", name="Take it off").press("Enter")
    expect(page.get_by_role("heading", name="The address is gone")).to_be_visible()
    assert not PreRegistration.objects.exists()


def test_two_strangers_become_a_team_and_submit(visit, tmp_path, mails):
    cast.phase(slug="dev", cases_are_public=True)
    visitor = visit()
    alice = visitor.go("/")
    alice.get_by_role("link", name="Register").first.click()
    register(alice, "Alice")
    expect(alice.get_by_role("heading", name="Look into your mail")).to_be_visible()
    visitor.go(mails.link("alice@example.org"))
    alice.get_by_role("button", name="Confirm the address").click()
    alice.get_by_label("Team name").fill("Team A")
    alice.get_by_role("button", name="Found the team").click()
    link = alice.get_by_label("Link", exact=True).input_value()

    bob = visit()
    page = bob.go(link[link.index("/team/") :])
    page.get_by_role("link", name="Register").last.click()
    register(page, "Bob")
    phone = visit(viewport=PHONE)
    page = phone.go(mails.link("bob@example.org"))
    page.get_by_role("button", name="Confirm the address").click()
    expect(page.get_by_text("Alice (Institution of Alice) made this link")).to_be_visible()
    page.get_by_role("link", name="Sign in").last.click()
    page.get_by_label("Email").fill("bob@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Join Team A?")).to_be_visible()
    page.get_by_role("button", name="Join the team").click()
    expect(page.get_by_role("cell", name="Institution of Alice")).to_be_visible()
    assert Team.objects.get().memberships.count() == 2

    page.get_by_role("link", name="Submit", exact=True).click()
    page.get_by_role("link", name="Read and accept the rules").click()
    page.get_by_label("I have read the rules").check()
    page.get_by_role("button", name="Accept the rules").click()
    fill_in(page, tmp_path)
    page.get_by_role("button", name="Submit the run").click()
    expect(page.get_by_role("heading", name="LungText in the Phase dev")).to_be_visible()
    assert Submission.objects.get().submitted_by == User.objects.get(name="Bob")


def test_a_member_of_before_confirms_the_address_from_the_page_that_asks_for_it(visit, mails):
    alice = cast.person("Alice", confirmed=False, last_login="2026-01-01T00:00Z")
    Membership.objects.create(team=cast.team_of(cast.person("Charlie"), name="Lingula"), user=alice)
    cast.phase(slug="dev")
    visitor = visit(alice, PHONE)
    page = visitor.go("/submit/dev/")
    expect(page.get_by_text("Confirm your email address before you submit")).to_be_visible()
    assert visitor.is_as_wide_as_the_screen()
    page.get_by_role("button", name="Send the message again").click()
    expect(page.get_by_text("is on its way")).to_be_visible()
    visitor.go(mails.link("alice@example.org"))
    page.get_by_role("button", name="Confirm the address").click()
    visitor.go("/submit/dev/")
    expect(page.get_by_label("Name on the board")).to_be_visible()


def fill_in(page: Page, folder, *, method: str = cast.METHOD) -> None:
    archive = folder / "image.tar.gz"
    archive.write_bytes(tarfile.TarInfo("not-an-image").tobuf() + bytes(1024))
    page.get_by_label("Name on the board").fill("LungText")
    page.get_by_label("Description").fill(method)
    page.get_by_label("None").check()
    page.get_by_label("Image archive").set_input_files(archive)


@pytest.fixture
def form(visit):
    """Charlie's browser at an empty form."""
    charlie = cast.person("Charlie")
    cast.team_of(charlie)
    cast.phase(slug="dev")
    visitor = visit(charlie)
    visitor.go("/submit/dev/")
    return visitor


def test_an_error_keeps_the_text_and_the_chosen_file(form, tmp_path):
    page = form.page
    fill_in(page, tmp_path, method=cast.METHOD)
    # The browser's own checks are set aside, so that the server has to answer.
    page.locator("#submission-form").evaluate("form => { form.noValidate = true; }")
    page.get_by_label("Description").fill("Too short.")
    page.get_by_role("button", name="Submit the run").click()
    expect(page.get_by_text("you wrote 10").first).to_be_visible()
    expect(page.get_by_label("Description")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Name on the board")).to_have_value("LungText")
    assert page.get_by_label("Image archive").evaluate("input => input.files[0].name") == "image.tar.gz"
    page.get_by_label("Description").fill(cast.METHOD)
    page.get_by_role("button", name="Submit the run").click()
    expect(page.get_by_role("heading", name="LungText in the Phase dev")).to_be_visible()
    form.complaints[:] = [line for line in form.complaints if "422" not in line]  # Chromium reports the status as such


def test_a_submission_that_arrived_without_an_answer_is_found_again(form, tmp_path):
    page = form.page
    fill_in(page, tmp_path)

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        route.abort("connectionreset")

    page.route("**/send/", lose_the_answer)
    page.get_by_role("button", name="Submit the run").click()
    expect(page.get_by_role("heading", name="LungText in the Phase dev")).to_be_visible()
    assert Submission.objects.count() == 1
    form.complaints.clear()  # Chromium reports the broken line


def test_a_submission_that_did_not_arrive_can_be_sent_again(form, tmp_path):
    page = form.page
    fill_in(page, tmp_path)
    page.route("**/send/", lambda route: route.abort("connectionreset"))
    page.get_by_role("button", name="Submit the run").click()
    expect(page.get_by_text("try again. It never counts twice.")).to_be_visible()
    page.unroute("**/send/")
    page.get_by_role("button", name="Submit the run").click()
    expect(page.get_by_role("heading", name="LungText in the Phase dev")).to_be_visible()
    assert Submission.objects.count() == 1
    form.complaints.clear()


def test_the_form_works_without_a_script(visit, tmp_path):
    charlie = cast.person("Charlie")
    cast.team_of(charlie)
    cast.phase(slug="dev")
    visitor = visit(charlie, java_script_enabled=False)
    page = visitor.go("/submit/dev/")
    fill_in(page, tmp_path, method="Too short." + 100 * " ")  # the browser counts the spaces
    page.get_by_role("button", name="Submit the run").click()
    expect(page.get_by_text("you wrote 10").first).to_be_visible()
    expect(page.locator("#summary")).to_be_focused()
    visitor.complaints.clear()  # Chromium's, about the status
    fill_in(page, tmp_path)
    page.get_by_role("button", name="Submit the run").click()
    expect(page.get_by_role("heading", name="LungText in the Phase dev")).to_be_visible()


def test_a_file_that_is_too_large_is_said_before_the_upload(visit, tmp_path):
    charlie = cast.person("Charlie")
    cast.team_of(charlie)
    cast.phase(slug="dev", max_archive_bytes=10)
    page = visit(charlie).go("/submit/dev/")
    fill_in(page, tmp_path)
    expect(page.get_by_text("this phase takes up to 10 bytes").first).to_be_visible()
    assert not Submission.objects.exists()


def test_the_external_data_asks_for_nothing_more_after_none(form):
    page = form.page
    expect(page.get_by_label("Data sets and pre-trained models")).to_be_visible()
    page.get_by_label("None").check()
    expect(page.get_by_label("Data sets and pre-trained models")).to_be_hidden()
