"""Teams without scripts and by keyboard alone: Alice invites, Eve joins by the message, Bob takes the team over."""

import re

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from leaderboard.models import OutgoingMail, TeamApproval
from leaderboard.people import approvals, invitations
from tests.browser.conftest import PHONE
from tests.browser.keyboard import Keyboard
from tests.leaderboard import cast

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NARROW: ViewportSize = {"width": 320, "height": 700}


def press(page: Page, target: Locator, key: str = "Enter") -> None:
    """Go to it by Tab from where the focus is, and press the key."""
    Keyboard(page).press(target, key)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name)


def test_a_team_grows_and_is_handed_over_by_keyboard_and_without_scripts(visit):
    people = {name: cast.person(name) for name in ("Alice", "Bob", "Charlie", "Eve")}
    team = cast.team_of(people["Alice"], people["Bob"], name="Alice and Bob")
    cast.team_of(people["Charlie"], name="Rivals")
    cast.phase(requires_approval=True)
    alice = visit(people["Alice"], NARROW, java_script_enabled=False)
    page = alice.go("/team/")
    press(page, page.get_by_label("Email address"), "e")
    page.keyboard.type("ve@example.org")
    page.keyboard.press("Enter")
    expect(page.get_by_text("An invitation to eve@example.org is on its way.")).to_be_visible()
    assert alice.is_as_wide_as_the_screen()
    mail = OutgoingMail.objects.get(to="eve@example.org")
    [link] = re.findall(r"http://\S+?(/team/invitation/\S+)", mail.body)

    stranger = visit(None, NARROW, java_script_enabled=False)
    expect(stranger.go(link).get_by_text("Alice invites you")).to_be_visible()
    assert stranger.is_as_wide_as_the_screen()
    eve = visit(people["Eve"], PHONE, java_script_enabled=False)
    page = eve.go(link)
    press(page, button(page, "Join the team"))
    expect(page.get_by_role("heading", name="Alice and Bob")).to_be_visible()
    press(page, button(page, "Ask for approval"))
    expect(page.get_by_text("You can prepare drafts meanwhile.")).to_be_visible()
    approvals.approve(TeamApproval.objects.get(), by=cast.OPERATOR)

    page = alice.go("/team/")
    expect(page.get_by_text("Approved", exact=True)).to_be_visible()
    press(page, page.locator("summary", has_text="Bob"))
    press(page, button(page, "Hand the team over"))
    expect(page.get_by_text("Bob is asked to be the captain.")).to_be_visible()
    bob = visit(people["Bob"], NARROW, java_script_enabled=False)
    page = bob.go("/team/")
    assert bob.is_as_wide_as_the_screen()
    press(page, button(page, "Become the captain"))
    expect(page.get_by_text("You are the captain now.")).to_be_visible()
    press(page, page.locator("summary", has_text="Alice"))
    assert bob.is_as_wide_as_the_screen()
    press(page, page.get_by_role("row", name="Alice").get_by_label("Reason"), "S")
    page.keyboard.type("he moved on.")
    press(page, button(page, "Remove from the team"))
    expect(page.get_by_text("Removed from the team, and told why.")).to_be_visible()
    assert list(team.memberships.order_by("pk").values_list("user__name", flat=True)) == ["Bob", "Eve"]

    invitations.invite(people["Bob"], team, "zoe@example.org")
    charlie = visit(people["Charlie"], PHONE)
    for address in ("/team/", "/team/edit/", "/submit/test/", link, f"/team/join/{team.join_code[:-1]}x/"):
        expect(charlie.go(address).get_by_text("Alice and Bob")).to_have_count(0)
    charlie.complaints.clear()  # Chromium's own words about a 404
