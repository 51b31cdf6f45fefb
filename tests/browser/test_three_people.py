"""A whole story at the real site: Alice captains, Bob is her team-mate, Charlie a rival who gets nothing of theirs.

Mail goes by a real mail server, live progress by the process for streams; what a GPU host reports is what one would.
"""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from leaderboard.journey import pipeline
from leaderboard.models import Host, Run, Submission, Team, User
from leaderboard.notices import runs
from leaderboard.progress.watching import POLL_SECONDS
from leaderboard.states import SubmissionState
from tests.browser.conftest import PHONE, Visitor
from tests.browser.test_taking_part import PASSWORD, fill_in, register
from tests.leaderboard import cast, gpu_host, masks
from tests.mail_server import text_of
from tests.outbox import Outbox
from tests.realsite import RealSite

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("site")]

ALICE, BOB, CHARLIE = (f"{name}@example.org" for name in ("alice", "bob", "charlie"))
THEIRS = re.compile(r"\b(Alice|alice@|Bob|bob@|Team A|the blue one|LungText|her program)")
PANEL = re.compile(r"/panel/")


def test_alice_captains_bob_joins_and_charlie_gets_nothing(visit, site, mails, tmp_path):
    rival = cast.person("Charlie")
    cast.team_of(rival, name="Rivals")
    phase = cast.phase(cast.case_set(3), slug="dev", cases_are_public=True, publication="nothing")
    masks.give_references(masks.cube())
    home = f"http://127.0.0.1:{site.port}"
    alice, bob = visit(home=home), visit(viewport=PHONE, home=home)
    visited = addresses_of(alice.page)
    found_a_team(alice, mails)
    joins(bob, mails)
    run = hands_in(alice, tmp_path)
    watches(alice, run)
    hears_of_it(alice, bob, run, mails)
    uses_a_token(alice, site)
    hands_over(alice, bob)
    gets_nothing(visit(rival, home=home), visited, run)
    leaves(alice)
    page = bob.go(f"/runs/{run.submission_id}/")
    expect(page.get_by_role("heading", name="LungText in the Phase dev")).to_be_visible()
    assert {one.name for one in User.objects.all()} == {"Bob", "Charlie"}
    assert not [text for one in mails.messages(CHARLIE) if THEIRS.search(text := text_of(one))]
    assert phase.submissions.count() == 1


def addresses_of(page: Page) -> set[str]:
    """Every address of the site that the page asks, from now on: pages, parts of them, streams, uploads."""
    found: set[str] = set()
    page.on(
        "request", lambda asked: found.add(urlsplit(asked.url)._replace(scheme="", netloc="", fragment="").geturl())
    )
    return found


def found_a_team(alice: Visitor, mails: Outbox) -> None:
    page = alice.go("/account/signup/")
    register(page, "Alice")
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    alice.go(mails.link(ALICE))
    page.get_by_role("button", name="Confirm the address").click()
    page.get_by_label("Team name").fill("Team A")
    page.get_by_role("button", name="Found the team").click()
    page.get_by_label("Email address").fill(BOB)
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"An invitation to {BOB} is on its way.")).to_be_visible()
    alice.go("/rules/").get_by_label("I have read the rules").check()
    page.get_by_role("button", name="Accept the rules").click()
    page.wait_for_load_state()


def joins(bob: Visitor, mails: Outbox) -> None:
    """By the invitation's link, and registers on the way."""
    (invitation,) = mails.messages(BOB)
    [link] = re.findall(r"https?://[^/]+(/team/invitation/\S+)", text_of(invitation))
    page = bob.go(link)
    expect(page.get_by_role("main")).to_contain_text("invites you")
    page.get_by_role("main").get_by_role("link", name="Register").click()
    register(page, "Bob")
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    bob.go(mails.link(BOB))
    page.get_by_role("button", name="Confirm the address").click()
    page.get_by_role("button", name="Join the team").click()
    expect(page.get_by_role("heading", name="Team A")).to_be_visible()
    assert Team.objects.get(name="Team A").memberships.count() == 2


def hands_in(alice: Visitor, folder: Path) -> Run:
    """The archive goes to the server; then its check accepts it, and its run waits for a host."""
    page = alice.go("/submit/dev/")
    fill_in(page, folder)
    page.get_by_role("button", name="Submit the run").click()
    expect(page.get_by_role("heading", name="LungText in the Phase dev")).to_be_visible()
    page.locator("summary", has_text="Add a note").click()
    page.get_by_label("Note on submission").fill("the blue one")
    page.get_by_role("button", name="Save the note").click()
    expect(page.get_by_text("the blue one").first).to_be_visible()
    submission = Submission.objects.get()
    cast.host()
    Submission.objects.update(state=SubmissionState.VALIDATING)
    pipeline.accept(submission, cast.image())
    return submission.runs.get()


def watches(alice: Visitor, run: Run) -> None:
    """While the stream is open, the page asks when something is new, and not by itself."""
    host, page = Host.objects.get(), alice.page
    with page.expect_response(re.compile("/events/")) as stream:
        alice.go(f"/runs/{run.submission_id}/")
    assert stream.value.headers["content-type"] == "text/event-stream"
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if PANEL.search(one.url) else None)
    page.wait_for_timeout(1000 * POLL_SECONDS + 500)
    assert asked == []
    assert run.batches.filter(state="waiting").exists()
    while run.batches.filter(state="waiting").exists():
        order = gpu_host.claim(host, gpu_host.waiting(run))
        cases = [gpu_host.finished(order, one, masks.nifti(masks.cube())) for one in range(len(order["cases"]))]
        gpu_host.report(host, order, cases)
        gpu_host.score_reported(run)
    expect(page.get_by_role("heading", name="Scored")).to_be_visible()
    assert asked


def hears_of_it(alice: Visitor, bob: Visitor, run: Run, mails: Outbox) -> None:
    """Both get the message that it is scored, with the link to it."""
    runs.write_due()
    for person, email in ((alice, ALICE), (bob, BOB)):
        message = mails.messages(email)[-1]
        assert f"Submission {run.submission_id} is scored" in str(message["Subject"])
        [link] = re.findall(r"https?://[^/]+(/runs/\S+)", text_of(message))
        expect(person.go(link).get_by_role("heading", name="Scored")).to_be_visible()


def uses_a_token(alice: Visitor, site: RealSite) -> None:
    page = alice.go("/account/tokens/")
    page.get_by_label("Name").fill("her program")
    page.get_by_role("button", name="Make the token").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    token = page.get_by_label("Token", exact=True).input_value()
    answer, said = site.ask("GET", "/api/v1/submissions", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status, json.loads(said)["items"][0]["note"]) == (200, "the blue one")


def hands_over(alice: Visitor, bob: Visitor) -> None:
    page = alice.go("/team/")
    page.locator("summary", has_text="Bob").click()
    page.get_by_role("button", name="Hand the team over").click()
    expect(page.get_by_text("Bob is asked to be the captain.")).to_be_visible()
    page = bob.go("/team/")
    page.get_by_role("button", name="Become the captain").click()
    expect(page.get_by_text("You are the captain now.")).to_be_visible()


def gets_nothing(charlie: Visitor, visited: set[str], run: Run) -> None:
    """At every address that Alice's browser asked."""
    asked = sorted(address for address in visited if not address.startswith("/static/"))
    assert len(asked) >= 20
    for address in asked:
        answer = charlie.page.request.get(charlie.home + address)
        assert not THEIRS.search(answer.text()), address
        if f"/runs/{run.submission_id}/" in address:
            assert answer.status in {404, 405}, address
    page = charlie.go(f"/runs/{run.submission_id}/")
    expect(page.get_by_role("heading", name="LungText")).to_have_count(0)
    charlie.complaints.clear()  # Chromium's own words about a 404


def leaves(alice: Visitor) -> None:
    page = alice.go("/account/delete/")  # that it is her she confirmed a moment ago, for a token
    page.get_by_label("Delete my account").check()
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_role("link", name="Sign in").first).to_be_visible()
