"""Hosts that want somebody."""

from datetime import timedelta

import pytest

from leaderboard.core import clock
from leaderboard.desk.attention.hosts import MANY_FAULTS, troubled
from leaderboard.models import Attempt, Host
from tests.leaderboard import cast, gpu_host

pytestmark = pytest.mark.django_db(transaction=True)


def words() -> list[tuple[str, str]]:
    return [(item.word, item.level) for item in troubled(clock.now())]


def test_a_host_that_is_well_wants_nobody(host):
    assert words() == []


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"trouble": "The container engine does not answer."}, [("Host in trouble", "warn")]),
        ({"hello_at": clock}, [("Host in trouble", "warn")]),
        ({"free_bytes": 15 * 10**9}, [("Disk", "warn")]),
        ({"free_bytes": 10**9}, [("Disk", "bad")]),
        ({"seen_at": clock}, [("Host silent", "bad")]),
        ({"seen_at": clock, "draining": True}, []),
        ({"seen_at": clock, "revoked_at": clock}, []),
        ({"seen_at": None}, []),
    ],
)
def test_what_is_wrong_with_a_host_is_told_once(host, fields, found):
    hour_ago = clock.now() - timedelta(hours=1)
    Host.objects.update(**{name: hour_ago if value is clock else value for name, value in fields.items()})
    assert words() == found
    for item in troubled(clock.now()):
        assert item.acts
        assert all(act.is_offered(row) for act, row in item.acts)


def test_one_that_was_away_for_long_is_not_missed(host):
    Host.objects.update(seen_at=clock.now() - timedelta(days=8))
    assert words() == []


def test_one_that_is_at_fault_again_and_again(team, host):
    run = cast.submit_checked(team, cast.phase()).runs.get()
    gpu_host.claim(host, gpu_host.waiting(run))
    first = Attempt.objects.get()
    Attempt.objects.update(fault="disk_full", ended_at=clock.now())
    for fence in range(2, MANY_FAULTS + 1):
        assert words() == []
        first.pk, first.fence, first.fault, first.ended_at = None, fence, "disk_full", clock.now()
        first.save()
    assert words() == [("Faults", "warn")]
    Attempt.objects.update(fault="host_stopped")
    assert words() == []
