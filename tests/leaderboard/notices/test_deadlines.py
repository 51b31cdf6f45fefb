"""Deadlines: a week and a day ahead, once each, and when they are moved."""

from datetime import datetime, timedelta

import pytest

from leaderboard.core import clock, outbox
from leaderboard.core.text import instant
from leaderboard.models import OutgoingMail, Phase
from leaderboard.notices import deadlines
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db
START = datetime.fromisoformat("2026-08-01T00:00:00+00:00")
MOVED = "The deadline of the Test was moved"


def near(days: float) -> str:
    return f"The Test closes on {instant(START + timedelta(days=days))}"


@pytest.fixture
def told(monkeypatch):
    """What one person was told at each look, hours after the start; the phase is open for 30 days."""
    cast.team_of(cast.person("Alice"))
    cast.person("Dora")  # is in no team
    monkeypatch.setattr(clock, "now", lambda: START)
    cast.phase(name="Test", opens_at=START + timedelta(hours=1), closes_at=START + timedelta(days=30))
    deadlines.write_due()

    def look(*days: float) -> list[str]:
        OutgoingMail.objects.all().delete()
        for day in days:
            monkeypatch.setattr(clock, "now", lambda day=day: START + timedelta(days=day))
            deadlines.write_due()
        assert set(OutgoingMail.objects.values_list("to", flat=True)) <= {"alice@example.org"}
        found = OutgoingMail.objects.order_by("pk").values_list("subject", flat=True)
        return [subject.partition(": ")[2] for subject in found]

    return look


def close(days: float) -> None:
    Phase.objects.update(closes_at=START + timedelta(days=days))


def test_a_week_and_a_day_ahead_once_each(told):
    assert told(1, 22.9) == []
    assert told(23, 23, 24) == [near(30)]
    assert told(29.1, 29.2, 29.9, 30, 31) == [near(30)]


def test_who_looks_late_tells_only_what_is_nearest(told):
    assert told(29.5, 29.6) == [near(30)]


def test_of_a_draft_nothing_is_told_until_it_is_published(told):
    Phase.objects.update(is_draft=True)
    assert told(23, 24) == []
    Phase.objects.update(is_draft=False)
    assert told(29.5) == [near(30)]


def test_a_deadline_that_is_moved_is_told_and_reminded_of_anew(told):
    assert told(23.5) == [near(30)]
    close(40)
    assert told(24, 24.1) == [MOVED]
    assert "Aug 31, 2026" in OutgoingMail.objects.get().body
    assert told(33, 33.1, 39) == [near(40)] * 2


def test_one_that_is_moved_nearer_is_told_without_a_reminder_that_says_the_same(told):
    close(12)
    assert told(8, 8.1, 10.9) == [MOVED]
    assert told(11) == [near(12)]


def test_one_that_is_over_may_be_opened_again_and_nothing_is_told_of_what_is_over_or_to_come(told):
    told(31)
    close(29)
    assert told(31.5) == []
    close(60)
    assert told(32) == [MOVED]
    Phase.objects.update(opens_at=START + timedelta(days=40))
    close(61)
    assert told(33) == []


def test_a_phase_that_is_made_within_its_last_week_reminds_of_the_day_alone(told):
    told(31)
    opens = START + timedelta(days=31.5)
    cast.phase(
        Phase.objects.get().case_set, slug="b", name="Short", opens_at=opens, closes_at=opens + timedelta(days=5)
    )
    assert told(32, 33) == []
    assert len(told(35.6)) == 1


def left(days: float, monkeypatch) -> list[tuple[str, str]]:
    """What became of each message when the mail server is there again."""
    monkeypatch.setattr(clock, "now", lambda: START + timedelta(days=days))
    outbox.send_due()
    return list(OutgoingMail.objects.order_by("pk").values_list("state", "answer"))


def test_what_waited_for_a_mail_server_until_the_deadline_had_passed_is_not_sent(told, monkeypatch, mailoutbox):
    assert told(23, 29.1) == [near(30)] * 2
    assert left(30, monkeypatch) == [("given_up", outbox.TOO_LATE)] * 2
    assert mailoutbox == []


def test_what_waited_until_shortly_before_is_sent_and_true(told, monkeypatch, mailoutbox):
    assert told(23) == [near(30)]
    assert left(29.99, monkeypatch) == [("sent", "")]
    assert " in a week" not in mailoutbox[0].subject + mailoutbox[0].body
    assert " from now" not in mailoutbox[0].body


def test_what_waited_while_the_deadline_was_moved_is_not_sent_but_that_it_was(told, monkeypatch, mailoutbox):
    told(23)
    close(40)
    deadlines.write_due()
    assert left(23.1, monkeypatch) == [("given_up", "the deadline was moved"), ("sent", "")]
    assert [MOVED in message.subject for message in mailoutbox] == [True]
