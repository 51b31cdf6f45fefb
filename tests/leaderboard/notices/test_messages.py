"""Announcements at an instant, to one team, to those affected by a fault, with ranks, as a line; sent once."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection

from leaderboard.challenge import site_lines
from leaderboard.core import clock, outbox
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions
from leaderboard.models import Announcement, AuditEntry, OutgoingMail, Phase, SiteLine, StateChange
from leaderboard.notices import announcing, templates
from tests.leaderboard import cast
from tests.mail_server import mail_server, text_of
from tests.outbox import send_to

pytestmark = pytest.mark.django_db


@pytest.fixture
def teams():
    cast.person("Dora")
    return [cast.team_of(cast.person(name)) for name in ("Alice", "Charlie")]


def got() -> set[str]:
    return {to.partition("@")[0] for to in OutgoingMail.objects.values_list("to", flat=True)}


def announced(**fields) -> Announcement:
    made = Announcement(**{"subject": "A change", "body": "Words.", **fields})
    made.full_clean()
    made.save()
    return made


def test_what_is_to_be_sent_later_is_sent_then_once(teams):
    made = announced()
    at = clock.now() + timedelta(hours=1)
    assert announcing.announce(made, by=cast.OPERATOR, at=at) is None
    announcing.send_due()
    assert got() == set()
    with pytest.raises(Refused, match="Cancel that first"):
        announcing.send(made, by=cast.OPERATOR)
    Announcement.objects.update(due_at=clock.now())
    for _ in range(2):
        announcing.send_due()
    assert sorted(OutgoingMail.objects.values_list("to", flat=True)) == [
        "alice@example.org",
        "charlie@example.org",
        "dora@example.org",
    ]
    made.refresh_from_db()
    assert (made.sent_at is not None, made.recipients) == (True, 3)
    assert [entry.action for entry in AuditEntry.objects.filter(target_type="announcement")] == [
        "schedule announcement"
    ]


DIES = """
CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'gone'; END $$;
CREATE TRIGGER dies BEFORE UPDATE OF sent_at ON leaderboard_announcement FOR EACH ROW EXECUTE FUNCTION dies();
"""


def test_whoever_dies_in_the_middle_has_sent_nothing_and_the_next_one_sends_all(teams):
    announcing.announce(announced(), by=cast.OPERATOR, at=clock.now() + timedelta(hours=1))
    Announcement.objects.update(due_at=clock.now())
    with connection.cursor() as cursor:
        cursor.execute(DIES)  # the mails are in the outbox then, and nothing says yet that they are
        with pytest.raises(DatabaseError, match="gone"):
            announcing.send_due()
        assert got() == set()
        cursor.execute("DROP TRIGGER dies ON leaderboard_announcement")
    announcing.send_due()
    assert OutgoingMail.objects.count() == 3


def test_what_is_cancelled_is_not_sent_and_its_line_goes(teams):
    made = announced(on_site=True, level="warn")
    announcing.announce(made, by=cast.OPERATOR, at=clock.now() + timedelta(hours=1))
    SiteLine.objects.update(shown_from=clock.now())
    [line] = site_lines.standing(clock.now())
    assert (line.text, line.is_disturbance) == ("A change", True)
    announcing.cancel(made, by=cast.OPERATOR, why="wrong")
    Announcement.objects.update(due_at=clock.now())
    announcing.send_due()
    assert (got(), list(site_lines.standing(clock.now()))) == (set(), [])
    with pytest.raises(Refused, match="nothing of it to cancel"):
        announcing.cancel(made, by=cast.OPERATOR)


def test_mails_that_wait_are_taken_back_and_who_has_it_has_it(teams, tmp_path, settings):
    with mail_server(tmp_path / "mails") as server:
        arrived = send_to(server, settings)
        made = announced()
        announcing.send(made, by=cast.OPERATOR)
        OutgoingMail.objects.exclude(to="alice@example.org").update(due_at=clock.now() + timedelta(hours=1))
        [mail] = arrived.messages()
        assert "Words." in text_of(mail)
        announcing.cancel(made, by=cast.OPERATOR)
        OutgoingMail.objects.update(due_at=clock.now())
        assert len(arrived.messages()) == 1
    counted = announcing.with_counts(Announcement.objects.all()).get()
    assert (counted.delivered, counted.waiting, counted.refused) == (1, 0, 2)


def test_one_team_and_those_whose_runs_we_interrupted(teams):
    announcing.send(announced(audience="team", team=teams[1]), by=cast.OPERATOR)
    assert got() == {"charlie"}
    OutgoingMail.objects.all().delete()
    phase = cast.phase()
    run = cast.submit_checked(teams[0], phase).runs.get()
    cast.submit_checked(teams[1], phase)
    at = clock.now() - timedelta(hours=2)
    StateChange.objects.create(
        submission=run.submission, run=run, from_state="running", to_state="halted", at=at, by="server"
    )
    window = {"affected_from": at - timedelta(hours=1), "affected_until": at + timedelta(hours=1)}
    made = announced(audience="affected", **window)
    assert announcing.reach_of(made) == (1, 1)
    announcing.send(made, by=cast.OPERATOR)
    assert got() == {"alice"}
    earlier = {name: then - timedelta(hours=5) for name, then in window.items()}
    with pytest.raises(Refused, match="nobody"):
        announcing.send(announced(audience="affected", **earlier), by=cast.OPERATOR)
    decisions.give_back(phase.submissions.get(team=teams[1]), by=cast.OPERATOR, why="Its masks were lost by us.")
    since = {"affected_from": clock.now() - timedelta(minutes=1), "affected_until": clock.now() + timedelta(minutes=1)}
    assert announcing.reach_of(announced(audience="affected", **since)) == (1, 1)


def test_ranks_are_told_after_the_reveal_alone(teams):
    phase = cast.phase(publication="nothing")
    cast.submit(teams[0], phase)
    made = templates.draft("reveal", phase)
    made.save()
    assert made.tells_ranks
    with pytest.raises(Refused, match="not out"):
        announcing.send(made, by=cast.OPERATOR)
    now = clock.now()
    Phase.objects.update(closes_at=now - timedelta(hours=2), revealed_at=now - timedelta(hours=1))
    assert announcing.send(made, by=cast.OPERATOR) == 1


@pytest.mark.parametrize("occasion", Announcement.Occasion.values)
def test_each_template_is_a_draft_that_can_be_saved(occasion):
    made = templates.draft(occasion, cast.phase())
    made.full_clean()
    made.save()
    assert "Phase test" in made.subject
    assert "{" not in made.body


def test_the_command_puts_up_a_line_and_status_says_so(teams, capsys):
    call_command("announce", subject="The queue stands", line=True, level="bad", send=True)
    assert got() == set()
    call_command("status")
    assert "The queue stands" in capsys.readouterr().out
    call_command("act", "cancel-announcement", str(Announcement.objects.get().pk))
    capsys.readouterr()
    call_command("status", json=True)
    assert '"is_disturbed": false' in capsys.readouterr().out
    with pytest.raises(CommandError, match="no date and time"):
        call_command("announce", subject="Later", line=True, at="tomorrow", send=True)


def test_a_mail_that_is_refused_is_counted(teams):
    made = announced()
    announcing.send(made, by=cast.OPERATOR)
    outbox.drop(OutgoingMail.objects.filter(to="dora@example.org"), "refused")
    assert announcing.with_counts(Announcement.objects.all()).get().refused == 1
