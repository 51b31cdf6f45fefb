"""What a page says of start and finish, and what it must not."""

from datetime import datetime, timedelta

import pytest

from leaderboard.core import clock
from leaderboard.models import AlgorithmImage, Attempt, Host, Run, RunCase, Submission
from leaderboard.progress.estimates import Estimate
from leaderboard.progress.line import line_at
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


def test_on_hidden_cases_an_estimate_is_made_of_what_the_page_shows_and_of_nothing_else(begun, at):
    at(0)
    phase = new_phase()
    run = begun(cast.team_of(cast.person("Alice")), phase, 600)
    waits = cast.submit_checked(cast.team_of(cast.person("Charlie")), phase)
    at(660)
    batch = gpu_host.waiting(run.runs.get())
    gpu_host.claim(Host.objects.get(), batch)
    now = at(1260)
    minute = now.replace(second=0)
    decided = RunCase.objects.filter(run__submission=run, decided_at__isnull=False)
    before = estimate(run), estimate(waits)
    assert before[0].finish is not None
    assert before[0].basis == "this run’s own cases so far"
    # When, how often and how well its containers and cases ended; how many are at work, and what with.
    for secret in (
        lambda: Attempt.objects.update(ended_at=minute - timedelta(minutes=7, seconds=20)),
        lambda: Attempt.objects.update(claimed_at=minute - timedelta(minutes=19), fault="internal"),
        lambda: Attempt.objects.filter(batch=batch).update(ended_at=None, claimed_at=now),
        lambda: RunCase.objects.filter(batch=batch, position__gt=3).update(batch=None),
        lambda: decided.update(decided_at=minute - timedelta(seconds=1), result={"status": "failed"}),
        lambda: RunCase.objects.filter(run__submission=run, decided_at=None).update(decided_at=minute),
        lambda: Run.objects.filter(submission=run).update(started_at=minute - timedelta(minutes=21, seconds=-59)),
        lambda: Run.objects.filter(submission=run).update(started_at=minute - timedelta(minutes=21)),
        lambda: Attempt.objects.all().delete(),
    ):
        secret()
        assert (estimate(run), estimate(waits)) == before
    RunCase.objects.filter(run__submission=run, decided_at=minute).update(decided_at=minute - timedelta(seconds=1))
    assert estimate(run) != before[0]  # its progress, which the page shows


def test_how_fast_a_run_on_hidden_cases_was_its_minutes_tell(host, at):
    """And that on a host with two slots it had both."""
    at(0)
    phase, team = new_phase(batch_size=4), cast.team_of(cast.person("Alice"))
    done = cast.submit_checked(team, phase)
    gpu_host.finish_run(host, done.runs.get(), MASK)
    began = clock.now()
    Run.objects.update(started_at=began, ended_at=began + timedelta(minutes=81, seconds=30))
    now = at(2 * 3600 - 1)
    found = estimate(cast.submit_checked(team, phase))
    assert (found.basis, found.place) == ("an earlier run of this image", 1)
    assert found.finish is not None
    assert found.finish.first < now + timedelta(minutes=81) < found.finish.last
    one_slot = found.finish.likely - now
    Host.objects.update(slots=[{"name": name, "gpus": []} for name in ("slot0", "slot1")])
    again = estimate(Submission.objects.latest("pk")).finish
    assert again is not None
    assert 0.5 < (again.likely - now) / one_slot < 1.5  # both then, both now


def test_a_host_for_other_phases_is_no_machine_and_one_that_drains_ends_what_it_has(begun, at):
    at(0)
    public, hidden = new_phase(cases_are_public=True), cast.phase(cast.case_set(name="more"), slug="hidden")
    run = begun(cast.team_of(cast.person("Alice")), public, 600)
    waits = cast.submit_checked(cast.team_of(cast.person("Charlie")), hidden)
    at(660)
    assert estimate(waits).none != "No estimate: no machine that fits takes runs at present."
    Host.objects.update(serves="public")
    assert estimate(waits) == Estimate(place=1, none="No estimate: no machine that fits takes runs at present.")
    assert estimate(run).finish is not None
    Host.objects.update(serves="hidden")
    assert estimate(run) == Estimate(none="No estimate of its end: no machine that fits takes runs at present.")
    Host.objects.update(serves="every", draining=True)
    assert estimate(run) == Estimate(none="No estimate of its end: no machine that fits takes runs at present.")
    RunCase.objects.filter(run__submission=run).update(decided_at=clock.now() - timedelta(minutes=2))
    assert estimate(run).finish is not None  # what is left is scored here


def test_a_withdrawn_run_keeps_its_place_and_tells_of_its_speed(begun, at):
    at(0)
    phase = new_phase(cases_are_public=True)
    run = begun(cast.team_of(cast.person("Alice")), phase, 600)
    waits = cast.submit_checked(cast.team_of(cast.person("Charlie")), phase)
    at(660)
    before = estimate(run), estimate(waits)
    Submission.objects.filter(pk=run.pk).update(withdrawn_at=clock.now())
    assert (estimate(run), estimate(waits)) == before


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


def test_how_long_a_check_takes_is_told_by_all_that_earlier_ones_read(host, at):
    """Weights are checked too: a small image with large ones tells nothing of images alone."""
    accepted_at, team, phase = at(0), cast.team_of(cast.person("Alice")), new_phase()
    done = cast.submit_checked(team, phase)
    gpu_host.finish_run(host, done.runs.get(), MASK)
    Run.objects.update(created_at=accepted_at + timedelta(seconds=30))
    now = at(600)
    waits = cast.submit(team, phase)
    Submission.objects.update(upload_bytes=10**6, weights_file="file", weights_bytes=10**9 - 10**6)
    work = line_at(now).work(-waits.pk)
    assert work is not None
    assert work.ready_in == pytest.approx(30)
    Submission.objects.filter(pk=waits.pk).update(weights_file="")  # they were used again
    work = line_at(now).work(-waits.pk)
    assert work is not None
    assert work.ready_in == pytest.approx(0.03)


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
