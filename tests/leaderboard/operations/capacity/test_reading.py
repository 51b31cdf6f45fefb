"""What the forecast reads of the database, and where it stands."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from leaderboard.core import clock, minutes
from leaderboard.desk.attention.capacity import will_not_fit
from leaderboard.models import Attempt, Host, Maintenance, Run, RunCase, Submission
from leaderboard.operations.capacity import Verdict, capacities_at, capacity_at
from tests.leaderboard import cast, gpu_host

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    """What was found in a minute is found anew: the scene changes within it."""
    monkeypatch.setattr(minutes, "MOST", 0)
    minutes._kept.clear()


@pytest.fixture
def scored(team, host) -> Submission:
    """A scored run of Alice's, whose containers took an hour of the host's slot."""
    submission = cast.submit_checked(team, cast.phase(runs_per_day=2, runs_total=9))
    gpu_host.claim(host, gpu_host.waiting(submission.runs.get()))
    at = clock.now() - timedelta(minutes=2)
    Attempt.objects.update(claimed_at=at - timedelta(hours=1), ended_at=at)
    Run.objects.update(state="scored", ended_at=at)
    RunCase.objects.update(decided_at=at)
    return submission


def test_before_a_run_has_ended_nothing_is_foreseen(team, host):
    assert capacity_at(clock.now()) is None
    cast.submit_checked(team, cast.phase())
    found = capacity_at(clock.now())
    assert found is not None
    assert found.foreseen is None
    assert list(will_not_fit(clock.now())) == []


def test_runs_left_and_hours_are_those_of_the_teams(scored):
    cast.team_of(cast.person("Bob"))
    found = capacity_at(clock.now())
    assert found is not None
    assert found.foreseen is not None
    assert (found.teams, found.gpus) == (2, 1)
    days = (scored.phase.closes_at.date() - clock.now().date()).days
    assert 0 < found.foreseen.high <= 2 * 2 * (days + 1) - 1 + 0.01
    assert found.foreseen.there == pytest.approx(24, abs=0.1)


def test_what_waits_counts_by_its_teams_hours_and_hosts_and_pauses_by_what_they_give(scored, team):
    before = capacity_at(clock.now())
    cast.submit_checked(team, scored.phase)
    after = capacity_at(clock.now())
    assert before is not None
    assert before.foreseen is not None
    assert after is not None
    assert after.foreseen is not None
    assert before.foreseen.steps[0].hours == 0
    assert after.foreseen.steps[0].hours == pytest.approx(1.0)
    at = clock.now()
    Maintenance.objects.create(begins_at=at + timedelta(hours=1), ends_at=at + timedelta(hours=3), words="x")
    paused = capacity_at(at)
    assert paused is not None
    assert paused.foreseen is not None
    assert after.foreseen.there - paused.foreseen.there == pytest.approx(2, abs=0.05)


def test_that_it_will_not_fit_wants_somebody(scored):
    assert list(will_not_fit(clock.now())) == []
    Host.objects.update(draining=True)
    found = capacity_at(clock.now())
    assert found is not None
    assert found.foreseen is not None
    assert found.foreseen.verdict == Verdict.SHORT
    [item] = will_not_fit(clock.now())
    assert item.word == "Will not fit"
    assert "no host takes work" in item.what


def test_the_command_tells_it(scored):
    told = StringIO()
    call_command("capacity", "--json", stdout=told)
    said = json.loads(told.getvalue())
    assert said["phase"] == "test"
    assert said["foreseen"]["fits"] in ("fits", "just", "short")
    assert len(said["foreseen"]["steps"]) == 25
    words = StringIO()
    call_command("capacity", "--phase", "test", stdout=words)
    assert "GPU hours foreseen" in words.getvalue()
    Host.objects.update(draining=True)
    call_command("capacity", stdout=words)
    assert "would start never: no host takes work" in words.getvalue()
    with pytest.raises(CommandError, match="No such phase"):
        call_command("capacity", "--phase", "nothing")


def test_phases_that_are_open_at_once_need_the_same_hosts(scored, team):
    """Until the earlier deadline a part of what the later one needs, until the later one all of both."""
    alone = capacity_at(clock.now())
    later = cast.phase(
        scored.phase.case_set, slug="later", closes_at=scored.phase.closes_at + timedelta(days=1), runs_total=9
    )
    first, second = capacities_at(clock.now())
    assert (first.phase, second.phase) == (scored.phase, later)
    assert alone is not None
    assert alone.foreseen is not None
    assert first.foreseen is not None
    assert second.foreseen is not None
    assert alone.foreseen.hours < first.foreseen.hours < second.foreseen.hours
    assert first.foreseen.low <= first.foreseen.hours <= first.foreseen.high
    beside = capacity_at(clock.now(), "later")
    assert beside is not None
    assert beside.foreseen is not None
    assert beside.foreseen.hours == second.foreseen.hours
