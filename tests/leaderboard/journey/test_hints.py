"""The look at the masks of a run: on public cases, after its scores, and what it promises is true."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection

from evaluation import IsolatedScorer
from leaderboard.core import blobs, clock, task_queue
from leaderboard.journey import looks, pipeline, scheduling
from leaderboard.journey.selectors import MAX_LOOKS, awaiting_a_look
from leaderboard.models import Case, Run, Standing
from leaderboard.processes import sweeper
from leaderboard.scores import hints
from leaderboard.states import BatchState, RunState
from tests.leaderboard import cast, gpu_host, masks

pytestmark = pytest.mark.django_db(transaction=True)

MEANT = np.roll(masks.cube(2), 1, axis=1)
FLIPPED = MEANT[:, ::-1]


@pytest.fixture
def phase_of():
    """phase_of(public) -> a phase over three cases with the same reference."""

    def make(*, public: bool):
        made = cast.phase(cast.case_set(3), slug="dev", cases_are_public=public, runs_per_day=9)
        for case in Case.objects.all():
            masks.give_reference(case, masks.cube(2))
        return made

    return make


@pytest.fixture
def asked(monkeypatch):
    """Whom messages ask to look, one after the other."""
    asked = []
    monkeypatch.setattr(
        task_queue, "_send", lambda task, key, _: asked.append(int(key)) if task.endswith("look_at_run") else None
    )
    return asked


def scored(team, host, phase, mask) -> Run:
    run = cast.submit_checked(team, phase).runs.get()
    gpu_host.finish_run(host, run, masks.nifti(mask))
    assert run.state == RunState.SCORED
    return run


def dice(run) -> float:
    return run.standings.get(scope=Standing.Scope.ALL).dice


def test_a_flip_is_named_with_the_score_that_the_masks_would_have(team, host, phase_of):
    phase = phase_of(public=True)
    run = scored(team, host, phase, FLIPPED)
    assert dice(run) < 0.01
    looks.look_at_run(run.pk)
    run.refresh_from_db()
    [hint] = run.hints or []
    assert "if the masks were flipped along H: 0.750 instead of 0.000" in hint["text"]
    better = scored(team, host, phase, MEANT)
    assert hint["corrected_dice"] == pytest.approx(dice(better))
    looks.look_at_run(better.pk)
    better.refresh_from_db()
    assert better.hints == []


def test_the_look_changes_no_score(team, host, phase_of):
    run = scored(team, host, phase_of(public=True), FLIPPED)
    before = list(run.cases.values_list("result", flat=True)), dice(run)
    looks.look_at_run(run.pk)
    assert (list(run.cases.values_list("result", flat=True)), dice(run)) == before


def test_nobody_looks_at_masks_of_hidden_cases(team, host, phase_of, asked):
    run = scored(team, host, phase_of(public=False), FLIPPED)
    sweeper.sweep()
    assert asked == []
    looks.look_at_run(run.pk)
    run.refresh_from_db()
    assert (run.hints, run.hints_asked_at) == (None, None)


def reported(team, host, phase) -> Run:
    """A run whose first mask waits for its score."""
    run = cast.submit_checked(team, phase).runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(MEANT))])
    assert run.batches.filter(state=BatchState.REPORTED).exists()
    return run


def scores(run) -> int:
    return run.cases.filter(result__isnull=False).count()


def test_a_look_goes_on_where_it_was_when_what_waited_meanwhile_is_scored(team, phase_of, monkeypatch):
    host, phase = cast.host(slots=4), phase_of(public=True)
    run = scored(team, host, phase, FLIPPED)
    others = [reported(team, host, phase)]
    seen, fit = [], IsolatedScorer.fit

    def look_at_a_case(scorer, job, seconds):
        seen.append((job.case.name, [scores(one) for one in others], Run.objects.get(pk=run.pk).hints_tries))
        if len(others) == 1:
            others.append(reported(team, host, phase))
        return fit(scorer, job, seconds)

    monkeypatch.setattr(IsolatedScorer, "fit", look_at_a_case)
    pipeline.look_next(processes=2)
    assert [scored for _, scored, _ in seen] == [[1], [1, 1], [1, 1]]
    assert len({name for name, _, _ in seen}) == 3
    assert {tries for _, _, tries in seen} == {1}
    run.refresh_from_db()
    [hint] = run.hints or []
    assert "0.750 instead of 0.000" in hint["text"]


def next_look_of_another() -> int | None:
    """At what another process would look now."""

    def look() -> int | None:
        try:
            with scheduling.next_look() as run:
                return run
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(look).result()


def test_no_more_than_one_process_looks_at_masks_and_each_run_has_its_turn(team, host, phase_of):
    phase = phase_of(public=True)
    rivals = cast.team_of(cast.person("Charlie"))
    mine, again, theirs = (scored(one, host, phase, MEANT) for one in (team, team, rivals))
    with scheduling.next_look() as run:
        assert run == mine.pk
        assert next_look_of_another() is None
    Run.objects.filter(pk=mine.pk).update(hints=[])
    order = [run]
    for _ in range(2):
        served = next_look_of_another()
        assert served
        order.append(served)
        Run.objects.filter(pk=served).update(hints=[])
    assert order == [mine.pk, theirs.pk, again.pk]


def test_a_look_that_was_lost_is_asked_for_again(team, host, phase_of, asked):
    run = scored(team, host, phase_of(public=True), FLIPPED)
    assert asked == [run.pk]
    sweeper.sweep()
    assert asked == [run.pk]
    for lost_for in (timedelta(minutes=5), timedelta(days=3)):
        asked.clear()
        long_ago = clock.now() - lost_for
        Run.objects.update(hints_asked_at=long_ago, ended_at=long_ago)
        sweeper.sweep()
        assert asked == [run.pk]


def test_runs_of_a_server_of_before_are_looked_at_if_they_are_recent(team, host, phase_of, asked):
    run = scored(team, host, phase_of(public=True), FLIPPED)
    Run.objects.update(hints_asked_at=None)
    asked.clear()
    sweeper.sweep()
    assert asked == [run.pk]
    Run.objects.update(hints_asked_at=None, ended_at=clock.now() - timedelta(days=2))
    sweeper.sweep()
    assert asked == [run.pk]


def test_a_look_that_breaks_down_each_time_is_given_up_and_others_do_not_wait_for_it(
    team, host, phase_of, asked, monkeypatch
):
    phase = phase_of(public=True)
    bad, good = (scored(team, host, phase, FLIPPED) for _ in range(2))
    look = hints.look

    def broken(run, pause):
        if run == bad:
            raise RuntimeError("a mistake of ours")
        return look(run, pause)

    monkeypatch.setattr(hints, "look", broken)
    asked.clear()
    pipeline.look_next(processes=2)
    assert asked == [good.pk]
    pipeline.look_next(processes=2)
    good.refresh_from_db()
    assert good.hints
    sweeper.sweep()
    assert asked == [good.pk], "it is tried again after a pause"
    tries = 1
    while awaiting_a_look().filter(pk=bad.pk).exists():
        Run.objects.update(hints_asked_at=clock.now() - 2 * sweeper.LOOK_AGAIN)
        asked.clear()
        sweeper.sweep()
        assert asked == [bad.pk]
        pipeline.look_next(processes=2)
        tries += 1
    bad.refresh_from_db()
    assert (bad.hints_tries, bad.hints) == (tries, None) == (MAX_LOOKS, None)
    Run.objects.update(hints_asked_at=clock.now() - 2 * sweeper.LOOK_AGAIN)
    asked.clear()
    sweeper.sweep()
    assert asked == []


def test_a_look_that_kills_its_worker_counts(team, host, phase_of, monkeypatch):
    run = scored(team, host, phase_of(public=True), FLIPPED)

    class Killed(BaseException):
        pass

    def killed(_run, _pause):
        raise Killed

    monkeypatch.setattr(hints, "look", killed)
    for _ in range(MAX_LOOKS):
        with pytest.raises(Killed):
            pipeline.look_next(processes=2)
    pipeline.look_next(processes=2)
    run.refresh_from_db()
    assert (run.hints_tries, run.hints) == (MAX_LOOKS, None)


def test_masks_that_are_gone_are_no_reason_to_look_again(team, host, phase_of):
    run = scored(team, host, phase_of(public=True), FLIPPED)
    for digest in list(blobs.outputs.digests()):
        blobs.outputs.path(digest).unlink()
    looks.look_at_run(run.pk)
    run.refresh_from_db()
    assert run.hints == []
