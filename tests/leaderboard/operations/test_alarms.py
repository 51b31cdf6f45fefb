"""Organisers are told once, and again when it comes back."""

from datetime import timedelta

import pytest
from django.core import mail

from leaderboard.core import clock, outbox, process_heartbeat, task_queue
from leaderboard.models import Alarm, Host, ProcessHeartbeat, Run
from leaderboard.operations import alarms
from leaderboard.processes import sweeper
from tests.leaderboard import cast, gpu_host

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def all_is_well(settings) -> None:
    settings.ADMINS = [("ops@example.org", "ops@example.org")]
    settings.MAX_FAULTS = 1
    cast.host()
    for name in ("sweeper", "control@a", "scoring@a"):
        process_heartbeat.beat(name)


def scoring_dies() -> None:
    ProcessHeartbeat.objects.filter(name="scoring@a").delete()


def stuck_run() -> Run:
    run = cast.submit_checked(cast.team_of(cast.person("Alice"), name="Secretive"), cast.phase()).runs.get()
    order = gpu_host.claim(Host.objects.get(), gpu_host.waiting(run))
    gpu_host.report(Host.objects.get(), order, [gpu_host.lost(order, 0, "untouched", None)], fault="internal")
    return run


def minutes_pass(minutes: int) -> None:
    for alarm in Alarm.objects.all():
        Alarm.objects.filter(pk=alarm.pk).update(since=alarm.since - timedelta(minutes=minutes))


def tell() -> None:
    """Tell organisers, and have the worker send it."""
    alarms.tell()
    outbox.send_due()


def test_a_server_that_is_well_tells_nobody():
    tell()
    assert mail.outbox == []


def test_a_check_that_fails_for_a_moment_wakes_nobody():
    scoring_dies()
    tell()
    process_heartbeat.beat("scoring@a")
    tell()
    assert mail.outbox == []
    assert not Alarm.objects.exists()


def test_a_check_that_keeps_failing_is_told_once():
    scoring_dies()
    tell()
    minutes_pass(6)
    for _ in range(3):
        tell()
    assert [message.to for message in mail.outbox] == [["ops@example.org"]]
    assert "Scoring workers" in mail.outbox[0].body
    assert "/organisers/health/" in mail.outbox[0].body


def test_what_comes_back_is_told_again():
    for _ in range(2):
        scoring_dies()
        tell()
        minutes_pass(6)
        tell()
        process_heartbeat.beat("scoring@a")
        tell()
    assert len(mail.outbox) == 2


def test_a_run_that_waits_for_organisers_is_told_at_once_and_once():
    run = stuck_run()
    tell()
    tell()
    assert len(mail.outbox) == 1
    assert f"Submission {run.submission_id} " in mail.outbox[0].body
    assert "(internal)" in mail.outbox[0].body
    assert "Secretive" not in mail.outbox[0].body


def test_several_troubles_are_one_mail():
    stuck_run()
    scoring_dies()
    tell()
    minutes_pass(6)
    Alarm.objects.update(told_at=None)
    mail.outbox.clear()
    tell()
    assert len(mail.outbox) == 1
    assert "Submission" in mail.outbox[0].body
    assert "Scoring workers" in mail.outbox[0].body


def test_what_counts_as_told_is_in_the_outbox_and_the_other_way_round(monkeypatch):
    stuck_run()
    with monkeypatch.context() as patch:
        patch.setattr(task_queue, "enqueue_mail", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            alarms.tell()
    assert not Alarm.objects.exists()
    tell()
    assert len(mail.outbox) == 1


def test_without_addresses_every_organiser_is_told(settings):
    settings.ADMINS = []
    cast.person("Olga", is_staff=True, role="organiser")
    cast.person("Vera", is_staff=True, role="viewer")
    cast.person("Bob")
    stuck_run()
    tell()
    assert mail.outbox[0].to == ["olga@example.org"]


def test_the_sweeper_looks_for_alarms_and_shows_that_it_lives(monkeypatch):
    ProcessHeartbeat.objects.all().delete()
    monkeypatch.setattr(alarms, "_next_look", 0.0)
    stuck_run()
    sweeper.sweep()
    sweeper.sweep()
    outbox.send_due()
    assert len(mail.outbox) == 1
    assert ProcessHeartbeat.objects.get(name="sweeper").at > clock.now() - timedelta(seconds=30)


def test_an_error_in_the_looking_does_not_stop_the_sweeper(monkeypatch, caplog):
    def broken():
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(alarms, "_next_look", 0.0)
    monkeypatch.setattr(alarms, "tell", broken)
    sweeper.sweep()
    assert "looking for alarms failed" in caplog.text
