"""The one module that changes a state."""

import pytest

from leaderboard import states
from leaderboard.journey import lifecycle
from leaderboard.states import SubmissionState
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def submission():
    return cast.submit(cast.team_of(cast.person("Alice")), cast.phase())


def test_a_move_writes_who_when_and_why(submission):
    assert lifecycle.move(submission, SubmissionState.VALIDATING, by="worker", why="its turn")
    change = submission.history.get()
    assert (change.from_state, change.to_state, change.by, change.why) == (
        "received",
        "validating",
        "worker",
        "its turn",
    )
    assert change.at is not None


def test_a_repeated_move_does_nothing(submission):
    lifecycle.move(submission, SubmissionState.VALIDATING)
    assert not lifecycle.move(submission, SubmissionState.VALIDATING)
    assert submission.history.count() == 1


def test_a_move_that_the_table_lacks_is_an_error(submission):
    with pytest.raises(lifecycle.IllegalMove, match="received -> accepted"):
        lifecycle.move(submission, SubmissionState.ACCEPTED)
    submission.refresh_from_db()
    assert submission.state == SubmissionState.RECEIVED


def test_a_move_from_a_state_that_somebody_left_meanwhile_does_nothing(submission):
    lifecycle.move(submission, SubmissionState.CANCELLED)
    assert not lifecycle.move(submission, SubmissionState.VALIDATING, allowed_from={SubmissionState.RECEIVED})
    assert submission.state == SubmissionState.CANCELLED


def test_a_move_sets_fields_in_the_same_write(submission):
    lifecycle.move(submission, SubmissionState.VALIDATING)
    lifecycle.move(submission, SubmissionState.REJECTED, reason="No entrypoint.", charged=False)
    submission.refresh_from_db()
    assert (submission.reason, submission.charged) == ("No entrypoint.", False)


@pytest.mark.parametrize(
    ("table", "ends"),
    [
        (states.SUBMISSION_TRANSITIONS, {"rejected", "cancelled"}),  # an accepted one may yet prove unusable
        (states.RUN_TRANSITIONS, {"scored", "failed", "cancelled"}),
        (states.BATCH_TRANSITIONS, {"scored", "dropped"}),
    ],
)
def test_every_state_leads_to_an_end(table, ends):
    assert {state for state, targets in table.items() if not targets} == ends
    for state in table:
        reachable, frontier = set(), {state}
        while frontier:
            reachable |= frontier
            frontier = {target for origin in frontier for target in table[origin]} - reachable
        assert reachable & ends
