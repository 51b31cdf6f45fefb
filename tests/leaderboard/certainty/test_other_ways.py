"""What the ranks would be by other ways."""

import numpy as np
import pytest
from hypothesis import given

from leaderboard.certainty.other_ways import by_methods, by_metrics
from leaderboard.certainty.ranking import ranks
from tests.leaderboard.certainty.boards import quick, some_scores

# The first has the best mean by one case, the second wins most cases, the third never wins.
SCORES = np.array([[1.0, 0.2, 0.2, 0.2], [0.1, 0.4, 0.4, 0.4], [0.0, 0.1, 0.1, 0.3]])
OFFICIAL = ranks(SCORES.mean(axis=1))
NOBODY = np.zeros((3, 3), bool)


def test_one_case_can_decide_the_mean_but_neither_ranks_nor_median():
    found = by_methods(SCORES, OFFICIAL, NOBODY)
    assert OFFICIAL.tolist() == [1, 2, 3]
    assert found["rank_then_mean"].ranks.tolist() == [2, 1, 3]
    assert found["median"].ranks.tolist() == [2, 1, 3]
    assert found["median"].tau == pytest.approx(1 / 3)


@quick
@given(some_scores())
def test_rank_then_mean_is_the_rank_of_mean_ranks(scores):
    of_cases = [[1 + sum(other > one for other in case) for one in case] for case in scores.T.tolist()]
    sums = np.sum(of_cases, axis=0).tolist()
    found = by_methods(scores, ranks(scores.mean(axis=1)), np.zeros((len(scores), len(scores)), bool))
    assert found["rank_then_mean"].ranks.tolist() == [1 + sum(other < one for other in sums) for one in sums]


def test_test_then_rank_counts_who_is_told_apart_below():
    better = np.array([[False, False, True], [False, False, True], [False, False, False]])
    found = by_methods(SCORES, OFFICIAL, better)["test_then_rank"]
    assert found.ranks.tolist() == [1, 1, 3]
    assert found.tau == pytest.approx(2 / np.sqrt(2 * 3))


def test_where_nobody_is_told_apart_all_are_first_and_there_is_no_tau():
    found = by_methods(SCORES, OFFICIAL, NOBODY)["test_then_rank"]
    assert (found.ranks.tolist(), found.tau) == ([1, 1, 1], None)


def test_a_metric_is_pooled_already_or_given_by_case():
    found = by_metrics({"f1": [0.1, 0.2, 0.3], "hits": np.array([[1, 1], [1, 0], [0, 0]])}, OFFICIAL)
    assert (found["f1"].ranks.tolist(), found["f1"].tau) == ([3, 2, 1], -1.0)
    assert (found["hits"].ranks.tolist(), found["hits"].tau) == ([1, 2, 3], 1.0)


def test_before_a_reveal_they_are_of_rounded_numbers_too():
    close = np.array([[0.5001], [0.5002], [0.1]])
    assert by_metrics({"f1": close}, OFFICIAL, 3)["f1"].ranks.tolist() == [1, 1, 3]
    assert by_methods(close, OFFICIAL, NOBODY, 3)["median"].ranks.tolist() == [1, 1, 3]


def test_without_teams_there_are_no_ranks():
    found = by_methods(np.empty((0, 0)), ranks([]), np.zeros((0, 0), bool)) | by_metrics({"f1": []}, ranks([]))
    assert {name: (one.ranks.tolist(), one.tau) for name, one in found.items()} == dict.fromkeys(found, ([], None))


@pytest.mark.parametrize("values", [[0.1, 0.2], [0.1, 0.2, np.nan], np.zeros((3, 0)), np.zeros((3, 1, 1))])
def test_it_refuses_what_does_not_say_something_of_each_team(values):
    with pytest.raises(ValueError, match=r"f1 must be|score"):
        by_metrics({"f1": values}, OFFICIAL)
