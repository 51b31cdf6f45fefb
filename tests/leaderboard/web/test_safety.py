"""What teams write is hostile until proven otherwise, and no page may run or fetch anything of theirs."""

import secrets
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from leaderboard.board import versions
from leaderboard.core import clock
from leaderboard.models import (
    Attempt,
    Batch,
    ChallengeDate,
    FaqSection,
    NewsItem,
    Question,
    Submission,
    Team,
    TeamApproval,
    User,
)
from leaderboard.notices.links import stop_url
from leaderboard.people import invitations
from tests.leaderboard import cast
from tests.leaderboard.web.conftest import four_people
from tests.leaderboard.web.scene import HOSTILE, Page, in_state, page, scored

pytestmark = pytest.mark.django_db

LONG = "Enough characters to pass for the description of a method, which needs a hundred of them. "


@pytest.fixture(scope="module")
def world(made_once):
    """Every kind of page has something to show, and every word of it is hostile."""
    people = four_people()
    Team.objects.filter(pk=people.team.pk).update(name=HOSTILE, affiliation=HOSTILE)
    User.objects.filter(pk=people.alice.pk).update(name=HOSTILE, affiliation=HOSTILE)
    phase = cast.phase(slug="dev", cases_are_public=True, runs_per_day=9)
    words: dict[str, Any] = {
        "algorithm": HOSTILE,
        "method": LONG + HOSTILE + "\n\n[x](javascript:alert(1)) ![y](//evil.example/y.png)",
    }
    people.scored = scored(people.team, phase, user=people.alice, external_data=HOSTILE, **words).submission
    run = in_state(cast.submit_checked(people.team, phase, **words).runs.get(), "running")
    batch = Batch.objects.create(run=run, number=1, state="scored")
    run.cases.update(batch=batch)
    now = clock.now()
    log = HOSTILE + "\x1b[31mred\x1b[0m \x00 =HYPERLINK()".replace("\x00", "\x01")
    Attempt.objects.create(
        batch=batch, fence=1, host=cast.host(), key=uuid.uuid4(), slot="s", claimed_at=now, ended_at=now, log=log
    )
    people.running = run.submission
    Submission.objects.filter(team=people.team).update(note=HOSTILE)
    people.rejected = cast.submit(people.team, phase, **words)
    names = {"upload_name": HOSTILE, "weights_name": HOSTILE}
    Submission.objects.filter(pk=people.rejected.pk).update(state="rejected", reason=HOSTILE, **names)
    people.invitation = secrets.token_urlsafe()
    with pytest.MonkeyPatch.context() as known:
        known.setattr(secrets, "token_urlsafe", lambda _: people.invitation)
        invitations.invite(people.alice, people.team, "eve@example.org")
    TeamApproval.objects.create(
        team=people.team,
        phase=phase,
        state="refused",
        reason=HOSTILE,
        asked_at=clock.now(),
        decided_at=clock.now(),
    )
    people.masks = cast.submit(people.team, phase, **words)
    problems = f"{HOSTILE}\n{HOSTILE}: {HOSTILE}"
    Submission.objects.filter(pk=people.masks.pk).update(state="rejected", entry="masks", reason=problems)
    cast.phase(phase.case_set, slug="later", runs_total=0)
    words = {"slug": "hostile", "published_at": clock.now()}
    NewsItem.objects.create(title=HOSTILE, body=HOSTILE, **words)
    section = FaqSection.objects.create(name=HOSTILE)
    Question.objects.create(section=section, question=HOSTILE, answer=HOSTILE, **words)
    ChallengeDate.objects.create(label=HOSTILE, at=clock.now(), words=HOSTILE)
    versions.make(phase.pk)
    return people


ACCOUNT = ("/account/", "/account/2fa/", "/account/2fa/webauthn/", "/account/sessions/", "/account/connected/")


def addresses(world):
    """(who, address) of every kind of page."""
    public = ("/", "/leaderboard/dev/", "/leaderboard/dev/?open=alice-and-bob", "/guidelines/", "/rules/", "/nowhere/")
    told = ("/news/", "/news/hostile/", "/faq/", "/pre-registration/", "/pre-registration/sent/")
    account = ("login/", "signup/", "password/reset/", "password/reset/done/", "confirm-email/", "inactive/")
    strangers = [("", address) for address in (*public, *told)] + [("", f"/account/{address}") for address in account]
    own = ["/team/", "/runs/", "/submit/", "/submit/dev/", "/submit/later/", f"/team/join/{world.team.join_code}/"]
    own += ["/team/edit/"]
    strangers += [("", f"/team/join/{world.team.join_code}/"), ("", f"/team/invitation/{world.invitation}/")]
    own += [f"/runs/{one.pk}/" for one in (world.scored, world.running, world.rejected, world.masks)]
    own += ["/account/notices/", urlsplit(stop_url(world.alice.pk, "runs")).path, "/account/notices/stop/none/"]
    own += [
        "/account/logout/",
        "/account/email/",
        "/account/password/change/",
        *ACCOUNT,
        "/privacy/",
        "/leaderboard/dev/?open=alice-and-bob",
    ]
    own += ["/runs/compare/", f"/runs/compare/?run={world.scored.pk}&run={world.running.pk}"]
    olga = [("Olga", "/team/"), ("Olga", f"/runs/{world.running.pk}/"), ("Charlie", own[5])]
    return [*strangers, *(("Alice", address) for address in own), *olga]


@pytest.fixture(scope="module")
def answers(world) -> dict[tuple[str, str], Any]:
    """What each of them answers."""
    stranger = Client()
    return {(who, path): (world.browser[who] if who else stranger).get(path) for who, path in addresses(world)}


@pytest.fixture(scope="module")
def pages(answers) -> dict[tuple[str, str], Page]:
    """The same, read."""
    return {address: page(response) for address, response in answers.items()}


def test_no_page_holds_a_script_a_style_or_an_address_of_another_host(answers, pages):
    for address, found in pages.items():
        response = answers[address]
        assert response.status_code in {200, 404}, address
        assert found.scripts == [], address
        assert not found.all("style"), address
        for tag, attributes in found.elements:
            assert "style" not in attributes, (address, tag, attributes)
            assert not any(name.startswith(("on", "hx-on")) for name in attributes), (address, tag)
            for name in ("src", "href", "action", "hx-get"):
                target = attributes.get(name) or ""
                elsewhere = "://" in target or target.startswith("//")
                assert not (elsewhere and tag in {"script", "link", "img", "form", "iframe", "svg", "use"}), address
                assert not target.lower().startswith("javascript:"), (address, target)


def test_every_page_carries_the_policy(answers):
    for address, response in answers.items():
        policy = response["Content-Security-Policy"]
        assert "default-src 'none'" in policy, address
        assert "unsafe" not in policy, address


def test_every_page_has_one_main_heading_a_title_and_a_language(pages):
    for address, found in pages.items():
        assert len(found.all("h1")) == 1, address
        assert len(found.all("title")) >= 1, address
        assert found.all("html", lang="en"), address


def test_every_table_has_a_caption_and_scoped_heads(pages):
    for address, found in pages.items():
        assert len(found.all("caption")) == len(found.all("table")), address
        assert all(head.get("scope") in {"col", "row"} for head in found.all("th")), address


def test_every_field_has_a_label(pages):
    for address, found in pages.items():
        labelled = {label.get("for") for label in found.all("label")}
        for tag in ("input", "textarea", "select"):
            for field in found.all(tag):
                inside_label = tag == "select" and str(field["id"]).startswith("f-")
                assert field.get("type") == "hidden" or inside_label or field.get("id") in labelled, (address, field)


def test_no_page_uses_an_id_twice(pages):
    for address, found in pages.items():
        ids = [str(attributes["id"]) for _, attributes in found.elements if "id" in attributes]
        assert sorted(ids) == sorted(set(ids)), address


def test_hostile_words_come_out_as_words(answers):
    html = answers["", "/leaderboard/dev/?open=alice-and-bob"].content.decode()
    assert "&lt;script&gt;" in html
    assert "<script>alert" not in html
    assert "\u202e" not in html


def test_a_log_comes_out_without_colours_and_control_characters(world, answers):
    html = answers["Alice", f"/runs/{world.running.pk}/"].content.decode()
    assert "red" in html
    assert "\x1b" not in html
    assert "\x01" not in html
