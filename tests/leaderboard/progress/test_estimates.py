"""What a page says of start and finish, and what it must not."""

from datetime import datetime, timedelta

import pytest

from leaderboard.core import clock
from leaderboard.models import AlgorithmImage, Attempt, Host, Run, RunCase, Submission
from leaderboard.progress.estimates import Estimate
from tests.leaderboard import cast, gpu_host, masks, seen

pytestmark = pytest.mark.django_db(transaction=True)
MASK = masks.nifti(masks.cube())


@pytest.fixture
def at(monkeypatch):
    """Sets the clock, to a second of a minute that has begun; at(seconds) later."""
    began = clock.now().replace(second=1, microsecond=0) - timedelta(hours=2)

    def set_to(seconds: float) -> datetime:
        now = began + timedelta(seconds=seconds)
        monkeypatch.setattr(clock, "now", lambda: now)
        Host.objects.update(seen_at=now)
        return now

    return set_to


@pytest.fixture
def begun(host, at):
    """begun(name, phase, seconds) -> a run whose canary takes so long, at that instant."""
    masks.give_references(masks.cube())

    def begin(team, phase, seconds: float) -> Submission:
        submission = cast.submit_checked(team, phase)
        order = gpu_host.claim(host, gpu_host.waiting(submission.runs.get()))
        at(seconds)
        gpu_host.report(host, order, [gpu_host.finished(order, 0, MASK)])
        gpu_host.score_reported(submission.runs.get())
        return Submission.objects.get(pk=submission.pk)

    return begin


def estimate(submission: Submission) -> Estimate:
    found = seen.by_team(Submission.objects.get(pk=submission.pk)).estimate
    assert found is not None
    return found


def new_phase(**policies):
    phase = cast.phase(cast.case_set(8), runs_per_day=9, **policies)
    masks.give_references(masks.cube())
    return phase


def test_on_public_cases_the_canary_tells_when_its_run_ends_and_the_next_one_starts(begun, at):
    alices, charlies = (cast.team_of(cast.person(name)) for name in ("Alice", "Charlie"))
    at(0)
    phase = new_phase(cases_are_public=True)
    run = begun(alices, phase, 600)
    waits = cast.submit_checked(charlies, phase)
    now = at(660)
    found = estimate(run)
    assert found.finish is not None
    # Seven more cases, of which one had its slot a minute ago; ten minutes each.
    assert found.finish.first < now + timedelta(minutes=70) < found.finish.last
    assert found.basis == "this run’s own cases so far"
    other = estimate(waits)
    assert (other.place, other.basis) == (1, "other runs in this phase")
    assert other.start is not None
    assert other.finish is not None


def test_on_hidden_cases_seconds_make_no_difference(begun, at):
    team = cast.team_of(cast.person("Alice"))
    at(0)
    run = begun(team, new_phase(), 600)
    at(660)
    batch = gpu_host.waiting(run.runs.get())
    gpu_host.claim(Host.objects.get(), batch)
    said = []
    for second in (5, 20, 50):
        at(1260)
        minute = clock.now().replace(second=0) - timedelta(minutes=3)
        Attempt.objects.update(ended_at=minute + timedelta(seconds=second))
        RunCase.objects.filter(decided_at__isnull=False).update(decided_at=minute + timedelta(seconds=second))
        Attempt.objects.filter(batch=batch).update(claimed_at=minute + timedelta(seconds=second))
        said.append(estimate(run))
    assert said[0] == said[1] == said[2]


def test_that_another_team_handed_in_the_same_image_is_not_told(host, at):
    alices, charlies = (cast.team_of(cast.person(name)) for name in ("Alice", "Charlie"))
    at(0)
    masks.give_references(masks.cube())
    public, hidden = new_phase(cases_are_public=True), cast.phase(cast.case_set(name="more"), slug="hidden")
    masks.give_references(masks.cube())
    done = cast.submit_checked(charlies, public)
    gpu_host.finish_run(host, done.runs.get(), MASK)
    at(600)
    same = cast.submit_checked(alices, hidden)
    assert same.image == done.image == AlgorithmImage.objects.get()
    assert estimate(same).finish is None
    Submission.objects.filter(pk=done.pk).update(team=alices)
    assert estimate(same).basis == "an earlier run of this image"


def test_without_a_machine_there_is_plainly_no_estimate(at):
    at(0)
    waits = cast.submit_checked(cast.team_of(cast.person("Alice")), new_phase(gpus=1))
    assert estimate(waits).none == "No estimate: no machine that fits takes runs at present."
    host = cast.host(gpus=1)
    assert "no run like it" in estimate(waits).none
    Host.objects.filter(pk=host.pk).update(draining=True)
    assert estimate(waits) == Estimate(place=1, none="No estimate: no machine that fits takes runs at present.")


def test_what_is_interrupted_has_no_estimate_and_what_is_over_none_at_all(begun, at):
    at(0)
    run = begun(cast.team_of(cast.person("Alice")), new_phase(cases_are_public=True), 60)
    Run.objects.update(state="halted")
    assert "interrupted" in estimate(run).none
    Run.objects.update(state="failed", ended_at=clock.now())
    assert seen.by_team(Submission.objects.get(pk=run.pk)).estimate is None
