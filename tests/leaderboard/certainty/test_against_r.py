"""The same numbers as R's own, from boards that R made (`fixtures.R`, whose output is `fixtures.json`)."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from leaderboard.certainty.correlation import kendall_tau_b
from leaderboard.certainty.other_ways import by_methods
from leaderboard.certainty.pairs import holm, paired_tests
from leaderboard.certainty.ranking import ranks

HERE = Path(__file__).parent
FIXTURES = json.loads((HERE / "fixtures.json").read_text())
BOARDS = FIXTURES["boards"]
CLOSE = 1e-12

every_board = pytest.mark.parametrize("board", BOARDS, ids=[board["name"] for board in BOARDS])


def close(expected):
    return pytest.approx(np.array(expected), rel=CLOSE, abs=0)


@every_board
def test_p_values_are_those_of_wilcox_test(board):
    assert paired_tests(board["scores"]).p_values == close(board["p"])


@every_board
def test_all_ordered_pairs_are_corrected_together(board):
    tests = paired_tests(board["scores"])
    assert tests.corrected == close(board["holm"])
    assert tests.better.astype(int).tolist() == board["better"]


@every_board
def test_ranks_are_those_of_rank_and_the_methods_those_of_challenge_r(board):
    scores = np.array(board["scores"])
    official = ranks(scores.mean(axis=1))
    found = by_methods(scores, official, paired_tests(scores).better)
    assert official.tolist() == board["ranks"]
    assert {name: one.ranks.tolist() for name, one in found.items()} == {name: board[name] for name in found}


@pytest.mark.parametrize("one", FIXTURES["kendall"])
def test_tau_is_that_of_cor(one):
    x, y = (np.array(one[name], np.int32) for name in "xy")
    assert kendall_tau_b(x, y[None, :]) == close([one["tau"]])


@pytest.mark.parametrize("one", FIXTURES["holm"])
def test_holm_is_that_of_p_adjust(one):
    assert holm(np.array(one["p"], float, ndmin=1)).tolist() == np.atleast_1d(one["holm"]).tolist()


def test_the_boards_have_what_makes_the_test_differ():
    """Exact and approximate p-values, ties, zeroes, p-values far out in the tail: else agreeing would say little."""
    p_values = {board["name"]: np.array(board["p"]) for board in BOARDS}
    assert 0 < p_values["300 cases, far apart"].min() < 1e-40
    assert p_values["all zero"].min() == 1
    assert p_values["five cases, no ties"].min() == 1 / 2**5
    assert any((np.array(board["better"]).sum() > 0) for board in BOARDS)
    assert len({len(board["scores"][0]) for board in BOARDS} & {1, 2, 5, 49, 50, 300}) == 6


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not here: the fixtures have what it said")
def test_r_says_it_again():
    run = subprocess.run(["Rscript", "fixtures.R"], cwd=HERE, capture_output=True, text=True, check=True, timeout=120)
    now = json.loads(run.stdout)
    assert [board["scores"] for board in now["boards"]] == [board["scores"] for board in BOARDS]
    for kind in FIXTURES:
        for one, before in zip(now[kind], FIXTURES[kind], strict=True):
            for name, value in before.items():
                assert one[name] == value if isinstance(value, str) else np.array(one[name]) == close(value)
