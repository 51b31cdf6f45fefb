"""How ranks vary over resamples of the cases."""

import numpy as np
import pytest
from hypothesis import given
from scipy.stats import kendalltau

from evaluation import RESAMPLES, aggregate, seed_from
from leaderboard.certainty.ranking import ranks
from leaderboard.certainty.stability import rank_stability
from tests.evaluation.builders import case_result, finding_result
from tests.leaderboard.certainty.boards import board, quick, some_scores

SEED = seed_from("a case set")


def drawn_ranks(scores, seed=SEED, decimals=None):
    """The ranks in each resample, as metrics.md words it: one resample, one team at a time."""
    cases = scores.shape[1]
    indices = np.random.default_rng(seed).integers(0, cases, (1000, cases))
    means = np.array([[row[drawn].mean() for row in scores] for drawn in indices])
    shown = means if decimals is None else np.array([[float(f"{one:.{decimals}f}") for one in row] for row in means])
    return np.array([[1 + sum(other > one for other in row) for one in row] for row in shown.tolist()])


SCORES = board(6, 30)


@pytest.mark.parametrize("decimals", [None, 1, 3])
def test_the_resamples_are_those_that_the_metrics_prescribe(decimals):
    found = rank_stability(SCORES, seed=SEED, decimals=decimals)
    expected = drawn_ranks(SCORES, decimals=decimals)
    counts = [
        [(rank, int((of_team == rank).sum())) for rank in sorted(set(of_team.tolist()))] for of_team in expected.T
    ]
    assert [found.frequencies.of(team) for team in range(6)] == counts
    assert found.first.tolist() == (expected == 1).mean(axis=0).tolist()


def test_another_case_set_has_other_resamples():
    one, other = (rank_stability(SCORES, seed=seed_from(name)) for name in ("a case set", "another"))
    assert one.frequencies.counts.tolist() != other.frequencies.counts.tolist()
    assert one.ranks.tolist() == other.ranks.tolist()


def test_an_interval_is_that_of_the_middle_950_of_1000_resamples():
    found = rank_stability(SCORES, seed=SEED)
    ordered = np.sort(drawn_ranks(SCORES), axis=0)
    assert found.intervals is not None
    assert found.intervals.tolist() == [[column[25], column[974]] for column in ordered.T.tolist()]
    assert found.medians.tolist() == ordered[500].tolist()
    assert any(low < high for low, high in found.intervals.tolist())


def test_intervals_are_the_linear_percentiles_in_whole_ranks():
    found = rank_stability(board(40, 50), seed=SEED)
    drawn = drawn_ranks(board(40, 50))
    assert found.intervals is not None
    assert found.intervals.tolist() == np.rint(np.percentile(drawn, [2.5, 97.5], axis=0)).T.tolist()


def test_means_are_to_the_bit_those_that_the_board_shows():
    results = [
        [case_result(f"{case:03}", finding_result(dice=float(value))) for case, value in enumerate(row)]
        for row in SCORES
    ]
    shown = [aggregate(cases, seed=SEED)["summary"]["dice"] for cases in results]
    found = rank_stability(SCORES, seed=SEED)
    assert found.means.tolist() == shown
    assert found.ranks.tolist() == ranks(shown).tolist()


def test_tau_compares_the_ranking_with_that_of_each_resample():
    found = rank_stability(SCORES, seed=SEED)
    expected = [kendalltau(found.ranks, row).statistic for row in drawn_ranks(SCORES)]
    assert found.taus == pytest.approx(np.array(expected))
    assert found.tau_percentiles == pytest.approx(np.percentile(expected, [2.5, 25, 50, 75, 97.5]))


def test_a_podium_names_who_takes_a_place_most_often_first():
    found = rank_stability(SCORES, seed=SEED)
    drawn = drawn_ranks(SCORES)
    place = found.frequencies.at(2)
    assert dict(place) == {team: int((drawn[:, team] == 2).sum()) for team, _ in place}
    assert [count for _, count in place] == sorted((count for _, count in place), reverse=True)
    assert len(place) > 1


@quick
@given(some_scores())
def test_every_team_takes_some_rank_in_every_resample(scores):
    found = rank_stability(scores, seed=SEED)
    totals = [sum(count for _, count in found.frequencies.of(team)) for team in range(len(scores))]
    assert totals == [RESAMPLES] * len(scores)
    assert np.rint(found.first * RESAMPLES).sum() >= RESAMPLES
    if found.intervals is not None:
        assert (found.intervals[:, 0] <= found.intervals[:, 1]).all()


def test_a_team_may_be_first_whose_interval_begins_at_1():
    scores = np.array([[0.9] * 20, [0.1] * 20, [0.95, 0.85] * 10])
    found = rank_stability(scores, seed=SEED)
    assert found.may_be_first == [0, 2]
    assert found.first[1] == 0


def test_identical_teams_share_every_rank():
    found = rank_stability(np.vstack([SCORES[5], SCORES[0], SCORES[5]]), seed=SEED)
    assert found.frequencies.of(0) == found.frequencies.of(2)
    assert found.ranks.tolist() == [1, 3, 1]


def test_all_zeroes_are_all_first_and_have_no_tau():
    found = rank_stability(np.zeros((3, 8)), seed=SEED)
    assert found.ranks.tolist() == [1, 1, 1]
    assert found.first.tolist() == [1.0, 1.0, 1.0]
    assert found.tau_percentiles is None


def test_one_case_says_nothing_about_how_ranks_vary():
    found = rank_stability(np.array([[0.2], [0.7]]), seed=SEED)
    assert found.ranks.tolist() == [2, 1]
    assert found.intervals is None
    assert found.may_be_first == []


def test_one_team_is_first():
    found = rank_stability(board(1, 20), seed=SEED)
    assert found.intervals is not None
    assert (found.ranks.tolist(), found.intervals.tolist(), found.first.tolist()) == ([1], [[1, 1]], [1.0])


@pytest.mark.parametrize("shape", [(0, 20), (0, 0)])
def test_without_teams_there_is_nothing(shape):
    found = rank_stability(np.empty(shape), seed=SEED)
    assert (found.ranks.size, found.frequencies.counts.size, found.may_be_first) == (0, 0, [])


@pytest.mark.parametrize("scores", [[[0.1, np.nan]], np.empty((2, 0)), [0.1, 0.2]])
def test_it_refuses_what_are_no_scores_of_cases(scores):
    with pytest.raises(ValueError, match="score"):
        rank_stability(scores, seed=SEED)
