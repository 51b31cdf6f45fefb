"""The signed-rank test, of many pairs at once; `test_against_r` holds it against R."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from leaderboard.certainty.wilcoxon import EXACT_BELOW, signed_rank
from tests.leaderboard.certainty.boards import quick


def p_above(*differences):
    """The p-value of "above 0" of one pair."""
    above, _ = signed_rank(np.array([differences], float))
    return float(above[0])


@pytest.mark.parametrize("cases", range(1, 10))
def test_it_is_exact_by_counting_all_signs(cases):
    """Under the null hypothesis, each of 2^n ways to put the signs is as likely as any other."""
    sizes = np.random.default_rng(cases).permutation(np.arange(1, cases + 1))
    signs = np.array(list(product((-1, 1), repeat=cases)))
    sums = np.where(signs > 0, sizes, 0).sum(axis=1)
    above, below = signed_rank((signs * sizes).astype(float))
    assert above.tolist() == [(sums >= one).mean() for one in sums]
    assert below.tolist() == [(sums <= one).mean() for one in sums]


def scipy_says(row):
    """SciPy's approximation with ties and continuity; exact where R is by default."""
    left = row[row != 0]
    if not len(left):
        return 1.0
    untied = len(set(np.abs(row))) == len(row) == len(left)
    method: Any = "exact" if untied and len(row) < EXACT_BELOW else "asymptotic"
    return stats.wilcoxon(left, alternative="greater", correction=True, method=method).pvalue


tenths = st.integers(-9, 9).map(lambda one: one / 10)


@quick
@given(st.integers(1, 60).flatmap(lambda n: arrays(float, n, elements=tenths | st.floats(-1, 1))))
def test_it_is_that_of_scipy(row):
    [above], [below] = signed_rank(row[None, :])
    assert above == pytest.approx(scipy_says(row), rel=1e-9)
    assert below == pytest.approx(scipy_says(-row), rel=1e-9)


@quick
@given(arrays(float, (5, 9), elements=tenths))
def test_each_pair_is_tested_by_its_own_differences_alone(rows):
    together = signed_rank(rows)
    apart = [signed_rank(row[None, :]) for row in rows]
    assert [one.tolist() for one in together] == [[float(one[side][0]) for one in apart] for side in (0, 1)]


@quick
@given(arrays(float, (4, 9), elements=tenths | st.floats(-1, 1)))
def test_who_is_first_of_a_pair_does_not_matter(rows):
    above, below = signed_rank(rows)
    assert [one.tolist() for one in signed_rank(-rows)] == [below.tolist(), above.tolist()]


@quick
@given(arrays(float, (3, 9), elements=tenths), st.permutations(range(9)))
def test_the_order_of_cases_does_not_matter(rows, order):
    assert [one.tolist() for one in signed_rank(rows[:, order])] == [one.tolist() for one in signed_rank(rows)]


def test_cases_without_a_difference_are_left_out_but_end_the_exact_test():
    assert p_above(1, 2, 3) == 1 / 8
    assert p_above(1, 2, 3, 0) == p_above(0, 0, 1, -0.0, 2, 3)
    assert p_above(1, 2, 3, 0) == pytest.approx(stats.norm.sf(2.5 / np.sqrt(3.5)))


def test_nothing_but_zeroes_cannot_be_told_apart():
    assert [one.tolist() for one in signed_rank(np.zeros((2, 5)))] == [[1, 1], [1, 1]]


def test_one_case_is_never_significant():
    assert (p_above(0.7), p_above(-0.7)) == (0.5, 1.0)


@pytest.mark.parametrize(("cases", "least"), [(4, 1 / 16), (5, 1 / 32)])
def test_no_result_of_four_cases_is_significant_but_one_of_five_is(cases, least):
    assert p_above(*range(1, cases + 1)) == least


def test_a_constant_difference_is_one_tie_of_all():
    assert p_above(*[0.25] * 10) == pytest.approx(stats.norm.sf(27 / np.sqrt(96.25 - 990 / 48)))


def test_hundreds_of_cases_do_not_end_the_tail():
    assert 0 < p_above(*range(1, 1001)) < 1e-150
