"""A short round of chaos, and that chaos would notice what it looks for."""

import os
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

import pytest

from leaderboard.models import Attempt, Case, RunCase, Submission
from tests.chaos import verdict
from tests.chaos.disturbances import KINDS, MOST_AT_ONCE, described, plan
from tests.leaderboard import cast, gpu_host, masks

REPOSITORY = Path(__file__).resolve().parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts an engine and mounts disks of its own")


def first_rounds(seed: int, count: int):
    return list(islice(plan(seed), count))


def test_the_same_seed_gives_the_same_sequence():
    assert first_rounds(7, 50) == first_rounds(7, 50)
    assert first_rounds(7, 50) != first_rounds(8, 50)


def test_every_kind_of_failure_has_its_turn():
    rounds = first_rounds(7, len(KINDS))
    assert {one.name for round_ in rounds for one in round_.disturbances} == set(KINDS)


def test_nothing_else_fails_during_a_deployment():
    deployments = [one for one in first_rounds(7, 200) if "deployment" in str(one)]
    assert deployments
    assert all(len(one.disturbances) == 1 for one in deployments)


def test_several_things_fail_at_once_but_none_in_two_ways():
    rounds = first_rounds(7, 200)
    assert max(len(one.disturbances) for one in rounds) == MOST_AT_ONCE
    for one in rounds:
        about = [what.name.split()[0] for what in one.disturbances]
        assert len(about) == len(set(about))


def test_a_round_can_be_had_again_from_what_is_printed_of_it():
    for one in first_rounds(7, 50):
        assert str(described(str(one))) == str(one)
    with pytest.raises(ValueError, match="no failures"):
        described("moon killed at 3%")


@pytest.fixture
def scored(transactional_db) -> Submission:
    """A submission that was run and scored as it should be."""
    phase = cast.phase(cast.case_set(2))
    for case in Case.objects.all():
        masks.give_reference(case, masks.cube())
    host = cast.host()
    submission = cast.submit_checked(cast.team_of(cast.person("Alice")), phase)
    run = submission.runs.get()
    for _ in range(2):
        order = gpu_host.claim(host, gpu_host.waiting(run))
        gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))])
        gpu_host.score_reported(run)
    return submission


def problems(submission: Submission, expected: verdict.Numbers | None = None) -> list[str]:
    return [*verdict.of_submission(submission, expected or verdict.numbers(submission)), *verdict.of_leases()]


def test_an_undisturbed_run_has_no_problems(scored):
    assert problems(scored) == []


def test_another_number_is_noticed(scored):
    expected = verdict.numbers(scored)
    expected.cases["case_000.nii.gz"]["dice"] = 0.5
    assert problems(scored, expected) == ["other numbers than undisturbed: case_000.nii.gz"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda one: Submission.objects.update(charged=False), "charged False, 0 of today's runs, 0 in all"),
        (lambda one: one.runs.update(state="running"), "it is 'running', not scored"),
        (lambda one: RunCase.objects.filter(position=0).update(tries=2), "case 0 was tried 2 times, with 0 faults"),
        (lambda one: Attempt.objects.filter(batch__number=1).update(ended_at=None), "has not ended"),
        (lambda one: one.runs.get().batches.filter(number=1).update(state="reported"), "is still reported"),
        (lambda one: one.history.filter(run__isnull=False, to_state="scored").update(batch=None), "history is"),
    ],
    ids=["charge", "stuck", "tries", "attempt", "batch", "doubled"],
)
def test_what_is_wrong_is_noticed(scored, change, problem):
    change(scored)
    assert any(problem in found for found in problems(scored))


@needs_root
@pytest.mark.engine
@pytest.mark.timeout(600)
def test_disturbed_runs_end_as_undisturbed_ones():
    """Below an upload and a batch, while scores are written, and where the next failure keeps the last from ending."""
    failures = (
        "uploads killed at 2% for 0.9 s",
        "neighbour lost at 31% for good",
        "engine killed at 42% for 2.4 s",
        "web killed at 60% for 1.0 s",
        "database disk full at 85% for 1.5 s",
        "postgres killed at 93% for 0.4 s",
    )
    before = set(Path(tempfile.gettempdir()).glob("rexg-chaos-*"))
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--round", " + ".join(failures)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "chaos ok: 1 rounds" in done.stdout
    assert set(Path(tempfile.gettempdir()).glob("rexg-chaos-*")) <= before
