"""Our own outage is not taken for a host's: while nobody could hear a host, no lease ends."""

import math
from datetime import timedelta

import pytest

from leaderboard.core import clock, process_heartbeat
from leaderboard.models import Batch, ProcessHeartbeat
from leaderboard.processes import sweeper
from leaderboard.states import BatchState
from tests.leaderboard import cast, gpu_host

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def overdue(db) -> None:
    """A batch whose lease is over."""
    host = cast.host()
    run = cast.submit_checked(cast.team_of(cast.person("Alice")), cast.phase()).runs.get()
    gpu_host.claim(host, gpu_host.waiting(run))
    Batch.objects.update(lease_until=clock.now() - timedelta(seconds=1))


def is_kept() -> bool:
    sweeper.sweep()
    return Batch.objects.get().state == BatchState.LEASED


def test_a_lease_does_not_end_while_the_web_server_shows_no_life():
    ProcessHeartbeat.objects.create(name="web@a", at=clock.now() - timedelta(minutes=1))
    assert is_kept()


def test_pages_that_live_do_not_hear_hosts():
    ProcessHeartbeat.objects.create(name="hosts@a", at=clock.now() - timedelta(minutes=1))
    process_heartbeat.beat("pages@a")
    process_heartbeat.beat("uploads@a")
    assert is_kept()
    process_heartbeat.beat("hosts@a")
    sweeper._outage_at = -math.inf
    assert not is_kept()


def test_nor_in_the_first_seconds_after_it_came_back(monkeypatch):
    sweeper.note_outage()
    process_heartbeat.beat("web@a")
    assert is_kept()
    monkeypatch.setattr(sweeper, "_outage_at", sweeper._outage_at - 60)
    assert not is_kept()


def test_one_living_web_server_is_enough():
    ProcessHeartbeat.objects.create(name="web@gone", at=clock.now() - timedelta(minutes=1))
    process_heartbeat.beat("web@a")
    assert not is_kept()
