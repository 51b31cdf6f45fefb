"""The look at the masks of a run: on public cases, after its scores, and what it promises is true."""

from datetime import timedelta

import numpy as np
import pytest

from leaderboard.core import blobs, clock
from leaderboard.journey import pipeline
from leaderboard.models import Batch, Case, Run, Standing
from leaderboard.processes import sweeper
from leaderboard.states import BatchState, RunState
from tests.leaderboard import cast, gpu_host, masks

pytestmark = pytest.mark.django_db(transaction=True)

MEANT = np.roll(masks.cube(2), 1, axis=1)
FLIPPED = MEANT[:, ::-1]


@pytest.fixture
def phase_of():
    """phase_of(public) -> a phase over three cases with the same reference."""

    def make(*, public: bool):
        made = cast.phase(cast.case_set(3), slug="dev", cases_are_public=public)
        for case in Case.objects.all():
            masks.give_reference(case, masks.cube(2))
        return made

    return make


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
    pipeline.look_at_run(run.pk)
    run.refresh_from_db()
    [hint] = run.hints or []
    assert "if the masks were flipped along H: 0.750 instead of 0.000" in hint["text"]
    better = scored(team, host, phase, MEANT)
    assert hint["corrected_dice"] == pytest.approx(dice(better))
    pipeline.look_at_run(better.pk)
    better.refresh_from_db()
    assert better.hints == []


def test_the_look_changes_no_score(team, host, phase_of):
    run = scored(team, host, phase_of(public=True), FLIPPED)
    before = list(run.cases.values_list("result", flat=True)), dice(run)
    pipeline.look_at_run(run.pk)
    assert (list(run.cases.values_list("result", flat=True)), dice(run)) == before


def test_nobody_looks_at_masks_of_hidden_cases(team, host, phase_of, monkeypatch):
    asked = []
    monkeypatch.setattr("leaderboard.core.task_queue._send", lambda *message: asked.append(message[0]))
    run = scored(team, host, phase_of(public=False), FLIPPED)
    sweeper.sweep()
    assert "leaderboard.look_at_run" not in asked
    pipeline.look_at_run(run.pk)
    run.refresh_from_db()
    assert (run.hints, run.hints_asked_at) == (None, None)


def test_scores_of_others_go_first(team, host, phase_of):
    phase = phase_of(public=True)
    run = scored(team, host, phase, FLIPPED)
    other = cast.submit_checked(team, phase).runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(other))
    gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(MEANT))])
    assert Batch.objects.filter(state=BatchState.REPORTED).exists()
    pipeline.look_at_run(run.pk)
    run.refresh_from_db()
    assert run.hints is None
    gpu_host.score_reported(other)
    pipeline.look_at_run(run.pk)
    run.refresh_from_db()
    assert run.hints


def test_a_look_that_was_lost_is_asked_for_again_but_not_of_long_ago(team, host, phase_of, monkeypatch):
    asked = []
    monkeypatch.setattr("leaderboard.core.task_queue._send", lambda *message: asked.append(message[:2]))
    run = scored(team, host, phase_of(public=True), FLIPPED)
    wanted = ("leaderboard.look_at_run", str(run.pk))
    assert wanted in asked
    asked.clear()
    sweeper.sweep()
    assert wanted not in asked
    Run.objects.update(hints_asked_at=clock.now() - timedelta(minutes=5))
    sweeper.sweep()
    assert asked.count(wanted) == 1
    # As a server of before left them: without anybody having asked.
    Run.objects.update(hints_asked_at=None)
    sweeper.sweep()
    assert asked.count(wanted) == 2
    Run.objects.update(hints_asked_at=None, ended_at=clock.now() - timedelta(days=2))
    sweeper.sweep()
    assert asked.count(wanted) == 2


def test_masks_that_are_gone_are_no_reason_to_look_again(team, host, phase_of):
    run = scored(team, host, phase_of(public=True), FLIPPED)
    for digest in list(blobs.outputs.digests()):
        blobs.outputs.path(digest).unlink()
    pipeline.look_at_run(run.pk)
    run.refresh_from_db()
    assert run.hints == []
