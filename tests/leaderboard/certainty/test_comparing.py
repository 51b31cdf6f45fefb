"""Entries side by side."""

import numpy as np
import pytest

import evaluation
from evaluation import OVERALL, seed_from
from leaderboard.certainty.comparing import paired_differences
from leaderboard.certainty.pairs import holm, paired_tests
from tests.evaluation.builders import case_result, finding_result
from tests.leaderboard.certainty.boards import board

SEED = seed_from("a case set")
SCORES = board(4, 40, gap=0.3)


def of_evaluation(first, second):
    """The same difference by the metrics' own code."""
    results = [
        [case_result(f"{case:03}", finding_result(dice=float(value))) for case, value in enumerate(row)]
        for row in (second, first)
    ]
    return evaluation.paired_differences(results[0], [results[1]], "dice", seed=SEED)[0][OVERALL]


def test_differences_and_intervals_are_to_the_bit_those_of_the_metrics():
    for one in paired_differences(SCORES, seed=SEED):
        assert (one.value, one.interval) == tuple(of_evaluation(SCORES[one.first], SCORES[one.second]))


def test_every_pair_is_compared_once_the_earlier_entry_first():
    pairs = [(one.first, one.second) for one in paired_differences(SCORES[:3], seed=SEED)]
    assert pairs == [(0, 1), (0, 2), (1, 2)]


def test_holm_is_over_the_pairs_that_were_looked_at():
    """Of two entries two tests, however many teams the board has."""
    [found] = paired_differences(SCORES[:2], seed=SEED)
    p_values = paired_tests(SCORES).p_values
    assert [found.p_better, found.p_worse] == holm(np.array([p_values[0, 1], p_values[1, 0]])).tolist()
    assert found.p_worse < paired_tests(SCORES).corrected[1, 0]


def test_a_difference_can_be_significant_in_either_direction():
    worse, better = (paired_differences(SCORES[rows], seed=SEED)[0] for rows in ([0, 3], [3, 0]))
    assert (worse.is_better, worse.is_worse, worse.value < 0) == (False, True, True)
    assert (better.is_better, better.is_worse, better.value > 0) == (True, False, True)
    assert better.value == -worse.value


def test_a_case_is_compared_with_itself():
    """However much cases differ, a constant difference has an interval without width."""
    base = np.arange(8) / 16
    [found] = paired_differences([base + 0.25, base], seed=SEED)
    assert (found.value, found.interval) == (0.25, (0.25, 0.25))


def test_identical_entries_are_the_same():
    [found] = paired_differences(SCORES[[1, 1]], seed=SEED)
    assert (found.value, found.interval, found.p_better, found.p_worse) == (0.0, (0.0, 0.0), 1.0, 1.0)


def test_of_one_case_a_difference_has_no_interval():
    [found] = paired_differences([[0.5], [0.25]], seed=SEED)
    assert (found.value, found.interval, found.is_better) == (0.25, None, False)


@pytest.mark.parametrize("entries", [0, 1])
def test_fewer_than_two_entries_have_no_pair(entries):
    assert paired_differences(np.zeros((entries, 5)), seed=SEED) == []


def test_it_refuses_what_is_no_number():
    with pytest.raises(ValueError, match="finite"):
        paired_differences([[0.1, np.nan], [0.2, 0.3]], seed=SEED)
