"""Competition ranks, of exact and of rounded scores."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leaderboard.certainty.ranking import ranks, rounded
from tests.leaderboard.certainty.boards import coarse, exact, quick, some_scores


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], []),
        ([0.3], [1]),
        ([0.3, 0.5, 0.1], [2, 1, 3]),
        ([0.5, 0.3, 0.5, 0.1], [1, 3, 1, 4]),
        ([0.2, 0.5, 0.2, 0.2, 0.1], [2, 1, 2, 2, 5]),
        ([0.0, 0.0, 0.0], [1, 1, 1]),
        ([0.0, -0.0], [1, 1]),
    ],
)
def test_equal_scores_share_the_best_rank_that_they_take(scores, expected):
    assert ranks(scores).tolist() == expected


@quick
@given(some_scores())
def test_a_rank_is_one_more_than_the_number_of_higher_scores(scores):
    expected = [[1 + sum(other > one for other in row) for one in row] for row in scores.tolist()]
    assert ranks(scores).tolist() == expected


@quick
@given(some_scores())
def test_each_row_of_a_matrix_is_ranked_by_itself(scores):
    assert ranks(scores).tolist() == [ranks(row).tolist() for row in scores]


def test_before_a_reveal_ranks_are_those_of_what_is_shown():
    assert ranks([0.5004, 0.5001, 0.4996]).tolist() == [1, 2, 3]
    assert ranks([0.5004, 0.5001, 0.4996, 0.4994], decimals=3).tolist() == [1, 1, 1, 4]


@quick
@given(st.lists(exact | coarse, min_size=1), st.integers(0, 6))
@example([0.0625, 0.0235, 1.0005, 2.0005, 0.1445, -0.0005, 5e-324], 3)
@example([(k + 0.5) / 1000 for k in range(1000)], 3)
@example([float(np.nextafter((k + 0.5) / 1000, side)) for k in range(1000) for side in (0, 1)], 3)
@example([123456789012.5, 2.0**60 + 2**10], 0)
def test_scores_are_rounded_to_the_bit_as_disclosure_rounds_them(values, decimals):
    assert rounded(np.array(values), decimals).tolist() == [float(f"{value:.{decimals}f}") for value in values]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_has_no_rank(value):
    with pytest.raises(ValueError, match="finite"):
        ranks([0.5, value])
