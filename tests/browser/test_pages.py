"""The pages in a real browser: at a desk and on a phone, by keyboard, with and without scripts."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from evaluation import CATEGORIES
from leaderboard.challenge import downloads
from leaderboard.core import clock, events
from leaderboard.models import CaseSet, Host, Phase, Run, RunCase
from leaderboard.web.boards.columns import COLUMNS
from tests.browser.conftest import PHONE, WIDE
from tests.evaluation import builders
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


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desk", "phone"])
def test_an_opened_row_that_was_shared_is_not_under_the_sticky_head(visit, phase, viewport):
    page = visit(viewport=viewport).go("/leaderboard/dev/?open=alice-and-bob#team-alice-and-bob")
    head = page.locator(".board > thead th").first.bounding_box()
    row = page.locator("#team-alice-and-bob").bounding_box()
    assert row["y"] >= (head["y"] + head["height"] if viewport == WIDE else 0) - 1
    assert row["y"] < viewport["height"]


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desk", "phone"])
def test_columns_are_chosen_on_the_page_and_stay_in_the_address(visit, phase, viewport, script):
    visitor = visit(viewport=viewport, java_script_enabled=script)
    page = visitor.go("/leaderboard/dev/")
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("Distance precision, recall").check()
    page.get_by_label("Institutions").uncheck()
    page.get_by_role("button", name="Show").click()
    expect(page.locator("td[data-l='Distance precision, recall']").first).to_be_visible()
    assert page.url.endswith("?columns=hit_rate,instance_f1,distance_f1,distance_pr,runs,date")
    assert visitor.is_as_wide_as_the_screen()


def test_filters_and_rows_work_without_a_script(visit, phase):
    page = visit(java_script_enabled=False).go("/leaderboard/dev/")
    page.get_by_label("Findings").select_option("focal")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("caption").first).to_contain_text("Focal only")
    page.get_by_role("link", name="Alice and Bob").click()
    expect(page.get_by_role("heading", name="Method")).to_be_visible()


def test_times_are_shown_by_two_clocks(visit, phase):
    page = visit().go("/")
    expect(page.locator(".phase-line local-time").first).to_contain_text(re.compile(r"your time \(UTC−[78]\)"))


def test_a_countdown_is_right_after_a_sleep_a_wrong_clock_and_a_page_of_before(visit, phase, alice, monkeypatch):
    """The server's clock stands still until it is moved; the browser's is three hours behind, and jumps."""
    served = [datetime(2026, 11, 1, 7, 0, 30, tzinfo=UTC)]
    monkeypatch.setattr(clock, "now", lambda: served[0])
    Phase.objects.update(opens_at=served[0] - timedelta(days=1), closes_at=served[0] + timedelta(hours=5, seconds=50))
    visitor = visit(alice)
    page = visitor.page
    page.clock.install(time=served[0] - timedelta(hours=3))
    visitor.go("/submit/dev/")
    clocks = page.locator("aside .clock, .phase-line .left time-left")
    expect(clocks).to_have_text(["5 h", "5 h"])
    # Los Angeles leaves summer time at 09:00 UTC of this day: each instant has its own offset.
    expect(page.locator("aside .aside-block").first).to_contain_text("Nov 1, 04:01 your time (UTC−8)")
    page.clock.run_for(60_000)
    expect(clocks).to_have_text(["4 h 59 min", "4 h 59 min"])
    served[0] += timedelta(hours=2, minutes=1)
    page.clock.fast_forward("02:00:00")  # asleep
    expect(clocks).to_have_text(["2 h 59 min", "2 h 59 min"])
    page.clock.set_system_time(served[0] + timedelta(days=2))  # somebody sets the clock
    page.clock.run_for(3000)
    expect(clocks).to_have_text(["2 h 59 min", "2 h 59 min"])
    served[0] += timedelta(hours=2, minutes=59)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(clocks).to_have_text([re.compile(r"^\d+ s$")] * 2)
    expect(page.get_by_text("while this page was open")).to_be_hidden()
    page.clock.run_for(60_000)
    expect(clocks.last).to_have_text("passed")
    expect(page.locator(".phase-line")).to_contain_text("closed Nov 1, 2026 12:01 UTC")
    expect(page.locator(".phase-line .left")).to_be_hidden()
    expect(page.get_by_text("while this page was open")).to_be_visible()
    expect(page.locator("#submit-button")).to_be_hidden()
    expect(page.locator(".lede").get_by_text("left today")).to_be_hidden()


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


IS_AT_END = "log => log.scrollHeight > log.clientHeight && Math.abs(log.scrollTop) < 1"


def attempt_with_log(run, number):
    """The run's batch of this number has ended; it printed 200 lines."""
    batch = run.batches.create(number=number, state="scored")
    now, lines = clock.now(), "\n".join(f"line {line}" for line in range(200))
    host = Host.objects.first() or cast.host()
    batch.attempts.create(fence=1, host=host, key=uuid.uuid4(), slot="s", claimed_at=now, ended_at=now, log=lines)
    return batch


def test_a_log_stays_where_the_reader_scrolled_it(visit, phase, alice):
    run = in_state(cast.submit_checked(alice.team, phase).runs.get(), "running")
    batch, now = attempt_with_log(run, 1), clock.now()
    lines = batch.attempts.get().log
    page = visit(alice).go(f"/runs/{run.submission.pk}/")
    log = page.locator("#log-1-1")
    assert log.evaluate(IS_AT_END)
    log.evaluate("log => { log.scrollTop = -log.scrollHeight; log.scrollTop += 100; }")
    above = log.evaluate("log => log.scrollHeight - log.clientHeight + log.scrollTop")
    assert above == 100
    batch.attempts.update(log=lines + "\nand more" * 50)
    RunCase.objects.filter(run=run, position=0).update(outcome="finished", decided_at=now)
    events._announce(run.submission.pk)
    expect(page.locator(".bignum").first).to_contain_text("1 of 3 cases")
    assert log.evaluate("log => log.scrollHeight - log.clientHeight + log.scrollTop") == 100


@pytest.mark.parametrize("script", [True, False])
def test_a_log_opens_at_its_end(visit, phase, alice, script):
    run = in_state(cast.submit_checked(alice.team, phase).runs.get(), "failed", ended_at=clock.now())
    attempt_with_log(run, 1)
    page = visit(alice, PHONE, java_script_enabled=script).go(f"/runs/{run.submission.pk}/logs/")
    expect(page.get_by_text("line 199")).to_be_in_viewport()


def test_the_log_of_the_next_container_is_shown_from_its_end_after_a_live_update(visit, phase, alice):
    run = in_state(cast.submit_checked(alice.team, phase).runs.get(), "running")
    attempt_with_log(run, 1)
    page = visit(alice).go(f"/runs/{run.submission.pk}/")
    assert page.locator("#log-1-1").evaluate(IS_AT_END)
    page.locator("#log-1-1").evaluate("log => { log.scrollTop = -50; }")
    attempt_with_log(run, 2)
    events._announce(run.submission.pk)
    expect(page.locator("#log-2-1")).to_be_visible()
    assert page.locator("#log-2-1").evaluate(IS_AT_END)
    run.batches.get(number=2).attempts.update(log="\n".join(f"line {number}" for number in range(300)))
    events._announce(run.submission.pk)
    expect(page.get_by_text("line 299")).to_be_visible()
    assert page.locator("#log-2-1").evaluate(IS_AT_END)


# Landmarks by role and name, as axe's rule `landmark-unique` compares them.
LANDMARKS = """() => {
  const said = (id) => document.getElementById(id)?.textContent.trim();
  const by = (e) => (e.getAttribute("aria-labelledby") || "").split(" ").map(said).join();
  const name = (e) => e.getAttribute("aria-label") || by(e);
  const roles = {NAV: "navigation", ASIDE: "complementary", HEADER: "banner", FOOTER: "contentinfo", SECTION: "region"};
  const role = (e) => e.getAttribute("role") || roles[e.tagName] || e.tagName;
  return [...document.querySelectorAll("nav, aside, main, body > header, body > footer, section, form, [role=region]")]
    .filter((e) => e.checkVisibility() && (name(e) || !["SECTION", "FORM"].includes(e.tagName)))
    .map((e) => `${role(e)}: ${name(e)}`);
}"""
# What can be pressed and is less than 24 px high, but for links within a sentence (WCAG 2.5.8).
SMALL = """() => [...document.querySelectorAll("a[href], button, select, summary, input:not([type=hidden])")]
  .filter((e) => e.checkVisibility() && !e.closest(".vh, .skip"))
  .filter((e) => getComputedStyle(e).display !== "inline"
    || e.parentElement.textContent.trim() === e.textContent.trim())
  .filter((e) => e.getBoundingClientRect().height < 24 && e.getBoundingClientRect().height > 0)
  .map((e) => `${e.tagName} ${e.textContent.trim().slice(0, 40)} ${e.getBoundingClientRect().height}`)"""
# Boxes on a phone that scroll by themselves; only logs, code and wide tables of a team's own may.
BOXES = """() => [...document.querySelectorAll("main *")]
  .filter((e) => ["auto", "scroll"].includes(getComputedStyle(e).overflowY) && e.scrollHeight > e.clientHeight + 1)
  .filter((e) => !e.closest(".tail, pre, .prose, textarea, select"))
  .map((e) => `${e.tagName}.${e.className}`)"""


@pytest.fixture
def finished(phase, alice):
    """A run of Alice's that has ended on public cases, with a finding of every category, and a log."""
    run = alice.team.submissions.get().runs.get()
    codes = list(CATEGORIES)
    for place, case in enumerate(run.cases.select_related("case")):
        keys = range(place, len(codes), 3)
        findings = [builders.finding_result(codes[key], dice=0.1 * place, key=str(key)) for key in keys]
        result = builders.case_result(case.case.name, *findings)
        RunCase.objects.filter(pk=case.pk).update(outcome="finished", result=result, decided_at=clock.now())
    groups = {code: cast.numbers(0.3, 12) for code in (*codes, "focal", "non_focal", "small", "medium", "large")}
    run.standings.update(groups=groups)
    Run.objects.filter(pk=run.pk).update(hints=[{"kind": "turned", "text": "on 2 of 3 cases, Dice would be better"}])
    run.cases.update(batch=attempt_with_log(run, 1))
    return run


@pytest.fixture
def another(finished, phase, alice):
    """A second run of hers, of the same results, with the longest of names and a method with code."""
    method = f"{cast.METHOD}\n\n    {'x' * 200}\n"
    run = scored(alice.team, phase, dice=0.35, algorithm="Grounder" * 5, method=method)
    run.standings.update(groups=finished.standings.first().groups)
    for case in finished.cases.all():
        run.cases.filter(case=case.case).update(outcome="finished", result=case.result)
    return run


PARTS = ("", "findings/", "cases/", "logs/")


def test_no_page_scrolls_sideways_and_all_can_be_pressed(visit, finished, another, alice):
    """On the narrowest screen; test_accessibility looks at every page on wider ones, too."""
    visitor = visit(alice, {"width": 320, "height": 844})
    addresses = [f"/runs/{finished.submission_id}/{part}" for part in PARTS]
    addresses += ["/leaderboard/dev/?open=alice-and-bob", "/", "/guidelines/", "/runs/", "/submit/dev/", "/team/"]
    addresses += [
        f"/runs/{another.submission_id}/",
        f"/runs/compare/?run={finished.submission_id}&run={another.submission_id}",
    ]
    addresses += ["/account/", "/account/2fa/", "/account/sessions/", "/privacy/"]
    addresses += [
        "/news/",
        "/faq/",
        "/pre-registration/",
        "/rules/",
        "/leaderboard/dev/",
        "/leaderboard/dev/?track=overall",
        "/leaderboard/dev/main/runs/",
        f"/leaderboard/dev/?columns={','.join(COLUMNS)}",
        "/account/email/",
    ]
    case_set = finished.submission.phase.case_set
    downloads.publish_terms(case_set, "For research alone.", by=cast.OPERATOR)
    CaseSet.objects.filter(pk=case_set.pk).update(allows_downloads=True, copied_at=clock.now())
    downloads.accept(alice, case_set, "1")
    addresses += ["/data/", f"/data/{case_set.name}/"]
    for address in addresses:
        page = visitor.go(address)
        assert visitor.is_as_wide_as_the_screen(), address
        landmarks = page.evaluate(LANDMARKS)
        assert sorted(landmarks) == sorted(set(landmarks)), address
        assert page.evaluate(SMALL) == [], address
        assert page.evaluate(BOXES) == [], address


def test_runs_are_noted_picked_and_compared_without_a_script(visit, finished, another, alice):
    page = visit(alice, java_script_enabled=False).go("/runs/?words=grounder")
    compare = page.get_by_role("button", name="Compare the selected runs")
    expect(compare).to_be_hidden()
    page.locator(f"#run-{another.submission_id} summary").filter(has_text="note").click()
    page.get_by_label(f"Note on submission {another.submission_id}").fill("Wider context")
    page.locator(f"#run-{another.submission_id}").get_by_role("button", name="Save the note").click()
    expect(page.locator(f"#run-{another.submission_id}")).to_contain_text("Wider context")
    assert page.url.endswith(f"/runs/?words=grounder#run-{another.submission_id}")
    for run in (finished, another):
        page.get_by_label(f"Compare submission {run.submission_id}").check()
    compare.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 runs in the Phase dev, side by side")
    page.locator("#f-metric").select_option("Hit rate")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Hit rate, against the base")).to_be_visible()


@pytest.mark.parametrize("width", [320, 390])
def test_a_category_is_readable_on_a_phone(visit, finished, alice, width):
    """Its name takes two lines at most, and the labels of an axis do not touch."""
    visitor = visit(alice, {"width": width, "height": 844})
    for address in (f"/runs/{finished.submission_id}/", "/leaderboard/dev/?open=alice-and-bob"):
        check_categories(visitor.go(address))


def check_categories(page: Page) -> None:
    names = page.locator(".cats tbody .what")
    assert names.count() == len(CATEGORIES) + 5
    for name in names.all():
        assert name.evaluate("e => e.getBoundingClientRect().height / parseFloat(getComputedStyle(e).lineHeight)") < 2.6
    gaps = page.evaluate("""() => [...document.querySelectorAll("svg.axis")]
      .filter((a) => a.clientWidth > 20).map((a) => {
      const boxes = [...a.querySelectorAll("text")].filter((t) => getComputedStyle(t).display !== "none")
        .map((t) => t.getBoundingClientRect()).sort((one, other) => one.left - other.left);
      return Math.min(...boxes.slice(1).map((box, i) => box.left - boxes[i].right));
    })""")
    assert gaps
    assert min(gaps) >= 6


def test_after_a_refused_sign_in_the_keyboard_is_at_the_reason(visit, phase):
    page = visit().go("/account/login/")
    page.get_by_label("Email").fill("alice@example.org")
    page.get_by_label("Password").fill("not hers")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Email")).to_be_focused()


def test_lists_of_the_administration_scroll_inside_their_own_box_on_a_phone(visit):
    cast.submit_checked(cast.team_of(cast.person("Alice")), cast.phase())
    visitor = visit(cast.person("Boss", is_staff=True, is_superuser=True), PHONE)
    for name in ("submission", "phase"):
        visitor.go(f"/admin/leaderboard/{name}/")
        assert visitor.is_as_wide_as_the_screen(), name
    assert visitor.go("/admin/").get_by_role("link", name="Health of the server").is_visible()
