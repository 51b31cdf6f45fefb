"""Where a value lies."""

from datetime import UTC, datetime, timedelta

import pytest

from leaderboard.charts.scales import Axis, SignedAxis, TimeAxis, axis_for, round_step, signed_axis_for

BEGINS = datetime(2026, 6, 8, tzinfo=UTC)


def test_every_axis_of_scores_begins_at_zero_and_has_at_most_five_parts():
    for largest in (0.0, 0.01, 0.13, 0.31, 0.72, 1.0):
        axis = axis_for([largest])
        assert axis.end >= largest
        assert axis.ticks()[0] == (0, "0")
        assert len(axis.ticks()) <= 6


def test_what_is_beyond_an_axis_lies_at_its_end():
    assert [Axis(0.4, 4).percent(value) for value in (-0.1, 0.1, 0.9)] == ["0.00%", "25.00%", "100.00%"]
    assert [SignedAxis(0.2).percent(value) for value in (-0.9, 0.0, 0.1)] == ["0.00%", "50.00%", "75.00%"]


def test_an_axis_of_differences_reaches_as_far_to_both_sides():
    assert signed_axis_for([0.01, -0.05]) == SignedAxis(0.08)
    assert signed_axis_for([]) == SignedAxis(0.02)


@pytest.mark.parametrize(
    "length", [timedelta(minutes=30), timedelta(hours=9), timedelta(days=3), timedelta(days=97), timedelta(days=900)]
)
def test_an_axis_of_time_has_room_for_its_labels(length):
    ticks = list(TimeAxis(BEGINS, BEGINS + length).ticks())
    assert 1 <= len(ticks) <= 5
    assert all(0 <= share < 0.9 for share, _ in ticks)


@pytest.mark.parametrize(
    ("length", "step"), [(1, 1), (8, 1), (9, 2), (30, 5), (41, 10), (90, 20), (400, 50), (2000, 500)]
)
def test_ranks_are_labelled_at_round_steps(length, step):
    assert round_step(length, 8) == step
