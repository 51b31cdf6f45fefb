"""Who is next."""

import uuid
from datetime import timedelta

import pytest

from leaderboard.core import clock
from leaderboard.hosts import slots
from leaderboard.journey import pipeline, scheduling
from leaderboard.journey.locking import LeaseLost
from leaderboard.models import Attempt, Batch, Host, Phase, Run
from leaderboard.states import BatchState, RunState
from tests.leaderboard import cast, gpu_host

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def phase():
    return cast.phase(cast.case_set(1), runs_per_day=9)


@pytest.fixture
def teams():
    return [cast.team_of(cast.person(name)) for name in ("Alice", "Charlie")]


def test_the_queue_is_round_robin_between_teams_then_in_order_of_acceptance(phase, teams):
    alices, charlies = teams
    first, second, third = (cast.submit_checked(alices, phase) for _ in range(3))
    late = cast.submit_checked(charlies, phase)
    assert [run.submission for run in scheduling.queue()] == [first, late, second, third]


def test_without_a_living_host_nothing_starts(phase, teams):
    submission = cast.submit_checked(teams[0], phase)
    assert submission.runs.get().state == RunState.QUEUED


def test_one_slot_takes_one_run(phase, teams):
    cast.host(slots=1)
    for team in teams:
        cast.submit_checked(team, phase)
    assert Run.objects.filter(state=RunState.CANARY).count() == 1
    assert Run.objects.filter(state=RunState.QUEUED).count() == 1


def test_a_slot_without_gpus_does_not_get_a_run_that_needs_one(teams):
    cast.host(slots=1, gpus=0)
    submission = cast.submit_checked(teams[0], cast.phase(cast.case_set(1), gpus=1))
    assert submission.runs.get().state == RunState.QUEUED


def test_a_cpu_run_leaves_the_gpu_to_others(teams):
    host = cast.host(slots=1, gpus=0)
    host.slots.append({"name": "gpu0", "gpus": ["0"]})
    host.save()
    cast.submit_checked(teams[0], cast.phase(cast.case_set(1), gpus=0))
    batch = Batch.objects.get()
    gpu_host.claim(host, batch)
    assert [slot.gpus for slot in slots.free_slots(clock.now())] == [1]


def test_a_batch_that_was_rung_for_is_not_rung_for_again_at_once(phase, teams):
    cast.host(slots=2)
    cast.submit_checked(teams[0], phase)
    told = Batch.objects.get(state=BatchState.WAITING).notified_at
    scheduling.fill_slots(lambda run: None)
    assert Batch.objects.get().notified_at == told


def test_a_run_of_which_a_host_was_just_told_is_at_work_as_one_that_it_does(phase, teams):
    """What is left over after that helps; it took the place of a run that had nothing."""
    first, second = runs = [cast.submit_checked(teams[0], phase).runs.get() for _ in range(2)]
    Run.objects.update(state=RunState.RUNNING, started_at=clock.now())
    Batch.objects.bulk_create(Batch(run=run, number=number) for run in runs for number in (1, 2))
    first.batches.filter(number=1).update(notified_at=clock.now())
    cast.host(slots=2)
    pipeline.fill_slots()
    told = Batch.objects.filter(notified_at__isnull=False).values_list("run", "number")
    assert sorted(told) == [(first.pk, 1), (second.pk, 1)]


def test_a_team_with_a_run_at_work_waits_behind_one_without(phase, teams):
    alices, charlies = teams
    cast.host(slots=1)
    cast.submit_checked(alices, phase)  # takes the slot
    waiting = cast.submit_checked(alices, phase)
    late = cast.submit_checked(charlies, phase)
    assert [run.submission for run in scheduling.queue()] == [late, waiting]


def test_a_team_that_was_served_longer_ago_comes_first_whatever_the_clock_says(phase, teams):
    """After a clock was set back, who was served last would be served in the future, and after everybody for long."""
    alices, charlies = teams
    cast.host(slots=2)
    for team, hours in ((charlies, -1), (alices, 1)):
        cast.submit_checked(team, phase)
        ended = Run.objects.filter(submission__team=team)
        ended.update(state=RunState.SCORED, started_at=clock.now() - timedelta(hours=hours))
    Host.objects.update(slots=[])
    first = cast.submit_checked(alices, phase)
    second = cast.submit_checked(charlies, phase)
    assert [run.submission for run in scheduling.queue()] == [second, first]


def test_a_run_that_we_interrupted_goes_on_before_a_new_one_starts(phase, teams):
    alices, charlies = teams
    cast.submit_checked(charlies, phase)
    interrupted = cast.submit_checked(alices, phase)
    Run.objects.filter(submission=interrupted).update(started_at=clock.now())
    assert scheduling.queue()[0].submission == interrupted


def test_a_run_that_cannot_start_does_not_keep_others_waiting(phase, teams, caplog):
    broken, fine = (cast.submit_checked(team, phase).runs.get() for team in teams)
    cast.host(slots=2)
    started = []

    def start(run):
        if run == broken:
            raise RuntimeError("a bug of ours")
        started.append(run)

    scheduling.fill_slots(start)
    assert started == [fine]
    assert "could not be started" in caplog.text


@pytest.fixture
def both_kinds(phase):
    """A phase of hidden cases, and one of public cases."""
    return phase, cast.phase(cast.case_set(1, name="open"), slug="open", cases_are_public=True)


@pytest.mark.parametrize(("serves", "starts"), [("every", {True, False}), ("public", {True}), ("hidden", {False})])
def test_a_host_that_serves_one_kind_of_cases_gets_no_run_of_the_other(both_kinds, teams, serves, starts):
    """A program of a public phase, whose log is read, would see in the kernel's counters what a hidden one did."""
    cast.host(slots=2)
    Host.objects.update(serves=serves)
    runs = [cast.submit_checked(team, phase).runs.get() for team, phase in zip(teams, both_kinds, strict=True)]
    begun = Run.objects.filter(state=RunState.CANARY).values_list("submission__phase__cases_are_public", flat=True)
    assert set(begun) == starts
    for run in runs:
        submission = run.submission
        assert slots.fits_some_host(submission, clock.now()) == (submission.cases_are_public in starts)


def test_a_try_out_goes_to_a_host_of_public_cases_whatever_its_phase_hides(both_kinds, teams):
    """Its log is read, too."""
    hidden, public = both_kinds
    Phase.objects.update(try_outs_on=public)
    host = cast.host(slots=1)
    Host.objects.update(serves="hidden")
    hidden.refresh_from_db()
    run = cast.submit_checked(teams[0], hidden, kind="try_out").runs.get()
    assert run.state == RunState.QUEUED
    host.refresh_from_db()
    Host.objects.update(serves="public")
    pipeline.fill_slots()
    assert slots.free_slots(clock.now()) == []
    batch = run.batches.get()
    with pytest.raises(LeaseLost):
        gpu_host.claim(host, batch)  # as it was
    host.refresh_from_db()
    gpu_host.claim(host, batch)


def test_what_a_host_that_serves_one_kind_was_told_of_takes_no_slot_of_the_other(both_kinds, teams):
    hidden, public = both_kinds
    for name, serves in (("a", "hidden"), ("b", "public")):
        cast.host(name, slots=1, token=name)
        Host.objects.filter(name=name).update(serves=serves)
    cast.submit_checked(teams[0], hidden)
    assert [slot.serves for slot in slots.free_slots(clock.now())] == ["public"]
    cast.submit_checked(teams[1], public)
    assert slots.free_slots(clock.now()) == []


@pytest.mark.parametrize("why", ["serves", "gpus", "draining"])
def test_a_batch_that_a_host_can_not_have_is_told_again_at_once_if_another_can(phase, teams, told, why):
    cast.host("fits", slots=1, gpus=1)
    other = cast.host("other", slots=1, token="another")
    if why == "gpus":
        phase.gpus = 1
        phase.save()
    if why == "serves":
        other.serves = Host.Serves.PUBLIC
    other.draining = why == "draining"
    other.save()
    cast.submit_checked(teams[0], phase)
    batch = Batch.objects.get()
    del told[:]
    with pytest.raises(LeaseLost):
        gpu_host.claim(other, batch)
    assert told == [batch.pk]
    Host.objects.filter(name="fits").update(slots=[])
    with pytest.raises(LeaseLost):
        gpu_host.claim(other, batch)
    assert told == [batch.pk]  # or the two would go on for ever
    assert Batch.objects.get().state == BatchState.WAITING


@pytest.fixture
def told(monkeypatch):
    """The batches of which hosts are told."""
    ids: list[uuid.UUID] = []
    monkeypatch.setattr("leaderboard.core.task_queue.enqueue_batch", ids.append)
    return ids


def test_a_draining_host_gets_no_new_run(phase, teams):
    cast.host(slots=1)
    Host.objects.update(draining=True)
    submission = cast.submit_checked(teams[0], phase)
    assert submission.runs.get().state == RunState.QUEUED
    assert not slots.fits_some_host(submission, clock.now())


def test_a_draining_host_finishes_its_batch_and_claims_no_other(teams):
    host = cast.host(slots=2)
    run = cast.submit_checked(teams[0], cast.phase(cast.case_set(3), slug="long")).runs.get()
    batch, key = Batch.objects.get(), uuid.uuid4()
    order = gpu_host.claim(host, batch, key=key)
    Host.objects.update(draining=True)
    host.refresh_from_db()
    assert gpu_host.claim(host, batch, key=key) == order  # an answer that got lost is asked for again
    pipeline.heartbeat(host, batch.pk, fence=1, done=0)
    gpu_host.report(host, order, [gpu_host.lost(order, 0)], exit_code=1)
    gpu_host.score_reported(run)
    with pytest.raises(LeaseLost):
        gpu_host.claim(host, gpu_host.waiting(run))


def test_the_runs_of_a_draining_host_go_on_elsewhere(phase, teams):
    drained = cast.host(slots=1)
    Host.objects.update(draining=True)
    drained.refresh_from_db()
    other = cast.host("gpu-2", token="other")
    run = cast.submit_checked(teams[0], phase).runs.get()
    with pytest.raises(LeaseLost):  # it was told of it first
        gpu_host.claim(drained, gpu_host.waiting(run))
    assert gpu_host.claim(other, gpu_host.waiting(run))["fence"] == 1


class TestWhatIsNotScored:
    """Try-outs and post-challenge runs, beside scored runs."""

    @pytest.fixture
    def public(self):
        made = cast.phase(cast.case_set(2), runs_per_day=9, cases_are_public=True, try_outs_per_day=9)
        Phase.objects.update(try_outs_on=made)
        return Phase.objects.get()

    @pytest.fixture
    def closed(self):
        an_hour = timedelta(hours=1)
        ended = {"closes_at": clock.now() - an_hour, "post_challenge_opens_at": clock.now() - an_hour}
        return cast.phase(cast.case_set(1, name="old"), slug="old", **ended)

    def test_whenever_they_came_they_start_after_every_scored_run(self, public, closed, teams):
        alices, charlies = teams
        after = cast.submit_checked(charlies, closed, kind="post_challenge")
        tried = cast.submit_checked(charlies, public, kind="try_out")
        first, second = (cast.submit_checked(alices, public) for _ in range(2))
        assert [run.submission for run in scheduling.queue()] == [first, second, tried, after]

    def test_a_try_out_costs_a_team_neither_its_turn_nor_its_place(self, public, teams):
        alices, charlies = teams
        host = cast.host(slots=1)
        cast.submit_checked(alices, public, kind="try_out")  # takes the slot
        mine, late = cast.submit_checked(alices, public), cast.submit_checked(charlies, public)
        assert Run.objects.get(submission__kind="try_out").state == RunState.CANARY
        assert [run.submission for run in scheduling.queue()] == [mine, late]
        assert host.slots

    def test_what_is_left_over_goes_to_a_try_out_before_it_helps_a_run_and_to_a_post_challenge_run_after(
        self, public, closed, teams
    ):
        run = cast.submit_checked(teams[0], public).runs.get()
        Run.objects.update(state=RunState.RUNNING, started_at=clock.now())
        Batch.objects.bulk_create(Batch(run=run, number=number) for number in (1, 2))
        tried = cast.submit_checked(teams[1], public, kind="try_out").runs.get()
        after = cast.submit_checked(teams[1], closed, kind="post_challenge").runs.get()
        cast.host(slots=3)
        pipeline.fill_slots()
        told = Batch.objects.filter(notified_at__isnull=False).values_list("run", flat=True)
        assert sorted(told) == [run.pk, run.pk, tried.pk]
        assert Run.objects.get(pk=after.pk).state == RunState.QUEUED

    @pytest.mark.parametrize(("minutes", "goes_first"), [(14, False), (16, True)])
    def test_a_try_out_that_has_waited_long_goes_before_a_run_that_goes_on(self, public, teams, minutes, goes_first):
        run, tried = self.under_way(public, teams, minutes)
        cast.host(slots=1)
        pipeline.fill_slots()
        assert Batch.objects.get(notified_at__isnull=False).run == (tried if goes_first else run)

    def test_but_never_before_one_that_starts(self, public, teams):
        _, tried = self.under_way(public, teams, 60)
        cast.submit_checked(teams[1], public)
        cast.host(slots=1)
        pipeline.fill_slots()
        assert not Run.objects.get(pk=tried.pk).started_at

    def test_nor_soon_after_another_try_out(self, public, teams):
        _, tried = self.under_way(public, teams, 60)
        another = cast.submit_checked(teams[1], public, kind="try_out").runs.get()
        Run.objects.filter(pk=another.pk).update(state=RunState.SCORED)
        ended = {"host": cast.host(slots=1), "key": uuid.uuid4(), "slot": "slot0", "fence": 1}
        batch = Batch.objects.create(run=another, number=1, state=BatchState.SCORED)
        Attempt.objects.create(batch=batch, claimed_at=clock.now(), ended_at=clock.now(), **ended)
        pipeline.fill_slots()
        assert not Run.objects.get(pk=tried.pk).started_at
        Attempt.objects.update(ended_at=clock.now() - scheduling.TRY_OUT_PAUSE)
        Batch.objects.update(notified_at=None)
        pipeline.fill_slots()
        assert Run.objects.get(pk=tried.pk).started_at

    def under_way(self, public, teams, minutes):
        """A run that goes on, and a try-out that has waited for so many minutes."""
        run = cast.submit_checked(teams[0], public).runs.get()
        Run.objects.update(state=RunState.RUNNING, started_at=clock.now())
        Batch.objects.create(run=run, number=1)
        tried = cast.submit_checked(teams[1], public, kind="try_out").runs.get()
        Run.objects.filter(pk=tried.pk).update(created_at=clock.now() - timedelta(minutes=minutes))
        return run, tried
