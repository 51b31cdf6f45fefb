"""Every team against every other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.certainty.pairs import PairTests, can_tell, holm, paired_tests
from leaderboard.certainty.ranking import ranks
from leaderboard.certainty.wilcoxon import signed_rank
from tests.leaderboard.certainty.boards import board, quick, some_scores

SCORES = board(40, 60)


def told_apart(*better):
    """Four teams, of which these are better than those."""
    p_values = np.ones((4, 4))
    for one, other in better:
        p_values[one, other] = 1e-6
    return PairTests((0, 1, 2, 3), p_values)


@quick
@given(some_scores())
def test_each_pair_is_tested_in_both_directions(scores):
    found = paired_tests(scores).p_values
    for one, row in enumerate(scores):
        for other, column in enumerate(scores):
            expected = 1.0 if one == other else float(signed_rank((row - column)[None, :])[0][0])
            assert found[one, other] == expected


def test_what_is_known_of_two_runs_is_not_found_again():
    before = PairTests((10, 11), np.array([[1.0, 0.125], [0.25, 1.0]]))
    found = paired_tests(SCORES[:3], runs=[11, 12, 10], before=before)
    anew = paired_tests(SCORES[:3]).p_values
    assert (found.p_values[2, 0], found.p_values[0, 2]) == (0.125, 0.25)
    assert found.p_values[1].tolist() == anew[1].tolist()
    assert found.p_values[:, 1].tolist() == anew[:, 1].tolist()


@pytest.mark.parametrize("now", [[3, 1, 4, 0, 2], [0, 1, 2, 3, 4, 5, 6], [39, 2, 0], [7, 8], []])
def test_with_or_without_what_is_known_the_bits_are_the_same(now):
    before = paired_tests(SCORES[:5], runs=[0, 1, 2, 3, 4])
    assert paired_tests(SCORES[now], now, before).p_values.tolist() == paired_tests(SCORES[now], now).p_values.tolist()


def test_the_order_of_teams_does_not_matter():
    order = np.random.default_rng(1).permutation(len(SCORES))
    one, other = paired_tests(SCORES), paired_tests(SCORES[order])
    assert one.p_values[np.ix_(order, order)].tolist() == other.p_values.tolist()
    assert one.better[np.ix_(order, order)].tolist() == other.better.tolist()
    assert one.better.any()


def test_a_better_team_is_told_from_a_worse_one():
    scores = np.vstack([SCORES[0], np.clip(SCORES[0] + 0.1, 0, 1)])
    found = paired_tests(scores)
    assert found.better.tolist() == [[False, False], [True, False]]
    assert found.not_told_from(0) == []


def test_the_correction_is_over_every_ordered_pair():
    """Of 4 teams 12 tests: the least p-value counts 12 times."""
    found = paired_tests(SCORES[::13])
    p_values = found.p_values[~np.eye(4, dtype=bool)]
    assert found.corrected.min() == min(1.0, 12 * p_values.min())
    assert p_values.min() < 1 / 12


@pytest.mark.parametrize(("p_value", "is_better"), [(0.025, True), (0.0251, False)])
def test_five_per_cent_after_the_correction_is_enough(p_value, is_better):
    tests = PairTests((1, 2), np.array([[1.0, p_value], [0.9, 1.0]]))
    assert tests.better.tolist() == [[False, is_better], [False, False]]


def test_not_being_told_apart_is_not_transitive():
    """0 and 1, and 1 and 2, can't be told apart; 0 is better than 2; 3 is worse than all."""
    tests = told_apart((0, 2), (0, 3), (1, 3), (2, 3))
    assert [tests.not_told_from(team) for team in range(4)] == [[1], [0, 2], [1], []]


@quick
@given(some_scores())
def test_it_holds_for_both_of_a_pair_and_for_nobody_alone(scores):
    alike = paired_tests(scores).alike
    assert (alike == alike.T).all()
    assert not alike.diagonal().any()


def test_tied_with_the_top_is_who_cannot_be_told_from_it():
    tests = told_apart((0, 2), (0, 3), (1, 3), (2, 3))
    assert tests.tied_with_the_top(ranks([0.9, 0.8, 0.7, 0.1])) == [0, 1]


def test_of_two_that_share_the_first_rank_one_is_enough():
    tests = told_apart((0, 2), (0, 3), (1, 3))
    assert tests.tied_with_the_top(ranks([0.9, 0.9, 0.8, 0.1])) == [0, 1, 2]


def test_identical_teams_and_zeroes_cannot_be_told_apart():
    assert paired_tests(np.zeros((3, 30))).not_told_from(0) == [1, 2]
    assert paired_tests(np.vstack([SCORES[0]] * 2)).p_values.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 5)])
def test_fewer_than_two_teams_have_no_pair(shape):
    found = paired_tests(np.zeros(shape))
    assert not found.better.any()
    assert not found.alike.any()
    assert found.tied_with_the_top(ranks(np.zeros(shape[0]))) == list(range(shape[0]))


def test_a_run_is_of_one_team():
    for runs in ([1, 1, 2], [1, 2]):
        with pytest.raises(ValueError, match="3 teams must have as many different runs"):
            paired_tests(SCORES[:3], runs)


def test_it_refuses_what_is_no_number():
    with pytest.raises(ValueError, match="finite"):
        paired_tests([[0.1, np.nan], [0.2, 0.3]])


@quick
@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_rejects_step_by_step(p_values):
    """Rejected is the k-th least of m while each up to it is at most alpha / (m - k + 1)."""
    alpha, m = 0.05, len(p_values)
    expected, goes_on = [False] * m, True
    for k, place in enumerate(sorted(range(m), key=lambda place: p_values[place])):
        goes_on = goes_on and (m - k) * p_values[place] <= alpha
        expected[place] = goes_on
    assert (holm(np.array(p_values, float)) <= alpha).tolist() == expected


@pytest.mark.parametrize(
    ("teams", "cases", "can"), [(2, 5, False), (2, 6, True), (3, 6, False), (3, 7, True), (5, 8, False)]
)
def test_few_cases_tell_nobody_from_anybody(teams, cases, can):
    """As the tests themselves say of the clearest order that there is."""
    differences = np.linspace(0.01, 0.02, cases)
    scores = 0.1 + np.arange(teams)[:, None] * (0.1 + differences)
    assert can_tell(teams, cases) == can
    assert paired_tests(scores).better.any() == can
