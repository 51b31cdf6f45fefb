"""What the journey's tests do with a submission, and what they look for."""

from pathlib import Path
from typing import Any

from containers.sandbox.spec import LABEL_INSTANCE
from leaderboard.models import RunCase, Submission
from leaderboard.states import ENDED
from leaderboard.submissions.uploads import from_disk
from tests.journey.stack import wait_for
from tests.leaderboard import cast

PATIENCE_SECONDS = 90


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
    wait_for(lambda: not engine.volumes(filters=label)["Volumes"], "their volumes to be gone", 20)
