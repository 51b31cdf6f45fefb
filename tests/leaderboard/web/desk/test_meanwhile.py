"""Somebody else was at it between look and press: nothing is done that was not shown, and that is said."""

from datetime import timedelta

import pytest

from leaderboard.challenge import changing
from leaderboard.challenge.phases import close_now
from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions
from leaderboard.models import Announcement, AuditEntry, Host, Phase, Submission
from leaderboard.notices import announcing
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db
BY = cast.OPERATOR
WORDS = {"subject": "The queue", "body": "It stands.", "level": "idle", "audience": "all", "by_mail": "on"}


@pytest.fixture
def olga(people):
    return people.browser["Olga"]


@pytest.fixture
def submission(people) -> Submission:
    return cast.submit_checked(people.team, cast.phase(closes_at=clock.now() + timedelta(days=9)))


def press(browser, address: str, **sent: str):
    """Look at what an act changes; what the page sends with the last press."""
    looked = browser.post(address, {**sent, "preview": "1"})
    [shown] = page(looked).all("input", name="shown")
    return {**sent, "shown": shown["value"], "do": "1"}


def told(response) -> str:
    return page(response).text


def test_what_was_shown_is_done(olga, submission):
    address = f"/organisers/acts/disqualify-run/?on={submission.pk}"
    olga.post(address, press(olga, address, why="Copied.") | {"why": "It was copied."})
    assert Submission.objects.get().disqualified_reason == "It was copied."


def test_what_somebody_else_did_meanwhile_is_not_done_over(olga, submission):
    address = f"/organisers/acts/cancel-run/?on={submission.pk}"
    pressed = press(olga, address)
    submission.runs.update(state="running", started_at=clock.now())
    assert "not what you were shown" in told(olga.post(address, pressed, follow=True))
    assert submission.runs.get().state == "running"
    olga.post(address, press(olga, address))
    assert submission.runs.get().state == "cancelled"


def test_a_double_click_acts_once(olga):
    cast.host()
    address = "/organisers/acts/drain-host/?on=gpu-1"
    pressed = press(olga, address)
    olga.post(address, pressed)
    assert "not what you were shown" in told(olga.post(address, pressed, follow=True))
    assert AuditEntry.objects.filter(action="drain").count() == 1


def test_of_many_only_what_is_still_so(olga, people, submission):
    other = cast.submit_checked(people.rivals, submission.phase)
    address = f"/organisers/acts/disqualify-run/?on={submission.pk}&on={other.pk}"
    pressed = press(olga, address, why="One image.")
    decisions.disqualify(other, by=BY, why="Two accounts.")
    assert "not what you were shown" in told(olga.post(address, pressed, follow=True))
    reasons = Submission.objects.order_by("pk").values_list("disqualified_reason", flat=True)
    assert [*reasons] == ["One image.", "Two accounts."]


def test_another_value_than_was_shown_is_shown_first(olga):
    cast.host()
    address = "/organisers/acts/serve/?on=gpu-1"
    test, dev = Host.Serves.values[:2]
    pressed = press(olga, address, which=dev)
    answer = olga.post(
        address, pressed | {"which": test if Host.objects.get().serves != test else Host.Serves.values[2]}
    )
    assert "This is what it would change now" in told(answer)
    assert not AuditEntry.objects.filter(target_type="host").exists()


def test_what_was_deleted_meanwhile_is_not_there(olga):
    phase = cast.phase(is_draft=True)
    address = f"/organisers/acts/drop-phase/?on={phase.slug}"
    pressed = press(olga, address, confirmed=str(phase))
    phase.delete()
    assert olga.post(address, pressed).status_code == 404


def test_a_name_is_typed_for_one_thing_at_a_time(olga):
    cases = cast.case_set()
    one, two = (cast.phase(cases, slug=slug, name=slug, is_draft=True) for slug in ("one", "two"))
    address = f"/organisers/acts/drop-phase/?on={one.slug}&on={two.slug}"
    assert olga.post(address, {"confirmed": str(one), "do": "1"}).status_code == 404
    assert Phase.objects.count() == 2


def test_a_phase_that_was_changed_since_the_preview_is_not_changed_over_it(olga, people, submission):
    phase = submission.phase
    address = f"/organisers/phases/{phase.slug}/"
    olga.post(address, {"runs_per_day": "7", "preview": "1"})
    [shown] = page(olga.get(f"{address}?preview=1")).all("input", name="shown")
    changing.change(phase, {"runs_per_day": "5"}, by=BY, why="Fewer machines.")
    sent = {"apply": "1", "field": ["runs_per_day"], "why": "More machines."}
    assert "not what you were shown" in told(olga.post(address, sent | {"shown": shown["value"]}))
    phase.refresh_from_db()
    assert phase.runs_per_day == 5
    [shown] = page(olga.get(f"{address}?preview=1")).all("input", name="shown")
    olga.post(address, sent | {"shown": shown["value"]})
    phase.refresh_from_db()
    assert phase.runs_per_day == 7


def test_who_presses_writes_nothing_back_that_somebody_else_changed(submission):
    looked_at = Phase.objects.get()
    changing.change(looked_at, {"runs_per_day": "5"}, by=BY, why="Fewer machines.")
    close_now(looked_at, by=BY, why="The hall closes.")
    assert Phase.objects.get().runs_per_day == 5


def test_a_draft_of_a_message_is_nobodys_to_write_over(olga, people):
    olga.post("/organisers/messages/new/", WORDS)
    made = Announcement.objects.get()
    edit = f"/organisers/messages/{made.pk}/edit/"
    [began] = page(olga.get(edit)).all("input", name="began_with")
    changed = WORDS | {"began_with": began["value"], "body": "It goes on."}
    assert olga.post(edit, changed).status_code == 302
    refused = olga.post(edit, changed | {"body": "It stands still."})
    assert "Somebody changed this draft" in told(refused)
    assert Announcement.objects.get().body == "It goes on."


def test_a_message_whose_words_were_changed_since_one_looked_is_not_sent(olga, people):
    olga.post("/organisers/messages/new/", WORDS)
    made = Announcement.objects.get()
    address = f"/organisers/acts/announce/?on={made.pk}"
    pressed = press(olga, address)
    olga.post(f"/organisers/messages/{made.pk}/edit/", WORDS | {"body": "Something else."})
    assert "not what you were shown" in told(olga.post(address, pressed, follow=True))
    assert Announcement.objects.get().sent_at is None
    olga.post(address, press(olga, address))
    assert AuditEntry.objects.get(action="send announcement").after["body"] == "Something else."


def test_a_message_that_goes_out_while_somebody_edits_it_stays_what_was_sent(people):
    draft = Announcement.objects.create(subject="The queue", body="It stands.", by_mail=True)
    edited = Announcement.objects.get()
    announcing.send(draft, by=BY)
    edited.body = "Another text."
    with pytest.raises(Refused, match="can’t be changed"):
        announcing.keep(edited, by=Actor.person(people.olga))
    kept = Announcement.objects.get()
    assert (kept.body, kept.sent_at is None) == ("It stands.", False)


def test_who_wrote_and_changed_a_message_is_recorded(olga, people):
    olga.post("/organisers/messages/new/", WORDS)
    edit = f"/organisers/messages/{Announcement.objects.get().pk}/edit/"
    olga.post(edit, WORDS | {"body": "It goes on."})
    entries = AuditEntry.objects.filter(action__endswith="announcement").order_by("pk")
    assert [(one.action, one.user_id) for one in entries] == [
        ("write announcement", people.olga.pk),
        ("change announcement", people.olga.pk),
    ]
    assert (entries[1].before, entries[1].after) == ({"body": "It stands."}, {"body": "It goes on."})
