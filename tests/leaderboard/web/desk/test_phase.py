"""A phase at the desk: edited in place, previewed, applied with a reason."""

from datetime import timedelta

import pytest

from leaderboard.core import clock
from leaderboard.models import Announcement, AuditEntry, OutgoingMail, Phase, PhaseChanges
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page, scored

pytestmark = pytest.mark.django_db
ADDRESS = "/organisers/phases/test/"


@pytest.fixture
def phase(people) -> Phase:
    made = cast.phase(runs_per_day=9, runs_total=20, closes_at=clock.now() + timedelta(days=9))
    scored(people.team, made, dice=0.9)
    scored(people.team, made, dice=0.2)
    scored(people.rivals, made, dice=0.5)
    return made


def test_every_policy_stands_there_with_its_unit_and_what_it_means(people, phase):
    shown = page(people.browser["Olga"].get(ADDRESS))
    for words in (
        "32 GiB",
        "2 min",
        "15 GB",
        "A deadline may move later",
        "Which run counts",
        "2 teams, 3 runs accepted",
    ):
        assert words in shown.text, words
    assert not shown.all("input", type="date"), "nothing is edited yet"


def test_several_changes_make_a_draft_that_is_previewed_and_applied_in_part(people, phase):
    olga = people.browser["Olga"]
    opened = olga.post(ADDRESS, {"edit": "counting"})
    assert opened["Location"] == f"{ADDRESS}?edit=counting#f-counting"
    assert page(olga.get(opened["Location"])).all("select", name="counting")
    olga.post(ADDRESS, {"counting": "best", "edit": "closes_at"})
    later = clock.now() + timedelta(days=12)
    sent = {"counting": "best", "closes_at-day": f"{later:%Y-%m-%d}", "closes_at-time": "12:00", "preview": "1"}
    previewed = olga.post(ADDRESS, {**sent, "case_seconds": "90 s"})
    assert previewed["Location"] == f"{ADDRESS}?preview=1#preview"
    shown = page(olga.get(previewed["Location"])).text
    for words in (
        "3 changes in your draft",
        "Preview of 3 changes",
        "1 team has another counting run",
        "2 ranks of 2 move",
        "Time for a case: 90 s",
        "Who stands where changes in mid-phase",
    ):
        assert words in shown, words
    assert Phase.objects.get().counting == "last"
    assert "another counting run" not in page(people.browser["Alice"].get("/guidelines/")).text
    refused = olga.post(ADDRESS, {"apply": "1", "field": ["counting"], "why": " "})
    assert "Say why" in refused.content.decode()
    done = olga.post(ADDRESS, {"apply": "1", "field": ["counting", "closes_at"], "why": "A machine was lost."})
    assert done["Location"] == ADDRESS
    changed = Phase.objects.get()
    assert (changed.counting, changed.case_seconds) == ("best", 120)
    assert f"{changed.closes_at:%Y-%m-%d %H:%M}" == f"{later:%Y-%m-%d} 12:00"
    assert AuditEntry.objects.get(action="change phase").why == "A machine was lost."
    assert PhaseChanges.objects.get().written == {"case_seconds": "90 s"}
    after = page(olga.get(ADDRESS)).text
    assert "1 change in your draft" in after
    assert "A machine was lost." in after


@pytest.fixture
def previewed(people, phase):
    """The form by which Olga's draft is applied, as it is filled in."""
    olga = people.browser["Olga"]
    olga.post(ADDRESS, {"counting": "best", "case_seconds": "90 s", "preview": "1"})
    shown = page(olga.get(f"{ADDRESS}?preview=1"))
    [written_for], [subject] = shown.all("input", name="written_for"), shown.all("input", name="subject")
    assert "Who sees what" in shown.text
    return {
        "apply": "1",
        "field": ["counting", "case_seconds"],
        "why": "Two machines were lost.",
        "written_for": written_for["value"],
        "subject": subject["value"],
        "text": "From now on the best run counts.",
        "audience": "teams",
        "tell": ["mail", "site"],
    }


def _but(sent, name):
    return {one: value for one, value in sent.items() if one != name}


def test_teams_are_told_with_the_change(people, phase, previewed):
    olga = people.browser["Olga"]
    said = olga.post(ADDRESS, previewed, follow=True).content.decode()
    assert "The message went to 3" in said
    sent = Announcement.objects.get()
    assert (sent.subject, sent.recipients, sent.on_site) == (f"The {phase.name}: 2 changes", 3, True)
    assert sent.sent_at is not None
    for mail in OutgoingMail.objects.filter(announcement=sent):
        assert "From now on the best run counts.\n\nThe organisers write: Two machines were lost." in mail.body
    assert Phase.objects.get().counting == "best"


def test_nobody_is_told_of_what_is_refused_or_was_not_chosen(people, phase, previewed):
    olga = people.browser["Olga"]
    shown = page(olga.post(ADDRESS, {**previewed, "field": ["counting"]}))
    assert "other changes than are chosen" in shown.text
    assert [one["value"] for one in shown.all("input", name="written_for")] == ["counting"]
    Phase.objects.update(closes_at=clock.now() - timedelta(seconds=1))  # from then on which run counts stays
    assert "The deadline is over" in page(olga.post(ADDRESS, previewed)).text
    assert not Announcement.objects.exists()
    assert Phase.objects.get().case_seconds == 120


def test_the_message_is_read_before_it_is_sent_and_nobody_has_to_be_told(people, phase, previewed):
    olga = people.browser["Olga"]
    shown = page(olga.post(ADDRESS, {**_but(previewed, "apply"), "look": "1", "why": "A machine."}))
    assert "The organisers write: A machine." in shown.text
    assert "From now on the best run counts." in shown.text
    assert not Announcement.objects.exists()
    assert olga.post(ADDRESS, _but(previewed, "tell"))["Location"] == ADDRESS
    assert not Announcement.objects.exists()
    assert Phase.objects.get().counting == "best"


def test_what_can_not_be_read_stays_in_its_field(people, phase):
    shown = page(people.browser["Olga"].post(ADDRESS, {"memory_bytes": "much", "keep": "1"}))
    assert "write a size with its unit" in shown.text
    [field] = shown.all("input", name="memory_bytes")
    assert field["value"] == "much"


def test_what_is_refused_is_said_and_can_not_be_applied(people, phase):
    olga = people.browser["Olga"]
    sooner = clock.now() + timedelta(hours=2)
    sent = {"closes_at-day": f"{sooner:%Y-%m-%d}", "closes_at-time": f"{sooner:%H:%M}"}
    olga.post(ADDRESS, {**sent, "preview": "1"})
    shown = page(olga.get(f"{ADDRESS}?preview=1"))
    assert "24 hours from now" in shown.text
    assert not shown.all("button", name="apply")
    olga.post(ADDRESS, {"apply": "1", "field": ["closes_at"], "why": "Now."})
    assert Phase.objects.get().closes_at == phase.closes_at
    olga.post(ADDRESS, {"drop": "1"})
    assert PhaseChanges.objects.get().end == "dropped"
    assert "in your draft" not in page(olga.get(ADDRESS)).text


def test_a_draft_that_is_gone_and_fields_that_are_none(people, phase):
    olga = people.browser["Olga"]
    assert "your draft is gone" in olga.post(ADDRESS, {"apply": "1", "why": "x"}, follow=True).content.decode()
    assert "Nothing differs" in olga.post(ADDRESS, {"runs_per_day": "9"}, follow=True).content.decode()
    assert "Nothing differs" in olga.post(ADDRESS, {"cases_are_public": "yes"}, follow=True).content.decode()
    assert olga.get("/organisers/phases/nowhere/").status_code == 404


def test_the_administration_holds_the_same_rules(people, phase, client):
    """Also without the desk hidden cases are not made public by a tick."""
    address = f"/admin/leaderboard/phase/{phase.pk}/change/"
    client.force_login(cast.person("Root", is_staff=True, is_superuser=True))
    initial = client.get(address).context["adminform"].form.initial
    sent = {name: value for name, value in initial.items() if value is not None} | {"cases_are_public": "on"}
    for name in ("opens_at", "closes_at"):
        sent |= {f"{name}_0": f"{initial[name]:%Y-%m-%d}", f"{name}_1": f"{initial[name]:%H:%M:%S}"}
    told = client.post(address, sent).context["adminform"].form.errors
    assert "an act of its own" in str(told["cases_are_public"])
    assert not Phase.objects.get().cases_are_public


def test_acts_that_have_no_way_back_ask_who_it_is(people, phase):
    now = clock.now()
    Phase.objects.update(closes_at=now - timedelta(hours=2), revealed_at=now - timedelta(hours=1))
    offered = page(people.browser["Olga"].get(ADDRESS))
    address = f"/organisers/acts/make-cases-public/?on={phase.slug}"
    assert offered.all("a", href=address)
    olga = people.browser["Olga"]
    sent = {"do": "1", "why": "The challenge is over.", "confirmed": phase.name}
    session = olga.session
    session["account_authentication_methods"] = []
    session.save()
    asked = olga.post(address, sent)
    assert asked.status_code == 302
    assert "reauthenticate" in asked["Location"]
    assert not Phase.objects.get().cases_are_public
