"""A run that is disturbed shares with an undisturbed one everything that matters.

Each case's score, each case scored once, nothing lost, nothing charged twice, nothing left in the engine.
"""

from functools import partial

import pytest

from leaderboard.models import RunCase
from tests.journey.stack import wait_for
from tests.journey.steps import PATIENCE_SECONDS, assert_nothing_is_left, finish, hand_in, has_begun, scores
from tests.leaderboard import cast

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine, pytest.mark.timeout(600)]


def test_a_run_whose_machines_are_shot_ends_like_an_undisturbed_one(stack, engine, phase, slow_image):
    team = cast.team_of(cast.person("Alice"))
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
