"""A submission from the upload to the leaderboard, with real processes, undisturbed and disturbed.

What a disturbed run must share with an undisturbed one is everything that matters: each case's score, each case scored
once, nothing lost, nothing charged twice, nothing left in the engine.
"""

import json
import urllib.request
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from containers.sandbox.spec import LABEL_INSTANCE
from leaderboard.journey import decisions
from leaderboard.journey.failure_kinds import FailureKind
from leaderboard.journey.reasons import KINDS
from leaderboard.models import Attempt, Phase, Run, RunCase, Submission
from leaderboard.states import ENDED
from leaderboard.submissions.uploads import from_disk
from tests.journey import algorithms
from tests.journey.conftest import CASES
from tests.journey.stack import wait_for
from tests.leaderboard import cast

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine, pytest.mark.timeout(600)]

SLOW = "time.sleep(0.7)"
PATIENCE_SECONDS = 90


@pytest.fixture
def team():
    return cast.team_of(cast.person("Alice"))


@pytest.fixture
def slow_image(engine, base, tmp_path) -> Path:
    """An algorithm that takes its time, so that there is a middle to disturb."""
    return algorithms.archive(engine, base, SLOW, tmp_path / "slow.tar.gz")


def hand_in(team, phase, image: Path) -> Submission:
    return cast.submit(team, phase, upload=from_disk(image))


def finish(submission: Submission) -> None:
    wait_for(lambda: cast.stage_of(submission) in ENDED, "the run to end", PATIENCE_SECONDS)


def has_begun(submission: Submission) -> bool:
    """Whether the first case is decided."""
    return RunCase.objects.filter(run__submission=submission).exclude(outcome="").exists()


def scores(submission: Submission) -> dict[str, Any]:
    """Each case's result by its name: what must not depend on what happened on the way."""
    return {case.case.name: case.result for case in RunCase.objects.filter(run__submission=submission)}


def assert_nothing_is_left(engine, stack) -> None:
    label = {"label": f"{LABEL_INSTANCE}={stack.instance}"}
    wait_for(lambda: engine.containers(all=True, filters=label) == [], "the containers to be gone", 20)
    assert not engine.volumes(filters=label)["Volumes"]


def test_a_submission_travels_from_the_upload_to_the_leaderboard(stack, engine, team, phase, slow_image):
    submission = hand_in(team, phase, slow_image)
    finish(submission)
    assert cast.stage_of(submission) == "scored", stack.log("control")
    assert len(scores(submission)) == CASES
    assert all(result["status"] == "scored" for result in scores(submission).values())
    cast.let_a_minute_pass()
    out = StringIO()
    call_command("standings", phase=phase.slug, json=True, stdout=out)
    row = json.loads(out.getvalue())["rows"][0]
    assert (row["rank"], row["team"]) == (1, team.slug)
    with urllib.request.urlopen(f"{stack.address}/leaderboard/{phase.slug}/") as page:
        assert f"{row['dice']:.3f}" in page.read().decode()
    assert_nothing_is_left(engine, stack)


def test_on_public_cases_masks_are_looked_at_and_both_streams_are_in_the_log(
    stack, engine, base, team, phase, tmp_path
):
    Phase.objects.update(cases_are_public=True)
    act = 'print("said", flush=True); os.write(2, b"complained" + bytes([10]))'
    submission = hand_in(team, phase, algorithms.archive(engine, base, act, tmp_path / "talker.tar.gz"))
    finish(submission)
    run = submission.runs.get()
    wait_for(lambda: Run.objects.get(pk=run.pk).hints is not None, "the look at the masks", PATIENCE_SECONDS)
    for log in Attempt.objects.filter(batch__run=run).values_list("log", flat=True):
        assert log.count("said") == log.count("complained") > 0


def test_a_run_whose_machines_are_shot_ends_like_an_undisturbed_one(stack, engine, team, phase, slow_image):
    undisturbed = hand_in(team, phase, slow_image)
    finish(undisturbed)
    killed = hand_in(team, phase, slow_image)
    wait_for(lambda: killed.runs.filter(batches__done__gte=1, batches__is_canary=False).exists(), "the middle", 60)
    stack.kill("sandbox")
    stack.start_part("sandbox")
    finish(killed)
    assert scores(killed) == scores(undisturbed)
    assert not RunCase.objects.filter(run__submission=killed, tries__gt=1).exists(), "the container was not adopted"

    flushed = hand_in(team, phase, slow_image)
    wait_for(partial(has_begun, flushed), "the canary", PATIENCE_SECONDS)
    stack.flush_broker()
    finish(flushed)
    assert scores(flushed) == scores(undisturbed)

    for part in ("scoring", "web", "sweeper"):
        disturbed = hand_in(team, phase, slow_image)
        wait_for(partial(has_begun, disturbed), "the canary", PATIENCE_SECONDS)
        stack.kill(part)
        stack.start_part(part)
        finish(disturbed)
        assert scores(disturbed) == scores(undisturbed), part
    assert_nothing_is_left(engine, stack)


def test_a_crash_and_a_hang_cost_one_case_each(stack, engine, base, team, phase, tmp_path):
    crash = "assert volume[400] != 3"
    hang = "time.sleep(600 if volume[400] == 4 else 0)"
    for act, reason in ((crash, "crashed"), (hang, "timed_out")):
        image = algorithms.archive(engine, base, act, tmp_path / f"{reason}.tar.gz")
        submission = hand_in(team, phase, image)
        finish(submission)
        lost = RunCase.objects.get(run__submission=submission, result__dice=0)
        # The shuffled order may put the hang first, where the start-up allowance ends it.
        assert lost.reason_code in {reason, f"startup_{reason}"}
        assert cast.stage_of(submission) == "scored"


FAILING = {
    FailureKind.ENDED_AT_ONCE: "import numpy",
    FailureKind.MEMORY: "os.kill(os.getpid(), 9)",
    FailureKind.WRONG_NAME: 'case["name"] = "mask.nii.gz"',
    FailureKind.WRONG_SHAPE: 'case["shape"] = case["shape"][::-1]; case["findings"]["9"] = ""',
}


def test_programs_that_fail_on_every_case_have_failed_each_in_its_way(stack, engine, base, team, phase, tmp_path):
    submissions = {}
    for kind, act in FAILING.items():
        archive = algorithms.archive(engine, base, act, tmp_path / f"{kind}.tar.gz")
        submissions[kind] = hand_in(team, phase, archive)
    for kind, submission in submissions.items():
        finish(submission)
        assert cast.stage_of(submission) == "failed"
        assert submission.runs.get().reason == f"{KINDS[kind].said}."


def test_cancelling_stops_the_container_within_seconds(stack, engine, base, team, phase, tmp_path):
    image = algorithms.archive(engine, base, "time.sleep(600)", tmp_path / "sleeper.tar.gz")
    submission = hand_in(team, phase, image)
    wait_for(
        lambda: cast.stage_of(submission) == "canary" and submission.runs.get().batches.get().fence == 1, "a start", 60
    )
    decisions.cancel(submission, by=cast.OPERATOR)
    assert_nothing_is_left(engine, stack)
