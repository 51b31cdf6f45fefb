"""Kendall's tau-b."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from leaderboard.certainty.correlation import kendall_tau_b
from leaderboard.certainty.ranking import ranks
from tests.leaderboard.certainty.boards import quick


def tau(base, *others):
    return kendall_tau_b(np.array(base, np.int32), np.array(others, np.int32)).tolist()


def test_the_same_order_is_exactly_1_and_the_opposite_one_exactly_minus_1():
    order = np.arange(1, 501)
    assert tau(order, order, order[::-1]) == [1.0, -1.0]


def test_of_four_teams_one_swap_is_two_thirds():
    assert tau([1, 2, 3, 4], [2, 1, 3, 4]) == [pytest.approx(2 / 3)]


@pytest.mark.parametrize(("base", "other"), [([1], [1]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [1, 1, 1])])
def test_without_an_order_it_is_not_defined(base, other):
    assert np.isnan(tau(base, other)).all()


def test_without_teams_it_is_not_defined():
    assert np.isnan(kendall_tau_b(np.empty(0, np.int32), np.empty((3, 0), np.int32))).tolist() == [True] * 3


@quick
@given(
    st.integers(2, 12).flatmap(
        lambda teams: st.lists(st.lists(st.integers(1, 5), min_size=teams, max_size=teams), min_size=2, max_size=4)
    )
)
def test_it_is_that_of_scipy(scores):
    base, *others = ranks(np.array(scores, float))
    expected = [kendalltau(base, other).statistic for other in others]
    assert kendall_tau_b(base, np.array(others)) == pytest.approx(np.array(expected), nan_ok=True)
