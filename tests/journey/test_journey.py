"""Submissions from the upload to the leaderboard, through one stack of real processes; in the end these are shot.

A run that is disturbed shares with an undisturbed one everything that matters.
"""

import json
import urllib.request
from collections.abc import Iterator
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import override_settings

from leaderboard.demo import cases as demo_cases
from leaderboard.demo import demonstration
from leaderboard.journey import decisions
from leaderboard.journey.failure_kinds import FailureKind
from leaderboard.journey.reasons import KINDS
from leaderboard.models import Attempt, BoardVersion, CaseSet, Phase, Run, RunCase, Submission, Team
from tests.journey import algorithms
from tests.journey.conftest import CASES, World
from tests.journey.stack import Stack, wait_for
from tests.journey.steps import PATIENCE_SECONDS, assert_nothing_is_left, finish, hand_in, has_begun, scores
from tests.leaderboard import cast

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine, pytest.mark.timeout(600)]
SLOW = "time.sleep(0.7)"


@pytest.fixture
def stack(world: World) -> Stack:
    return world.stack


@pytest.fixture
def phase(world: World) -> Phase:
    return world.phase


@pytest.fixture
def team(world: World) -> Team:
    return world.team


@pytest.fixture(scope="module")
def slow_image(engine, base, tmp_path_factory) -> Path:
    """An algorithm that takes its time, so that there is a middle to disturb."""
    return algorithms.archive(engine, base, SLOW, tmp_path_factory.mktemp("slow") / "slow.tar.gz")


@pytest.fixture(scope="module")
def undisturbed(world: World, slow_image: Path, django_db_blocker) -> Submission:
    """A run of that algorithm which nobody disturbed."""
    with django_db_blocker.unblock(), override_settings(STORE_DIR=world.store):
        submission = hand_in(world.team, world.phase, slow_image)
        finish(submission)
    return submission


@pytest.fixture
def public_cases(phase: Phase) -> Iterator[None]:
    Phase.objects.filter(pk=phase.pk).update(cases_are_public=True)
    yield
    Phase.objects.filter(pk=phase.pk).update(cases_are_public=False)


@pytest.fixture(autouse=True)
def store(world: World, settings) -> Path:
    """The one of all tests here, instead of a new one for each."""
    settings.STORE_DIR = world.store
    return world.store


def test_a_submission_travels_from_the_upload_to_the_leaderboard(stack, engine, team, phase, undisturbed):
    submission = undisturbed
    assert cast.stage_of(submission) == "scored", stack.log("control")
    assert len(scores(submission)) == CASES
    assert all(result["status"] == "scored" for result in scores(submission).values())
    boards = BoardVersion.objects.filter(phase=phase, track="main").exclude(rows=[])
    wait_for(boards.exists, "its board", PATIENCE_SECONDS)
    cast.let_a_minute_pass()
    out = StringIO()
    call_command("standings", phase=phase.slug, json=True, stdout=out)
    row = json.loads(out.getvalue())["rows"][0]
    assert (row["rank"], row["team"]) == (1, team.slug)
    with urllib.request.urlopen(f"{stack.address}/leaderboard/{phase.slug}/") as page:
        assert f"{row['dice']:.3f}" in page.read().decode()
    assert_nothing_is_left(engine, stack)


def test_on_public_cases_masks_are_looked_at_and_both_streams_are_in_the_log(
    stack, engine, base, team, phase, tmp_path, public_cases
):
    act = 'print("said", flush=True); os.write(2, b"complained" + bytes([10]))'
    submission = hand_in(team, phase, algorithms.archive(engine, base, act, tmp_path / "talker.tar.gz"))
    finish(submission)
    run = submission.runs.get()
    wait_for(lambda: Run.objects.get(pk=run.pk).hints is not None, "the look at the masks", PATIENCE_SECONDS)
    for log in Attempt.objects.filter(batch__run=run).values_list("log", flat=True):
        assert log.count("said") == log.count("complained") > 0


def test_a_crash_and_a_hang_cost_one_case_each(stack, engine, base, team, phase, tmp_path):
    crash = "assert volume[400] != 3"
    hang = "time.sleep(600 if volume[400] == 4 else 0)"
    submissions = {}
    for act, reason in ((crash, "crashed"), (hang, "timed_out")):
        image = algorithms.archive(engine, base, act, tmp_path / f"{reason}.tar.gz")
        submissions[reason] = hand_in(team, phase, image)
    for reason, submission in submissions.items():
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


@pytest.fixture
def entrant(stack, phase, engine, settings, monkeypatch) -> Iterator[demonstration.Entrant]:
    """Of the demonstration's teams one alone: that whose weights come apart from its image."""
    settings.SITE_URL = stack.address
    Phase.objects.filter(pk=phase.pk).update(slug="another")  # the demonstration has one of this name
    [one] = [one for one in demonstration.ENTRANTS if one.variant == "threshold"]
    one = one._replace(develops=True)
    monkeypatch.setattr(demonstration, "ENTRANTS", (one,))
    yield one
    Phase.objects.filter(slug="test").update(slug="of-the-demonstration")
    Phase.objects.filter(pk=phase.pk).update(slug=phase.slug)
    engine.remove_image(f"{settings.INSTANCE}-demo:{one.variant}", force=True)


def test_the_demonstration_hands_in_runs_scores_and_ranks_and_finds_it_all_a_second_time(stack, entrant):
    for _ in range(2):
        out = StringIO()
        call_command("demo", check=True, stdout=out)
        assert f"{stack.address}/leaderboard/test/" in out.getvalue()
    submissions = Submission.objects.filter(team__name=entrant.team)
    assert {one.phase.slug for one in submissions} == set(demonstration.SLUGS)
    assert len(submissions) == 2
    assert [one.allows_downloads for one in CaseSet.objects.filter(name__startswith="demo-").order_by("name")] == [
        False,  # of the test phase, which hides them
        True,
    ]
    for submission in submissions:
        assert cast.stage_of(submission) == "scored", stack.log("control")
        assert submission.weights
        assert submission.runs.get().cases.count() == demo_cases.CASES


def test_a_run_whose_machines_are_shot_ends_like_an_undisturbed_one(
    stack, engine, team, phase, slow_image, undisturbed
):
    """Each case's score, each case scored once, nothing lost, nothing charged twice, nothing left in the engine."""
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
