"""The pages in a real browser: at a desk and on a phone, by keyboard, with and without scripts."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from leaderboard.core import clock, events
from leaderboard.models import Phase, RunCase
from tests.browser.conftest import PHONE, WIDE
from tests.leaderboard import cast
from tests.leaderboard.web.scene import in_state, scored

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def alice():
    return cast.person("Alice")


@pytest.fixture
def phase(alice) -> Phase:
    """An open phase with rows of a long-named team and of Alice's."""
    made = cast.phase(slug="dev", cases_are_public=True)
    long = cast.team_of(cast.person("Charlie"), name="The Joint Laboratory of Very Long Names and Sentences")
    scored(cast.team_of(alice, name="Alice and Bob"), made, dice=0.4, lost=2)
    scored(long, made, dice=0.5)
    return made


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize(
    "address",
    ["/", "/leaderboard/dev/", "/leaderboard/dev/?open=alice-and-bob", "/guidelines/", "/rules/", "/team/", "/runs/",
     "/submit/dev/", "/account/email/"],
)  # fmt: skip
def test_no_page_scrolls_sideways(visit, phase, alice, viewport, address):
    visitor = visit(alice, viewport)
    visitor.go(address)
    assert visitor.is_as_wide_as_the_screen()


def test_a_row_opens_by_keyboard_in_place(visit, phase):
    page = visit().go("/leaderboard/dev/")
    page.evaluate("window.stayed = true")
    link = page.get_by_role("link", name="Alice and Bob")
    link.focus()
    page.keyboard.press("Enter")
    expect(link).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("heading", name="Method")).to_be_visible()
    expect(link).to_be_focused()
    assert page.evaluate("window.stayed")
    assert "open=alice-and-bob" in page.url


def test_the_address_of_an_opened_row_leads_back_to_it(visit, phase):
    page = visit().go("/leaderboard/dev/")
    page.get_by_role("link", name="Alice and Bob").click()
    expect(page.get_by_role("heading", name="Method")).to_be_visible()
    page.get_by_role("link", name="Overall track").click()
    expect(page.get_by_role("heading", name="Method")).to_have_count(0)
    page.go_back()
    expect(page.get_by_role("heading", name="Method")).to_be_visible()


def test_filters_and_rows_work_without_a_script(visit, phase):
    page = visit(java_script_enabled=False).go("/leaderboard/dev/")
    page.get_by_label("Findings").select_option("focal")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("caption").first).to_contain_text("Focal only")
    page.get_by_role("link", name="Alice and Bob").click()
    expect(page.get_by_role("heading", name="Method")).to_be_visible()


def test_times_are_shown_by_two_clocks(visit, phase):
    page = visit().go("/")
    expect(page.locator(".phase-line local-time")).to_contain_text(re.compile(r"your time \(UTC−[78]\)"))


def test_the_skip_link_is_the_first_stop_of_the_keyboard(visit, phase):
    page = visit().go("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


@pytest.mark.parametrize(("theme", "paper"), [("Dark", "rgb(21, 24, 27)"), ("Light", "rgb(251, 251, 248)")])
def test_a_theme_overrides_the_systems(visit, phase, theme, paper):
    page = visit(color_scheme="light" if theme == "Dark" else "dark").go("/rules/")
    page.get_by_role("button", name=theme).click()
    expect(page.locator("body")).to_have_css("background-color", paper)


def test_icons_are_drawn_under_the_policy_in_the_colours_of_the_theme(visit, phase):
    page = visit(color_scheme="dark").go("/leaderboard/dev/")
    icon = page.locator(".lost svg").first
    expect(icon).to_have_css("stroke", "rgb(255, 144, 134)")
    assert page.evaluate("[...document.querySelectorAll('svg > use')].every(use => use.getBBox().width > 0)")
    drawn = icon.screenshot()
    icon.evaluate("svg => { svg.style.stroke = 'none'; }")
    assert drawn != icon.screenshot(), "the sprite's shapes take their colour from the page"


def test_the_bibtex_is_copied(visit, phase):
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    page = visitor.go("/")
    page.get_by_role("button", name="Copy BibTeX").first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith("@article{baharoon2026")


def test_a_run_moves_on_by_itself_until_it_ends(visit, phase, alice):
    run = in_state(cast.submit_checked(alice.team, phase).runs.get(), "running")
    page = visit(alice).go(f"/runs/{run.submission.pk}/")
    expect(page.locator(".bignum").first).to_contain_text("0 of 3 cases")
    RunCase.objects.filter(run=run, position=0).update(
        outcome="finished", decided_at=clock.now() - timedelta(minutes=2)
    )
    events._announce(run.submission.pk)
    expect(page.locator(".bignum").first).to_contain_text("1 of 3 cases")
    expect(page.locator("#live-status")).to_contain_text("30 % done")
    in_state(run, "failed", reason="Three cases in a row failed.", ended_at=clock.now())
    events._announce(run.submission.pk)
    expect(page.get_by_role("heading", name="Failed")).to_be_visible()
    expect(page).to_have_title(re.compile("^Failed: "))
    assert page.locator("#live").get_attribute("hx-get") is None


def test_a_page_whose_updates_do_not_come_any_more_says_since_when(visit, phase, alice):
    run = in_state(cast.submit_checked(alice.team, phase).runs.get(), "running")
    visitor = visit(alice)
    page = visitor.go(f"/runs/{run.submission.pk}/")
    expect(page.get_by_text("Updates by itself")).to_be_visible()
    page.route("**/panel/*", lambda route: route.abort())
    expect(page.get_by_text(re.compile(r"Not connected since \d\d:\d\d"))).to_be_visible()
    expect(page.get_by_text("Updates by itself")).to_be_hidden()
    page.unroute("**/panel/*")
    expect(page.get_by_text("Updates by itself")).to_be_visible()
    expect(page.get_by_text("Not connected")).to_be_hidden()
    assert any("ERR_FAILED" in complaint for complaint in visitor.complaints)
    visitor.complaints.clear()  # the browser's, about the requests that we broke off


def test_who_was_signed_out_meanwhile_keeps_the_page_and_reads_that_it_is_old(visit, phase, alice):
    run = in_state(cast.submit_checked(alice.team, phase).runs.get(), "running")
    page = visit(alice).go(f"/runs/{run.submission.pk}/")
    page.context.clear_cookies()
    expect(page.get_by_text("Not connected since")).to_be_visible()
    expect(page.get_by_role("heading", name="Running")).to_be_visible()


def test_a_log_stays_where_the_reader_scrolled_it(visit, phase, alice):
    run = in_state(cast.submit_checked(alice.team, phase).runs.get(), "running")
    batch = run.batches.create(number=1, state="scored")
    host, now = cast.host(), clock.now()
    lines = "\n".join(f"line {number}" for number in range(200))
    batch.attempts.create(
        fence=1,
        host=host,
        key="0" * 8 + "-0000-4000-8000-" + "0" * 12,
        slot="s",
        claimed_at=now,
        ended_at=now,
        log=lines,
    )
    page = visit(alice).go(f"/runs/{run.submission.pk}/")
    page.locator("#log").evaluate("log => { log.scrollTop = 100; }")
    RunCase.objects.filter(run=run, position=0).update(outcome="finished", decided_at=now)
    events._announce(run.submission.pk)
    expect(page.locator(".bignum").first).to_contain_text("1 of 3 cases")
    assert page.locator("#log").evaluate("log => log.scrollTop") == 100
