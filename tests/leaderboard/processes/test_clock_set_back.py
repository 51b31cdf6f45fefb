"""The database's clock is set back by an hour: nobody waits for that hour. It is set forward: nobody loses a lease."""

import math
import uuid
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import F

from leaderboard.core import clock, process_heartbeat
from leaderboard.hosts import slots
from leaderboard.journey import decisions, faults, pipeline
from leaderboard.journey.locking import lock_run
from leaderboard.models import Batch, Host, ProcessHeartbeat, Run, StateChange, Submission
from leaderboard.processes import sweeper
from leaderboard.states import BatchState, RunState
from tests.leaderboard import cast, gpu_host, seen

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)


@pytest.fixture
def host(db) -> Host:
    return cast.host()


@pytest.fixture
def run(host) -> Run:
    return cast.submit_checked(cast.team_of(cast.person("Alice")), cast.phase()).runs.get()


def set_clock_back() -> None:
    """What was a moment ago is now an hour ahead."""
    process_heartbeat.beat(process_heartbeat.SWEEPER)
    instants = (
        (ProcessHeartbeat, "at"),
        (Batch, "notified_at"),
        (Batch, "lease_until"),
        (Run, "retry_at"),
        (Host, "seen_at"),
    )
    for model, name in instants:
        model.objects.update(**{name: F(name) + HOUR})


def test_a_batch_that_was_rung_for_is_rung_for_again(run, settings):
    settings.NOTIFY_AGAIN_SECONDS = 0
    set_clock_back()
    ahead = run.batches.get().notified_at
    sweeper.sweep()
    assert run.batches.get().notified_at < ahead


def test_a_host_that_went_silent_loses_its_lease_and_gets_no_work(host, run, settings):
    gpu_host.claim(host, gpu_host.waiting(run))
    set_clock_back()
    settings.LEASE_SECONDS = 0
    for _ in range(2):
        sweeper.sweep()
    assert run.batches.get().state == BatchState.WAITING
    assert slots.free_slots(clock.now()) == []


def test_an_interrupted_run_goes_on(run, settings):
    settings.NOTIFY_AGAIN_SECONDS = 0
    with transaction.atomic():
        faults.halt_run(lock_run(run.pk), "internal")
    set_clock_back()
    for _ in range(2):
        sweeper.sweep()
    run.refresh_from_db()
    assert run.state == RunState.CANARY


def test_the_history_is_told_in_the_order_of_its_events(run):
    submission = run.submission
    before = [change.pk for change in submission.history.all()]
    StateChange.objects.update(at=F("at") + HOUR)
    submission.accepted_at += HOUR
    submission.save()
    later = cast.submit(submission.team, submission.phase)
    decisions.cancel(submission, by=cast.OPERATOR)
    assert [change.pk for change in submission.history.all()][: len(before)] == before
    assert submission.history.last().to_state == RunState.CANCELLED
    assert seen.by_organiser(Submission.objects.get(pk=submission.pk)).history[0].text == "Cancelled"
    assert list(submission.team.submissions.all()) == [later, submission]


@pytest.fixture
def leap(monkeypatch):
    """Set the clock forward between two looks of the sweeper."""
    sweeper.sweep()

    def leap():
        now = clock.now
        monkeypatch.setattr(clock, "now", lambda: now() + HOUR)

    return leap


def test_no_run_loses_its_lease_when_the_clock_is_set_forward(host, run, leap):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    leap()
    sweeper.sweep()
    assert run.batches.get().state == BatchState.LEASED
    pipeline.heartbeat(host, uuid.UUID(order["batch"]), fence=order["fence"], done=0)
    sweeper.note_outage()
    sweeper.sweep()
    assert run.batches.get().lease_until > clock.now()


def test_a_host_that_stays_silent_after_such_a_leap_loses_it(host, run, leap, monkeypatch):
    gpu_host.claim(host, gpu_host.waiting(run))
    leap()
    sweeper.sweep()
    monkeypatch.setattr(sweeper, "_outage_at", -math.inf)  # a quarter of a lease later
    sweeper.sweep()
    run.refresh_from_db()
    assert run.state == RunState.HALTED
